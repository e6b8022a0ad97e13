import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Watch from "../../src/internal/watch.ts"
import * as ResponseBody from "../../src/ResponseBody.ts"

const ok = (request: HttpClientRequest.HttpClientRequest) =>
  HttpClientResponse.fromWeb(request, new Response(null, { status: 201 }))

/** Takes all of a body, then does what it is told before it answers. */
const taking = (then: Effect.Effect<void> = Effect.void) =>
  HttpClient.make((request) =>
    (request.body._tag === "Stream" ? Effect.orDie(Stream.runDrain(request.body.stream)) : Effect.void).pipe(
      Effect.andThen(then),
      Effect.as(ok(request))
    )
  )

const chunk = new Uint8Array(1000)
const put = (body: Stream.Stream<Uint8Array>) =>
  HttpClientRequest.put("http://a.test/").pipe(
    HttpClientRequest.setBody(HttpBody.stream(body, "application/octet-stream", 2000))
  )

/** A body whose second half comes after a while. */
const slow = (seconds: number) =>
  Stream.concat(Stream.succeed(chunk), Stream.fromEffect(Effect.delay(Effect.succeed(chunk), `${seconds} seconds`)))

const after = Effect.fnUntraced(function*<A, E, R>(seconds: number, self: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkChild(Effect.exit(self))
  yield* TestClock.adjust(`${seconds} seconds`)
  return fiber.pollUnsafe() === undefined ? undefined : yield* Fiber.join(fiber)
})

describe("watch", () => {
  it.effect("waits for a body that has to be waited for", () =>
    Effect.gen(function*() {
      const exit = yield* after(121, Watch.execute(taking(), put(slow(120))))
      assert.strictEqual(exit?._tag, "Success")
    }))

  it.effect("gives a request up that gets no reply", () =>
    Effect.gen(function*() {
      const request = HttpClientRequest.get("http://a.test/")
      assert.isUndefined(yield* after(29, Watch.execute(taking(Effect.never), request)))
      const error = yield* Effect.flatMap(
        after(31, Effect.flip(Watch.execute(taking(Effect.never), request))),
        (exit) => exit === undefined ? Effect.die("still waiting") : exit
      )
      assert.strictEqual(error.message, "GET http://a.test/: nothing moved for 30s")
      assert.isTrue(error.isRetryable)
    }))

  it.effect("gives a request up that takes no more of its body", () =>
    Effect.gen(function*() {
      const stuck = HttpClient.make((request) =>
        (request.body._tag === "Stream"
          ? Effect.orDie(Stream.runDrain(Stream.take(request.body.stream, 1)))
          : Effect.void)
          .pipe(Effect.andThen(Effect.never))
      )
      const exit = yield* after(31, Effect.flip(Watch.execute(stuck, put(Stream.make(chunk, chunk)))))
      assert.strictEqual(exit?._tag, "Success")
    }))

  it.effect("counts from when the body was last taken", () =>
    Effect.gen(function*() {
      const exit = yield* after(149, Watch.execute(taking(Effect.never), put(slow(120))))
      assert.isUndefined(exit)
    }))

  it.effect.each<readonly [string, HttpBody.HttpBody]>([["at hand", HttpBody.uint8Array(new Uint8Array(1_000_000))], [
    "in one chunk",
    HttpBody.stream(Stream.succeed(new Uint8Array(1_000_000)), "application/octet-stream", 1_000_000)
  ]])("waits as long as something of a body moves that is %s", ([, body]) =>
    Effect.gen(function*() {
      const client = (minutes: number) =>
        HttpClient.make((request) =>
          Effect.gen(function*() {
            if (request.body._tag === "Stream") yield* Effect.orDie(Stream.runDrain(request.body.stream))
            const told = yield* ResponseBody.OnSent
            for (let i = 0; i < 3 * minutes; i++) yield* Effect.andThen(Effect.sleep("20 seconds"), Effect.sync(told))
            return yield* Effect.never
          })
        )
      const request = HttpClientRequest.setBody(HttpClientRequest.put("http://a.test/"), body)
      assert.isUndefined(yield* after(299, Watch.execute(client(10), request)))
      assert.strictEqual((yield* after(151, Effect.flip(Watch.execute(client(2), request))))?._tag, "Success")
    }))
})
