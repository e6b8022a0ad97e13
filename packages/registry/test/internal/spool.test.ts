import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Spool from "../../src/internal/spool.ts"

const join = (parts: Iterable<Uint8Array>) => [...parts].flatMap((part) => Array.from(part))

describe("Spool", () => {
  it.prop(
    "reads any part of what was added, in pieces of any size",
    { sizes: Schema.Array(Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 3000 })))) },
    ({ sizes }) => {
      const spool = Spool.make()
      const all: Array<number> = []
      const piece = new Uint8Array(3000)
      sizes.forEach((size, at) => {
        // The same memory each time: what was added before must not change.
        piece.fill(at % 256)
        Spool.add(spool, piece.subarray(0, size))
        for (let i = 0; i < size; i++) all.push(at % 256)
      })
      assert.strictEqual(spool.size, all.length)
      assert.deepStrictEqual(join(Spool.read(spool)), all)
      Spool.close(spool)
      assert.deepStrictEqual(join(Spool.read(spool)), all)
      assert.isAtMost(spool.blocks.reduce((sum, block) => sum + block.length, 0), all.length * 8 / 7)
      const third = Math.floor(all.length / 3)
      assert.deepStrictEqual(join(Spool.read(spool, third, 2 * third)), all.slice(third, 2 * third))
    }
  )

  it("keeps single bytes in few blocks", () => {
    const spool = Spool.make()
    for (let i = 0; i < 100_000; i++) Spool.add(spool, new Uint8Array(1))
    assert.isBelow(spool.blocks.length, 12)
  })
})
