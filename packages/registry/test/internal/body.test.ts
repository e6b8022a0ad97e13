import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as MemoryStorage from "../../src/MemoryStorage.ts"
import { encode, having, openUpload, send } from "../registry.ts"

/** A byte each so many seconds. */
const every = (seconds: number, count: number) =>
  Stream.range(1, count).pipe(
    Stream.rechunk(1),
    Stream.mapEffect(() => Effect.as(Effect.sleep(seconds * 1000), encode("x")))
  )

const patch = (body: Stream.Stream<Uint8Array>, settings = {}) =>
  Effect.gen(function*() {
    const location = yield* openUpload("a")
    const fiber = yield* Effect.forkChild(send("PATCH", location, { body }).pipe(having(settings)))
    return { location, fiber }
  })

describe("body", () => {
  it.effect("A56: gives up a client that sends nothing, and keeps what it sent", () =>
    Effect.gen(function*() {
      const { fiber, location } = yield* patch(Stream.concat(Stream.make(encode("abc")), Stream.never))
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      const answer = yield* Fiber.join(fiber)
      assert.deepStrictEqual([answer.status, answer.codes], [408, ["BLOB_UPLOAD_INVALID"]])
      assert.strictEqual(answer.headers["connection"], "close")
      assert.strictEqual((yield* send("GET", location)).headers["range"], "0-2")
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("A56: gives up a client that sends a byte now and then", () =>
    Effect.gen(function*() {
      const { fiber } = yield* patch(every(10, 1000))
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* Fiber.join(fiber)).status, 408)
      const manifest = yield* Effect.forkChild(send("PUT", "/v2/a/manifests/1", { body: every(10, 1000) }))
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* Fiber.join(manifest)).status, 408)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("B37: takes as long as it takes, from a client that goes on", () =>
    Effect.gen(function*() {
      const { fiber } = yield* patch(every(1, 360), { minimumRate: 1 })
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual((yield* Fiber.join(fiber)).headers["range"], "0-359")
    }).pipe(Effect.provide(MemoryStorage.layer)))
})
