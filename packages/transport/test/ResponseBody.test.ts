import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { DecodeError, HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type { RegistryError } from "../src/RegistryError.ts"
import * as ResponseBody from "../src/ResponseBody.ts"

const request = HttpClientRequest.get("https://a.test/v2/app/blobs/x?token=canary")
const shown = "GET https://a.test/v2/app/blobs/x?token=…"

/** A reply whose body is a stream of this process, so that the test's clock rules it. */
const reply = (body: Stream.Stream<Uint8Array, HttpClientError>): HttpClientResponse.HttpClientResponse =>
  Object.defineProperty(HttpClientResponse.fromWeb(request, new Response()), "stream", { value: body })

/** A reply whose body was all there from the start. */
const whole = (bytes: Uint8Array): HttpClientResponse.HttpClientResponse =>
  Object.defineProperty(reply(Stream.die("run")), ResponseBody.Whole, { value: bytes })

const chunk = (size: number, fill = 1) => new Uint8Array(size).fill(fill)

/** Chunks of a size, one every so many seconds. */
const every = (seconds: number, size: number, count: number) =>
  Stream.fromIterable(Array.from({ length: count }, () => chunk(size))).pipe(
    Stream.rechunk(1),
    Stream.mapEffect((bytes) => Effect.delay(Effect.succeed(bytes), Duration.seconds(seconds)))
  )

/** How a body ended after a while: `undefined` while it goes on, else its size or failure. */
const after = Effect.fnUntraced(function*(
  seconds: number,
  body: Stream.Stream<Uint8Array, HttpClientError>,
  read: (self: Stream.Stream<Uint8Array, RegistryError>) => Effect.Effect<number, RegistryError> = (self) =>
    Stream.runFold(self, () => 0, (size, { length }) => size + length)
) {
  const fiber = yield* Effect.forkChild(Effect.result(read(ResponseBody.stream(reply(body)))))
  // Second by second, as time passes.
  for (let second = 0; second < seconds; second++) yield* TestClock.adjust("1 second")
  if (fiber.pollUnsafe() === undefined) return yield* Effect.as(Fiber.interrupt(fiber), undefined)
  const result = yield* Fiber.join(fiber)
  return result._tag === "Success" ? result.success : result.failure
})

const failed = (outcome: number | RegistryError | undefined): RegistryError => {
  if (outcome === undefined || typeof outcome === "number") throw new Error(`it did not fail: ${outcome}`)
  return outcome
}

describe("ResponseBody", () => {
  describe("stream", () => {
    it.effect("gives the bytes as they come, and ends with them", () =>
      Effect.gen(function*() {
        const parts = yield* Stream.runCollect(ResponseBody.stream(reply(Stream.make(chunk(2, 1), chunk(3, 2)))))
        assert.deepStrictEqual(parts.map((part) => [...part]), [[1, 1], [2, 2, 2]])
      }))

    it.effect("pulls nothing ahead: a chunk that is lent stays as it is until the next is asked for", () =>
      Effect.gen(function*() {
        const buffer = chunk(1, 0)
        const lending = Stream.fromIterable([1, 2, 3, 4]).pipe(Stream.rechunk(1), Stream.map((n) => buffer.fill(n)))
        const seen: Array<number> = []
        yield* Stream.runForEachArray(
          ResponseBody.stream(reply(lending)),
          (chunks) =>
            Effect.andThen(
              Effect.yieldNow,
              Effect.sync(() => {
                seen.push(...chunks.map(([byte]) => byte!))
              })
            )
        )
        assert.deepStrictEqual(seen, [1, 2, 3, 4])
      }))

    it.effect("says to whoever makes the chunks that they may be lent", () =>
      Effect.gen(function*() {
        const body = Stream.unwrap(Effect.map(ResponseBody.Lending, (lent) => Stream.succeed(chunk(1, Number(lent)))))
        assert.deepStrictEqual([...(yield* Stream.runCollect(body))[0]!], [0])
        assert.deepStrictEqual([...(yield* Stream.runCollect(ResponseBody.stream(reply(body))))[0]!], [1])
      }))

    it.effect("fails as a request does where the body breaks off, and shows no secret of its URL", () =>
      Effect.gen(function*() {
        const response = reply(Stream.empty)
        const cause = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })
        const broken = Stream.fail(new HttpClientError({ reason: new DecodeError({ request, response, cause }) }))
        const error = failed(yield* after(1, Stream.concat(Stream.succeed(chunk(1)), broken)))
        assert.deepInclude(error.reason, { _tag: "Unreachable", code: "ECONNRESET", transient: true })
        assert.strictEqual(error.message, `${shown}: read ECONNRESET`)
      }))
  })

  describe("IdleTimeout", () => {
    const silent = Stream.concat(Stream.succeed(chunk(1)), Stream.never)

    it.effect("gives a body up of which nothing comes, and may be tried again", () =>
      Effect.gen(function*() {
        assert.isUndefined(yield* after(29, silent))
        const error = failed(yield* after(30, silent))
        assert.strictEqual(error.message, `${shown}: nothing moved for 30s`)
        assert.deepInclude(error.reason, { _tag: "Unreachable", code: "ETIMEDOUT" })
        assert.isTrue(error.isRetryable)
      }))

    it.effect("is as long as it is told to be", () =>
      Effect.gen(function*() {
        const error = failed(yield* after(2, silent))
        assert.strictEqual(error.message, `${shown}: nothing moved for 2s`)
      }).pipe(Effect.provideService(ResponseBody.IdleTimeout, Duration.seconds(2))))

    it.effect("begins anew with each chunk", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* after(29 * 5, every(29, 1_000_000, 5)), 5_000_000)
        const late = Stream.concat(every(1, 1, 1), Stream.never)
        assert.isUndefined(yield* after(30, late))
        failed(yield* after(31, late))
      }))

    it.effect("leaves a reader the time it takes", () =>
      Effect.gen(function*() {
        const slow = (self: Stream.Stream<Uint8Array, RegistryError>) =>
          Effect.as(Stream.runForEachArray(self, () => Effect.sleep("5 minutes")), 1)
        assert.strictEqual(yield* after(601, every(0, 1, 2), slow), 1)
      }))

    it.effect("lets go of the body that it gives up", () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const see = (what: string) => Effect.sync(() => void seen.push(what))
        const stuck = Stream.fromEffect(Effect.onInterrupt(Effect.as(Effect.never, chunk(1)), () => see("let go")))
        const handled = (self: Stream.Stream<Uint8Array, RegistryError>) =>
          Effect.as(Effect.andThen(Effect.ignore(Stream.runDrain(self)), see("given up")), 1)
        assert.strictEqual(yield* after(30, stuck, handled), 1)
        assert.deepStrictEqual(seen, ["let go", "given up"])
      }))
  })

  describe("MinimumRate", () => {
    it.effect("gives a body up that comes byte by byte, though something moves", () =>
      Effect.gen(function*() {
        assert.isUndefined(yield* after(29, every(1, 1, 100)))
        const error = failed(yield* after(30, every(1, 1, 100)))
        assert.strictEqual(error.message, `${shown}: the body comes slower than 1024 bytes a second`)
        assert.isTrue(error.isRetryable)
      }))

    it.effect("takes what comes just as fast", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* after(100, every(1, 1024, 100)), 102_400)
        failed(yield* after(100, every(1, 1023, 100)))
      }))

    it.effect("measures each half minute by its own: a fast begin is no credit", () =>
      Effect.gen(function*() {
        const tired = Stream.concat(every(1, 1_000_000, 30), every(1, 1, 100))
        assert.isUndefined(yield* after(59, tired))
        failed(yield* after(60, tired))
      }))

    it.effect("counts the time of the registry, not that of whoever reads", () =>
      Effect.gen(function*() {
        const slow = (self: Stream.Stream<Uint8Array, RegistryError>) =>
          Effect.as(Stream.runForEachArray(self, () => Effect.sleep("20 seconds")), 1)
        assert.strictEqual(yield* after(200, every(0, 1, 5), slow), 1)
      }))

    it.effect("is no limit where it is 0", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* after(100, every(1, 1, 100)), 100)
      }).pipe(Effect.provideService(ResponseBody.MinimumRate, 0)))
  })

  describe("bytes", () => {
    it.effect("collects a body, copying what it is only lent", () =>
      Effect.gen(function*() {
        const buffer = chunk(2, 0)
        const lending = Stream.fromIterable([1, 2, 3]).pipe(Stream.rechunk(1), Stream.map((n) => buffer.fill(n)))
        assert.deepStrictEqual([...(yield* ResponseBody.bytes(reply(lending), 6))], [1, 1, 2, 2, 3, 3])
        assert.deepStrictEqual([...(yield* ResponseBody.bytes(reply(Stream.empty), 0))], [])
      }))

    it.effect("refuses what is larger than its limit, and reads no more of it than it has to", () =>
      Effect.gen(function*() {
        let pulled = 0
        const endless = Stream.forever(Stream.fromEffect(Effect.sync(() => chunk((pulled++, 100)))))
        const error = yield* Effect.flip(ResponseBody.bytes(reply(endless), 250))
        assert.strictEqual(error.message, `${shown}: the reply is larger than the limit of 250 bytes`)
        assert.isFalse(error.isRetryable)
        assert.strictEqual(pulled, 3)
      }))
  })

  describe("whole", () => {
    it.effect("is taken as it is, and no stream run for it", () =>
      Effect.gen(function*() {
        const all = chunk(100)
        assert.strictEqual(yield* ResponseBody.bytes(whole(all), 100), all)
        yield* ResponseBody.discard(whole(all))
        assert.isUndefined(ResponseBody.whole(reply(Stream.empty)))
      }))
  })

  describe("discard", () => {
    it.effect("reads to the end, so that the connection can be used again", () =>
      Effect.gen(function*() {
        let ended = false
        const body = Stream.concat(
          Stream.succeed(chunk(64 * 1024)),
          Stream.drain(Stream.fromEffect(Effect.sync(() => {
            ended = true
          })))
        )
        yield* ResponseBody.discard(reply(body))
        assert.isTrue(ended)
      }))

    it.effect("gives up on a long body and on one that breaks off, without a word", () =>
      Effect.gen(function*() {
        let pulled = 0
        yield* ResponseBody.discard(
          reply(Stream.forever(Stream.fromEffect(Effect.sync(() => chunk((pulled++, 1024))))))
        )
        assert.strictEqual(pulled, 65)
        const response = reply(Stream.empty)
        yield* ResponseBody.discard(
          reply(Stream.fail(new HttpClientError({ reason: new DecodeError({ request, response }) })))
        )
      }))
  })
})
