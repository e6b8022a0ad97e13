/**
 * The body of a reply: given up when nothing moves, failing as every request does.
 *
 * @since 1.0.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
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

/**
 * Whether whoever reads the body of a reply is content with chunks that are valid until the next one is pulled.
 *
 * **Details**
 *
 * An `HttpClient` may lend its buffers then instead of giving new memory away with every chunk, as `NodeLane` of
 * `@effect-oci/node` does. `stream` asks for that; a reply's own `stream` does not unless it is told to.
 *
 * @category references
 * @since 1.0.0
 */
export const Lending = Context.Reference<boolean>("@effect-oci/transport/ResponseBody/Lending", {
  defaultValue: () => false
})

const given = (method: string, url: string, detail: string): RegistryError =>
  Failure.make(method, url, new Unreachable({ detail, code: "ETIMEDOUT", transient: true }))

/** @internal */
export const idle = (method: string, url: string, timeout: Duration.Duration): RegistryError =>
  given(method, url, `nothing moved for ${Duration.format(timeout)}`)

/**
 * The slowest that a body may come, on average over half a minute of waiting for it, in bytes a second. 0 is no limit.
 *
 * **Details**
 *
 * A byte now and then is no progress, though something moves. Only time spent waiting for the registry counts, not that of
 * whoever reads.
 *
 * @category references
 * @since 1.0.0
 */
export const MinimumRate = Context.Reference<number>("@effect-oci/transport/ResponseBody/MinimumRate", {
  defaultValue: () => 1024
})

const rateWindow = 30_000

/** Fails when the bytes come too slowly. */
const atLeast = (
  rate: number,
  clock: Clock.Clock,
  tooSlow: RegistryError
) =>
<E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E | RegistryError, R> =>
  rate <= 0 ? self : Stream.transformPull(self, (pull) =>
    Effect.sync(() => {
      let waited = 0
      let received = 0
      return Effect.suspend(() => {
        const asked = clock.currentTimeMillisUnsafe()
        return Effect.flatMap(pull, (chunks) => {
          waited += clock.currentTimeMillisUnsafe() - asked
          for (const chunk of chunks) received += chunk.length
          if (waited < rateWindow) return Effect.succeed(chunks)
          if (received * 1000 < rate * waited) return Effect.fail(tooSlow)
          waited = 0
          received = 0
          return Effect.succeed(chunks)
        })
      })
    }))

/** Fails when nothing comes for too long. Nothing is pulled ahead: a chunk that is lent has to stay as it is. */
const unlessIdle = (
  timeout: Duration.Duration,
  clock: Clock.Clock,
  failure: RegistryError
) =>
<E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E | RegistryError, R> =>
  Stream.transformPull(self, (pull, scope) =>
    Effect.suspend(() => {
      const limit = Duration.toMillis(timeout)
      let asked: number | undefined
      let giveUp = () => {}
      const watch = Effect.gen(function*() {
        for (;;) {
          const left = asked === undefined ? limit : asked + limit - clock.currentTimeMillisUnsafe()
          if (left <= 0) return giveUp()
          yield* Effect.sleep(left)
        }
      })
      const watched = Effect.suspend(() => {
        asked = clock.currentTimeMillisUnsafe()
        return Effect.flatMap(Effect.forkChild(pull, { startImmediately: true }), (fiber) => {
          const exit = fiber.pollUnsafe()
          if (exit !== undefined) {
            asked = undefined
            return exit
          }
          return Effect.callback<Effect.Success<typeof pull>, Effect.Error<typeof pull> | RegistryError>((resume) => {
            giveUp = () => resume(Effect.andThen(Fiber.interrupt(fiber), Effect.fail(failure)))
            fiber.addObserver((exit) => {
              asked = undefined
              resume(exit)
            })
            return Fiber.interrupt(fiber)
          })
        })
      })
      // One watch for all pulls, which are many.
      return Effect.as(Effect.forkIn(watch, scope), watched)
    }))

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
  return Stream.unwrap(Effect.gen(function*() {
    const timeout = yield* IdleTimeout
    const rate = yield* MinimumRate
    const clock = yield* Clock.Clock
    return response.stream.pipe(
      Stream.provideService(Lending, true),
      Stream.mapError((error) => Failure.fromHttpClient(method, url, error)),
      unlessIdle(timeout, clock, idle(method, url, timeout)),
      atLeast(rate, clock, given(method, url, `the body comes slower than ${rate} bytes a second`))
    )
  }))
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
        // A copy, which `slice` of a Node buffer is not.
        parts.push(new Uint8Array(chunk))
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
