import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Link from "../src/Link.ts"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import * as RegistryServer from "../src/RegistryServer.ts"
import { digestOf, encode, pushBlob, sendTo } from "./registry.ts"

/** How long it takes by the clock of the test, in milliseconds. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(
      Effect.gen(function*() {
        const start = yield* Clock.currentTimeMillis
        const value = yield* effect
        return { value, millis: (yield* Clock.currentTimeMillis) - start }
      })
    )
    yield* TestClock.adjust("10 minutes")
    return yield* Fiber.join(fiber)
  })

const text = "x".repeat(100_000)

describe("Link", () => {
  it.effect("lets every answer come later", () =>
    Effect.gen(function*() {
      const send = sendTo(yield* Link.guard(RegistryServer.app, { latency: "50 millis" }))
      const { millis, value } = yield* timed(send("GET", "/v2/"))
      assert.deepStrictEqual([millis, value.status], [50, 200])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("lets so many bytes pass in a second, each way", () =>
    Effect.gen(function*() {
      const send = sendTo(yield* Link.guard(RegistryServer.app, { bandwidth: 10_000 }))
      const up = yield* timed(send("POST", `/v2/a/blobs/uploads/?digest=${digestOf(text)}`, { body: encode(text) }))
      assert.strictEqual(up.value.status, 201)
      assert.approximately(up.millis, 10_000, 10)
      const down = yield* timed(send("GET", `/v2/a/blobs/${digestOf(text)}`))
      assert.strictEqual(down.value.text, text)
      assert.strictEqual(down.value.headers["content-length"], "100000")
      assert.approximately(down.millis, 10_000, 10)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("has all requests share the way", () =>
    Effect.gen(function*() {
      yield* pushBlob("a", text)
      const send = sendTo(yield* Link.guard(RegistryServer.app, { bandwidth: 10_000 }))
      const get = send("GET", `/v2/a/blobs/${digestOf(text)}`)
      const { millis } = yield* timed(Effect.all([get, get, get], { concurrency: 3 }))
      assert.approximately(millis, 30_000, 100)
    }).pipe(Effect.provide(MemoryStorage.layer)))
})
