/**
 * The body of a reply: given up when nothing moves, failing as every request does.
 *
 * @since 1.0.0
 */
import * as Growing from "@effect-oci/spec/Growing"
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import * as Failure from "./internal/failure.ts"
import * as Watchdog from "./internal/watchdog.ts"
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

/**
 * Whether whoever asks reads or discards every reply, as the transport does, or ends it by an interruption. An `HttpClient` has no
 * need then to look out for replies that are forgotten, which costs as much as a small request.
 *
 * @category references
 * @since 1.0.0
 */
export const Attended = Context.Reference<boolean>("@effect-oci/transport/ResponseBody/Attended", {
  defaultValue: () => false
})

/**
 * Told by an `HttpClient` that the other side has taken more of a request's body, of which it may have all or a large chunk at
 * hand: on a slow link much takes longer to leave than nothing may move.
 *
 * @category references
 * @since 1.0.0
 */
export const OnSent = Context.Reference<() => void>("@effect-oci/transport/ResponseBody/OnSent", {
  defaultValue: () => () => {}
})

/**
 * The key under which a reply has all bytes of its body, where an `HttpClient` had them when it gave the reply away. They are
 * whoever's who asks.
 *
 * @category constants
 * @since 1.0.0
 */
export const Whole = "~@effect-oci/transport/ResponseBody/Whole"

/**
 * All bytes of a reply, if they are there already: no stream has to be run for them.
 *
 * @category getters
 * @since 1.0.0
 */
export const whole = (response: HttpClientResponse.HttpClientResponse): Uint8Array | undefined =>
  Whole in response && response[Whole] instanceof Uint8Array ? response[Whole] : undefined

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

/** What may come from a pull of bytes. */
type Chunks = Arr.NonEmptyReadonlyArray<Uint8Array>

interface Limits {
  readonly method: string
  readonly url: string
  readonly timeout: Duration.Duration
  readonly rate: number
  readonly clock: Clock.Clock
}

/** Fails when nothing comes for too long, or too little. Nothing is pulled ahead: a chunk that is lent has to stay as it is. */
const limited = <E, R>(
  pull: Pull.Pull<Chunks, E, void, R>,
  { clock, method, rate, timeout, url }: Limits
): Pull.Pull<Chunks, E | RegistryError, void, R> => {
  const limit = Duration.toMillis(timeout)
  let asked = 0
  let waited = 0
  let received = 0
  const guarded = Watchdog.guard(pull, clock, () => asked + limit, () => idle(method, url, timeout))
  return Effect.suspend(() => {
    asked = clock.currentTimeMillisUnsafe()
    return rate <= 0 ? guarded : Effect.flatMap(guarded, (chunks) => {
      waited += clock.currentTimeMillisUnsafe() - asked
      for (const chunk of chunks) received += chunk.length
      if (waited < rateWindow) return Effect.succeed(chunks)
      if (received * 1000 < rate * waited) {
        return Effect.fail(given(method, url, `the body comes slower than ${rate} bytes a second`))
      }
      waited = 0
      received = 0
      return Effect.succeed(chunks)
    })
  })
}

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
  return Stream.transformPull(
    Stream.provideService(response.stream, Lending, true),
    (pull) =>
      Effect.withFiber((fiber) =>
        Effect.succeed(limited(
          Effect.mapError(pull, (error) => Cause.isDone(error) ? error : Failure.fromHttpClient(method, url, error)),
          {
            method,
            url,
            timeout: fiber.getRef(IdleTimeout),
            rate: fiber.getRef(MinimumRate),
            clock: fiber.getRef(Clock.Clock)
          }
        ))
      )
  )
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
    const all = whole(response)
    if (all !== undefined && all.length <= limit) return Effect.succeed(all)
    const document = Growing.make()
    return Stream.runForEachArray(stream(response), (chunks) => {
      for (const chunk of chunks) {
        if (document.size + chunk.length > limit) {
          return Effect.fail(Failure.make(
            response.request.method,
            response.request.url,
            new ContentMismatch({ detail: `the reply is larger than the limit of ${limit} bytes` })
          ))
        }
        Growing.add(document, chunk)
      }
      return Effect.void
    }).pipe(Effect.map(() => Growing.whole(document)))
  })

/**
 * Reads a body that nobody wants, so that its connection can be used again; gives up on a long one.
 *
 * @category reading
 * @since 1.0.0
 */
export const discard = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<void> =>
  Failure.isEmpty(response) || whole(response) !== undefined
    ? Effect.void :
    Effect.ignore(bytes(response, 64 * 1024))
