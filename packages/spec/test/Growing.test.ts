import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Growing from "../src/Growing.ts"

describe("Growing", () => {
  it.prop(
    "is what has come, in order, and stays so when the chunks change",
    [Schema.Array(Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))))],
    ([chunks]) => {
      const all = Growing.make()
      for (const chunk of chunks) {
        const bytes = Uint8Array.from(chunk)
        Growing.add(all, bytes)
        bytes.fill(0)
      }
      assert.deepStrictEqual([...Growing.whole(all)], chunks.flat())
    }
  )

  it("has room for twice as much at most, however small the chunks are", () => {
    const all = Growing.make()
    for (let n = 0; n < 100_000; n++) Growing.add(all, Uint8Array.of(1))
    assert.isAtMost(all.bytes.length, 200_000)
    assert.strictEqual(Growing.whole(all).length, 100_000)
  })
})
