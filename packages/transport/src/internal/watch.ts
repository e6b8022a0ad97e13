/**
 * Gives a request up when nothing moves.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import type { RegistryError } from "../RegistryError.ts"
import * as ResponseBody from "../ResponseBody.ts"
import * as Failure from "./failure.ts"
import * as Watchdog from "./watchdog.ts"

/** A registry may read all of an upload again before it says anything; no slower than this. */
const bytesPerMilli = 10 * 1024

/** Of bodies that are at hand. */
const small = 64 * 1024

/**
 * Sends a request; fails when for too long no byte of its body is taken and no reply comes. While the body itself has to be
 * waited for, nobody here is idle: it has limits of its own.
 */
export const execute = (
  http: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientResponse.HttpClientResponse, RegistryError> =>
  Effect.withFiber((fiber) => {
    const timeout = fiber.getRef(ResponseBody.IdleTimeout)
    const limit = Duration.toMillis(timeout)
    const clock = fiber.getRef(Clock.Clock)
    const { body } = request
    let moved = clock.currentTimeMillisUnsafe()
    let sent = body._tag === "Uint8Array" ? body.body.length : 0
    let state: "reading" | "sending" | "sent" = sent > 0 ? "sent" : "sending"
    const enter = (next: typeof state) => {
      state = next
      moved = clock.currentTimeMillisUnsafe()
    }
    const marked = body._tag !== "Stream" ? request : HttpClientRequest.setBody(
      request,
      HttpBody.stream(
        Stream.transformPull(body.stream, (pull) =>
          Effect.succeed(Effect.suspend(() => {
            enter("reading")
            return Effect.onExit(pull, (exit) =>
              Effect.sync(() => {
                if (Exit.isSuccess(exit)) { for (const chunk of exit.value) sent += chunk.length }
                enter(Exit.isFailure(exit) || sent === body.contentLength ? "sent" : "sending")
              }))
          }))),
        body.contentType,
        body.contentLength
      )
    )
    const deadline = (now: number): number =>
      (state === "reading" ? now : moved) + limit + (state === "sent" ? sent / bytesPerMilli : 0)
    const reply = Effect.mapError(
      http.execute(marked),
      (error) => Failure.fromHttpClient(request.method, request.url, error)
    )
    return Watchdog.guard(
      // What is small leaves at once.
      body._tag === "Stream" || sent > small
        ? Effect.provideService(reply, ResponseBody.OnSent, () => void (moved = clock.currentTimeMillisUnsafe()))
        : reply,
      clock,
      deadline,
      () => ResponseBody.idle(request.method, request.url, timeout)
    )
  })
