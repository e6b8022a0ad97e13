import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Block from "../../../src/internal/disk/block.ts"

const join = (blocks: ReadonlyArray<Uint8Array>) => Buffer.concat(blocks)

const collected = () => {
  const written: Array<Uint8Array> = []
  return { written, blocks: Block.make((block) => Effect.sync(() => void written.push(block.slice()))) }
}

describe("blocks", () => {
  it.effect.prop(
    "have what was added, in order, and of a sensible size",
    { sizes: Schema.Array(Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 700_000 })))) },
    ({ sizes }) =>
      Effect.gen(function*() {
        const { blocks, written } = collected()
        const all: Array<Uint8Array> = []
        const piece = new Uint8Array(700_000)
        for (const [at, size] of sizes.entries()) {
          piece.fill(at % 256)
          all.push(piece.slice(0, size))
          // The same memory each time: what was added before must not change.
          yield* blocks.add([piece.subarray(0, size)])
        }
        yield* blocks.flush
        assert.isTrue(join(written).equals(join(all)))
        for (const block of written.slice(0, -1)) assert.isAtLeast(block.length, 64 * 1024)
      }),
    { arbitrary: { runs: 30 } }
  )

  it.effect("writes single bytes by the thousands", () =>
    Effect.gen(function*() {
      const { blocks, written } = collected()
      for (let i = 0; i < 100_000; i++) yield* blocks.add([new Uint8Array(1)])
      yield* blocks.flush
      yield* blocks.flush
      assert.deepStrictEqual(written.map((block) => block.length), [65_536, 34_464])
    }))
})
