/**
 * The body of a reply: given up when nothing moves, failing as every request does.
 *
 * @since 1.0.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import * as Failure from "./internal/failure.ts"
import { ContentMismatch, type RegistryError, Unreachable } from "./RegistryError.ts"

/**
 * How long nothing may move, in either direction, before a request is given up. None of crane, regctl, oras and skopeo has
 * such a limit, so all of them wait for ever on a connection that died in silence.
 *
 * @category references
 * @since 1.0.0
 */
export const IdleTimeout = Context.Reference<Duration.Duration>("@effect-oci/transport/ResponseBody/IdleTimeout", {
  defaultValue: () => Duration.seconds(30)
})

/** @internal */
export const idle = (method: string, url: string, timeout: Duration.Duration): RegistryError =>
  Failure.make(
    method,
    url,
    new Unreachable({ detail: `nothing moved for ${Duration.format(timeout)}`, code: "ETIMEDOUT", transient: true })
  )

/**
 * The bytes of a reply as they arrive. A chunk is valid until the next one is pulled.
 *
 * @category reading
 * @since 1.0.0
 */
export const stream = (
  response: HttpClientResponse.HttpClientResponse
): Stream.Stream<Uint8Array, RegistryError> => {
  const { method, url } = response.request
  return Stream.unwrap(Effect.map(IdleTimeout, (timeout) =>
    response.stream.pipe(
      Stream.mapError((error) => Failure.fromHttpClient(method, url, error)),
      Stream.timeoutOrElse({ duration: timeout, orElse: () => Stream.fail(idle(method, url, timeout)) })
    )))
}

/**
 * The bytes of a reply, collected; a body beyond `limit` bytes is a failure.
 *
 * @category reading
 * @since 1.0.0
 */
export const bytes = (
  response: HttpClientResponse.HttpClientResponse,
  limit: number
): Effect.Effect<Uint8Array, RegistryError> =>
  Effect.suspend(() => {
    const parts: Array<Uint8Array> = []
    let size = 0
    return Stream.runForEachArray(stream(response), (chunks) => {
      for (const chunk of chunks) {
        parts.push(chunk.slice())
        size += chunk.length
      }
      return size <= limit ? Effect.void : Effect.fail(Failure.make(
        response.request.method,
        response.request.url,
        new ContentMismatch({ detail: `the reply is larger than the limit of ${limit} bytes` })
      ))
    }).pipe(Effect.map(() => {
      const all = new Uint8Array(size)
      let at = 0
      for (const part of parts) {
        all.set(part, at)
        at += part.length
      }
      return all
    }))
  })

/**
 * Reads a body that nobody wants, so that its connection can be used again; gives up on a long one.
 *
 * @category reading
 * @since 1.0.0
 */
export const discard = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<void> =>
  Effect.ignore(bytes(response, 64 * 1024))
