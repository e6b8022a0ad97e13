/**
 * The link to a registry: how far away it is, and how wide.
 *
 * @since 1.0.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import * as Body from "./internal/bodies.ts"

/**
 * Options for `guard`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * How long every answer takes.
   *
   * @default none
   */
  readonly latency?: Duration.Input | undefined
  /**
   * How many bytes of bodies pass in a second in each direction, of all requests together.
   *
   * @default no limit
   */
  readonly bandwidth?: number | undefined
}

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest | R>

/** One direction: whoever comes waits for those before. */
const lane = (bytesPerSecond: number) => {
  const most = Math.max(1, Math.min(64 * 1024, Math.floor(bytesPerSecond / 20)))
  let free = 0
  const pass = (chunk: Uint8Array) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      free = Math.max(free, now) + chunk.length / bytesPerSecond * 1000
      return Effect.as(Effect.sleep(free - now), chunk)
    })
  const pieces = function*(chunk: Uint8Array) {
    for (let at = 0; at < chunk.length; at += most) yield chunk.subarray(at, at + most)
  }
  return <E>(bytes: Stream.Stream<Uint8Array, E>): Stream.Stream<Uint8Array, E> =>
    bytes.pipe(
      Stream.flatMap((chunk) => Stream.fromIterable(pieces(chunk), { chunkSize: 1 })),
      Stream.mapEffect(pass)
    )
}

/**
 * Puts a link before a registry.
 *
 * @category guarding
 * @since 1.0.0
 */
export const guard = <E, R>(app: App<E, R>, { bandwidth, latency = 0 }: Options): Effect.Effect<App<E, R>> =>
  Effect.sync(() => {
    const millis = Duration.toMillis(Duration.fromInputUnsafe(latency))
    // Even no time at all is waited for.
    const late = millis === 0 ? app : Effect.delay(app, millis)
    if (bandwidth === undefined) return late
    const up = lane(bandwidth)
    const down = lane(bandwidth)
    return Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const reply = yield* Effect.provideService(
        late,
        HttpServerRequest.HttpServerRequest,
        Body.withStream(request, up(request.stream))
      )
      return Body.mapBody(reply, down)
    })
  })
