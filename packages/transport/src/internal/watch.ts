/**
 * Gives a request up when nothing moves.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import type { RegistryError } from "../RegistryError.ts"
import * as ResponseBody from "../ResponseBody.ts"
import * as Failure from "./failure.ts"

/** A registry may read all of an upload again before it says anything; no slower than this. */
const bytesPerMilli = 10 * 1024

/** Sends a request; fails when for too long no byte of its body is taken and no reply comes. */
export const execute = Effect.fnUntraced(function*(
  http: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest
): Effect.fn.Return<HttpClientResponse.HttpClientResponse, RegistryError> {
  const timeout = yield* ResponseBody.IdleTimeout
  const clock = yield* Clock.Clock
  const { body } = request
  let moved = clock.currentTimeMillisUnsafe()
  let sent = 0
  let ended = false
  const touch = () => moved = clock.currentTimeMillisUnsafe()
  const marked = body._tag !== "Stream" ? request : HttpClientRequest.setBody(
    request,
    HttpBody.stream(
      body.stream.pipe(
        Stream.mapArray((chunks) => {
          touch()
          for (const chunk of chunks) sent += chunk.length
          ended = sent === body.contentLength
          return chunks
        }),
        Stream.concat(Stream.suspend(() => {
          touch()
          ended = true
          return Stream.empty
        }))
      ),
      body.contentType,
      body.contentLength
    )
  )
  const watch = Effect.gen(function*() {
    for (;;) {
      const patience = Duration.toMillis(timeout) + (ended ? sent / bytesPerMilli : 0)
      const left = patience - (clock.currentTimeMillisUnsafe() - moved)
      if (left <= 0) return yield* ResponseBody.idle(request.method, request.url, timeout)
      yield* Effect.sleep(left)
    }
  })
  const reply = Effect.mapError(
    http.execute(marked),
    (error) => Failure.fromHttpClient(request.method, request.url, error)
  )
  return yield* Effect.raceFirst(reply, watch)
})
