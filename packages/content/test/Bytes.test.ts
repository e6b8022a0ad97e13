import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Bytes from "../src/Bytes.ts"
import * as Scribbled from "./scribbled.ts"

const text = new TextEncoder().encode("a document that comes in several pieces")
const lent = Scribbled.stream(7)(Stream.succeed(text))

describe("Bytes", () => {
  it.effect("collects what it is only lent", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Bytes.collect({ location: "here" })(lent), text)
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
