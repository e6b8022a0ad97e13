/**
 * What a registry was asked and how it answered, request by request: for a log, and for metrics.
 *
 * @since 1.0.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Headers from "effect/http/Headers"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Bodies from "./internal/bodies.ts"
import * as Redact from "./internal/redact.ts"
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
  /**
   * Of an upload's id as much as tells it from others: who knows the whole can go on with it.
   */
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
 * Hears of a request while it is answered, from whoever finds out.
 *
 * @category models
 * @since 1.0.0
 */
export interface Watch {
  /**
   * Who asks.
   */
  readonly asks: (user: string) => void
  /**
   * How many bytes more of the body were read.
   */
  readonly receives: (size: number) => void
}

/**
 * Whoever watches the request that is answered.
 *
 * @category references
 * @since 1.0.0
 */
export const Watching = Context.Reference<Watch>("@effect-oci/registry/Traffic/Watching", {
  defaultValue: () => ({ asks: () => {}, receives: () => {} })
})

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest | R>

const brief = (path: string): string => path.replace(/(\/blobs\/uploads\/[^/]{8})[^/]+\/?$/, "$1...")

/** A request that is watched, and what was seen of it so far. */
class Seen implements Watch {
  readonly request: HttpServerRequest.HttpServerRequest
  readonly target: Route.Target
  readonly clock: Clock.Clock
  readonly at: number
  user: string | undefined = undefined
  status: number | undefined = undefined
  received = 0
  sent = 0

  constructor(request: HttpServerRequest.HttpServerRequest, clock: Clock.Clock) {
    this.request = request
    this.target = Route.target(request.url)
    this.clock = clock
    this.at = clock.currentTimeMillisUnsafe()
  }

  asks(user: string): void {
    this.user = user
  }

  receives(size: number): void {
    this.received += size
  }

  replied(response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse {
    this.status = response.status
    const { body } = response
    // Whatever the answer has of a body, none is sent.
    if (this.request.method === "HEAD") return response
    if (body._tag === "Uint8Array") this.sent = body.body.length
    return body._tag !== "Stream" ? response : Bodies.mapBody(response, (bytes) =>
      Stream.mapArray(bytes, (chunks) => {
        for (const chunk of chunks) this.sent += chunk.length
        return chunks
      }))
  }

  over(exit: Exit.Exit<unknown, unknown>): Entry {
    return {
      at: this.at,
      method: this.request.method,
      path: brief(this.target.path),
      query: Redact.query(this.request.url.slice(this.target.path.length)),
      endpoint: this.target.route._tag,
      user: this.user,
      address: Option.getOrUndefined(this.request.remoteAddress),
      agent: this.request.headers["user-agent"],
      status: this.status,
      complete: exit._tag === "Success",
      received: this.received,
      sent: this.sent,
      millis: this.clock.currentTimeMillisUnsafe() - this.at
    }
  }
}

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
  Effect.contextWith((context: Context.Context<HttpServerRequest.HttpServerRequest | Scope.Scope>) => {
    const seen = new Seen(Context.get(context, HttpServerRequest.HttpServerRequest), Context.get(context, Clock.Clock))
    return Effect.annotateCurrentSpan("oci.endpoint", seen.target.route._tag).pipe(
      Effect.andThen(Scope.addFinalizerExit(Context.get(context, Scope.Scope), (exit) => tell(seen.over(exit)))),
      Effect.andThen(Effect.provideService(app, Watching, seen)),
      Effect.map((response) => seen.replied(response))
    )
  })

/**
 * Hides in the server's spans what an `Entry` hides of a query, and headers that may hold secrets. It goes around whoever
 * serves: the spans are the server's.
 *
 * **Gotchas**
 *
 * The path is the server's, too, and whole: ids of uploads are in it.
 *
 * @category guarding
 * @since 1.0.0
 */
export const redacting = <A, E, R>(serving: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  serving.pipe(
    Effect.updateService(UrlParams.CurrentRedactedNames, (names) => [...names, ...Redact.parameters]),
    Effect.updateService(Headers.CurrentRedactedNames, (names) => [...names, ...Redact.headers])
  )

const received = Metric.counter("oci_registry_received_bytes", {
  description: "Bytes of request bodies",
  incremental: true
})
const sent = Metric.counter("oci_registry_sent_bytes", { description: "Bytes of response bodies", incremental: true })

// A client's own words make no series of their own.
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])

const series = new Map<string, Metric.Counter<number>>()

/** One for each endpoint, method and status. */
const requests = ({ endpoint, method: said, status }: Entry): Metric.Counter<number> => {
  const method = methods.has(said) ? said : "other"
  const key = `${endpoint} ${method} ${status}`
  const known = series.get(key)
  if (known !== undefined) return known
  const made = Metric.counter("oci_registry_requests", {
    description: "Requests answered, by endpoint, method and status",
    incremental: true,
    attributes: { endpoint, method, status: status === undefined ? "none" : String(status) }
  })
  series.set(key, made)
  return made
}

/**
 * Counts a request in the metrics `oci_registry_requests`, `oci_registry_received_bytes` and `oci_registry_sent_bytes`.
 *
 * @category telling
 * @since 1.0.0
 */
export const measure = (entry: Entry): Effect.Effect<void> =>
  Effect.contextWith((context: Context.Context<never>) => {
    requests(entry).updateUnsafe(1, context)
    received.updateUnsafe(entry.received, context)
    sent.updateUnsafe(entry.sent, context)
    return Effect.void
  })
