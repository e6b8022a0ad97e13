import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Bytes from "../src/Bytes.ts"
import * as Scribbled from "./scribbled.ts"

const text = new TextEncoder().encode("a document that comes in several pieces")
const lent = Scribbled.stream(7)(Stream.succeed(text))

/** How much memory is held. */
const held = () => {
  setFlagsFromString("--expose-gc")
  const collect: unknown = runInNewContext("gc")
  if (typeof collect === "function") collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}

describe("Bytes", () => {
  it.effect("collects what it is only lent", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Bytes.collect({ location: "here" })(lent), text)
    }))

  it.effect("gives what came in one chunk or in many just the memory it takes", () =>
    Effect.gen(function*() {
      for (const count of [0, 1, 2, 3, 1023, 1024, 1025, 5000]) {
        const bytes = Uint8Array.from({ length: count }, (_, at) => at)
        for (const size of [1, 7, 1000, 5000]) {
          const collected = yield* Bytes.collect({ location: "here" })(Scribbled.stream(size)(Stream.succeed(bytes)))
          assert.deepStrictEqual(collected, bytes)
          assert.strictEqual(collected.buffer.byteLength, count)
        }
      }
    }))

  it.effect("holds little more than a document has bytes, though they come one by one", () =>
    Effect.gen(function*() {
      const size = 200_000
      const before = held()
      let more = 0
      const bytes = Stream.map(Stream.range(1, size), (at) => {
        if (at === size) more = held() - before
        return Uint8Array.of(at)
      })
      assert.strictEqual((yield* Bytes.collect({ location: "here" })(bytes)).length, size)
      assert.isBelow(more, 30 * size)
    }))

  it.effect("gives chunks away for good", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(new Uint8Array(Buffer.concat(yield* Stream.runCollect(Bytes.owned(lent)))), text)
      // Or the test would show nothing.
      assert.notDeepEqual(new Uint8Array(Buffer.concat(yield* Stream.runCollect(lent))), text)
    }))

  it.effect("fails as soon as a document passes the limit", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Bytes.collect({ location: "here", limit: 20 })(lent))
      assert.strictEqual(error.reason._tag, "Invalid")
    }))
})
