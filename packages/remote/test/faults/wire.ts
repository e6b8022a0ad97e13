/**
 * An `HttpClient` that counts the bytes of blobs, and finds some hosts away for a while.
 */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import { HttpClientError, TransportError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

export interface Wire {
  down: number
  up: number
  requests: number
  /** How many requests had no reply. */
  failed: number
  /** What was asked of upload sessions: path and query. */
  readonly uploads: Array<string>
  /** The upload sessions that replies led to: path and query. */
  readonly sessions: Array<string>
  /** How many tokens were asked for. */
  tokens: number
}

export const make = (): Wire => ({ down: 0, up: 0, requests: 0, failed: 0, uploads: [], sessions: [], tokens: 0 })

const size = 16 * 1024

const pieces = (chunks: Arr.NonEmptyReadonlyArray<Uint8Array>): Arr.NonEmptyReadonlyArray<Uint8Array> =>
  Arr.flatMap(
    chunks,
    (chunk) => Arr.makeBy(Math.ceil(chunk.length / size), (at) => chunk.subarray(at * size, (at + 1) * size))
  )

const isUpload = (request: HttpClientRequest.HttpClientRequest) => request.url.includes("/blobs/uploads/")

/** A host that cannot be reached for some seconds, once it has answered so many requests. */
export interface Outage {
  readonly host: string
  readonly seconds: number
  readonly code: string
  readonly after?: number
}

/** Has something run by a clock that is so many seconds ahead. */
export const skewed = (seconds: number) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Clock.Clock, (clock) => {
    const currentTimeMillisUnsafe = () => clock.currentTimeMillisUnsafe() + seconds * 1000
    const currentTimeNanosUnsafe = () => clock.currentTimeNanosUnsafe() + BigInt(seconds * 1e9)
    return Effect.provideService(self, Clock.Clock, {
      currentTimeMillisUnsafe,
      currentTimeMillis: Effect.sync(currentTimeMillisUnsafe),
      currentTimeNanosUnsafe,
      currentTimeNanos: Effect.sync(currentTimeNanosUnsafe),
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      sleep: (duration) => clock.sleep(duration)
    })
  })

export const layer = (
  wire: Wire,
  outage: Outage = { host: "nowhere", seconds: 0, code: "" }
): Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.gen(function*() {
      const client = yield* HttpClient.HttpClient
      // What a client takes for the time is nobody else's.
      const theirs = yield* Clock.Clock
      let answered = 0
      let start: number | undefined
      // In the pieces that a socket has, whatever those are that memory has.
      const count = (key: "down" | "up") => <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) =>
        bytes.pipe(
          Stream.mapArray((chunks) => pieces(chunks)),
          Stream.rechunk(1),
          Stream.map((piece) => {
            wire[key] += piece.length
            return piece
          })
        )
      const counted = (request: HttpClientRequest.HttpClientRequest) => {
        const { body } = request
        if (!isUpload(request)) return request
        if (body._tag === "Uint8Array") wire.up += body.body.length
        return body._tag !== "Stream"
          ? request
          : HttpClientRequest.setBody(
            request,
            HttpBody.stream(count("up")(body.stream), body.contentType, body.contentLength)
          )
      }
      return HttpClient.transform(client, (_, request) =>
        Effect.gen(function*() {
          wire.requests++
          if (request.url.includes("/token")) wire.tokens++
          for (const { pathname, search } of Option.toArray(HttpClientRequest.toUrl(request))) {
            if (isUpload(request)) wire.uploads.push(pathname + search)
          }
          if (request.url.includes(outage.host) && answered++ >= (outage.after ?? 0)) {
            const now = yield* Clock.currentTimeMillis
            start ??= now
            if (now - start < outage.seconds * 1000) {
              wire.failed++
              const cause = Object.assign(new Error(outage.code), { code: outage.code })
              return yield* new HttpClientError({ reason: new TransportError({ request, cause }) })
            }
          }
          const response = yield* Effect.provideService(client.execute(counted(request)), Clock.Clock, theirs).pipe(
            Effect.tapError(() => Effect.sync(() => wire.failed++))
          )
          const { location } = response.headers
          if (isUpload(request) && location !== undefined) {
            const { pathname, search } = new URL(location, request.url)
            wire.sessions.push(pathname + search)
          }
          return request.method === "GET" && request.url.includes("/blobs/sha256:")
            // All of the response but its body.
            ? Object.create(response, { stream: { value: count("down")(response.stream) } })
            : response
        }))
    })
  )
