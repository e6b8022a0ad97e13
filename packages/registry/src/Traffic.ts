/**
 * What a registry was asked and how it answered, request by request: for a log, and for metrics.
 *
 * @since 1.0.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Body from "./internal/bodies.ts"
import * as Route from "./internal/route.ts"

/**
 * A request that has been answered, or that nobody waits for any more. There is no secret in it.
 *
 * @category models
 * @since 1.0.0
 */
export interface Entry {
  /**
   * When it arrived, in milliseconds since 1970.
   */
  readonly at: number
  readonly method: string
  readonly path: string
  /**
   * With its question mark; of what the specification does not know, the names only.
   */
  readonly query: string
  /**
   * Which endpoint it was for, such as `Manifest`.
   */
  readonly endpoint: string
  /**
   * Who asked, if the registry knows.
   */
  readonly user: string | undefined
  /**
   * Where from.
   */
  readonly address: string | undefined
  readonly agent: string | undefined
  /**
   * Nothing if there was no answer.
   */
  readonly status: number | undefined
  /**
   * Whether the answer was sent to its end.
   */
  readonly complete: boolean
  /**
   * The bytes of its body that were read.
   */
  readonly received: number
  /**
   * The bytes of the answer's body that were sent.
   */
  readonly sent: number
  readonly millis: number
}

/**
 * Hears who asks, from whoever finds out.
 *
 * @category references
 * @since 1.0.0
 */
export const Asking = Context.Reference<(user: string) => void>("@effect-oci/registry/Traffic/Asking", {
  defaultValue: () => () => {}
})

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest | R>

const known = new Set([
  "artifactType",
  "digest",
  "digest-algorithm",
  "from",
  "last",
  "mount",
  "n",
  "ns",
  "scope",
  "service",
  "tag"
])

const shown = (query: URLSearchParams): string => {
  const text = [...query].map(([name, value]) =>
    `${encodeURIComponent(name)}=${known.has(name) ? encodeURIComponent(value) : "REDACTED"}`
  ).join("&")
  return text === "" ? "" : `?${text}`
}

const counted = <E>(bytes: Stream.Stream<Uint8Array, E>, count: (size: number) => void) =>
  Stream.mapArray(bytes, (chunks) => {
    for (const chunk of chunks) count(chunk.length)
    return chunks
  })

/**
 * Tells of each request when it is over.
 *
 * @category guarding
 * @since 1.0.0
 */
export const guard = <E, R>(
  app: App<E, R>,
  tell: (entry: Entry) => Effect.Effect<void>
): App<E, R | Scope.Scope> =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { path, query } = Route.target(request.url)
    const at = yield* Clock.currentTimeMillis
    const seen = {
      user: undefined as string | undefined,
      status: undefined as number | undefined,
      received: 0,
      sent: 0
    }
    const endpoint = Route.parse(path)._tag
    yield* Effect.annotateCurrentSpan({ "oci.endpoint": endpoint })
    yield* Effect.addFinalizer((exit) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        tell({
          at,
          method: request.method,
          path,
          query: shown(query),
          endpoint,
          address: Option.getOrUndefined(request.remoteAddress),
          agent: request.headers["user-agent"],
          ...seen,
          complete: exit._tag === "Success",
          millis: now - at
        }))
    )
    const stream = Stream.suspend(() => counted(request.stream, (size) => seen.received += size))
    const response = yield* app.pipe(
      Effect.provideService(Asking, (user) => {
        seen.user = user
      }),
      Effect.provideService(HttpServerRequest.HttpServerRequest, Body.withStream(request, stream))
    )
    seen.status = response.status
    const { body } = response
    if (body._tag === "Uint8Array") seen.sent = body.body.length
    return body._tag !== "Stream"
      ? response
      : Body.mapBody(response, (bytes) => counted(bytes, (size) => seen.sent += size))
  })

const requests = Metric.counter("oci_registry_requests", {
  description: "Requests answered, by endpoint, method and status",
  incremental: true
})
const received = Metric.counter("oci_registry_received_bytes", {
  description: "Bytes of request bodies",
  incremental: true
})
const sent = Metric.counter("oci_registry_sent_bytes", { description: "Bytes of response bodies", incremental: true })

// A client's own words make no series of their own.
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])

/**
 * Counts a request in the metrics `oci_registry_requests`, `oci_registry_received_bytes` and `oci_registry_sent_bytes`.
 *
 * @category telling
 * @since 1.0.0
 */
export const measure = (entry: Entry): Effect.Effect<void> => {
  const attributes = {
    endpoint: entry.endpoint,
    method: methods.has(entry.method) ? entry.method : "other",
    status: entry.status === undefined ? "none" : String(entry.status)
  }
  return Effect.all([
    Metric.update(Metric.withAttributes(requests, attributes), 1),
    Metric.update(received, entry.received),
    Metric.update(sent, entry.sent)
  ], { discard: true })
}
