/**
 * The fast lane: an `HttpClient` whose replies are read into one buffer a connection, again and again, instead of new memory
 * for every chunk. That is most of what a large blob costs.
 *
 * @since 1.0.0
 */
import * as Address from "@effect-oci/transport/Address"
import * as Origin from "@effect-oci/transport/Origin"
import * as Proxy from "@effect-oci/transport/Proxy"
import * as Redact from "@effect-oci/transport/Redact"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Body from "./internal/body.ts"
import type { Connection } from "./internal/connection.ts"
import * as Exchange from "./internal/exchange.ts"
import * as Pool from "./internal/pool.ts"
import { Reply } from "./internal/reply.ts"
import * as NodeDial from "./NodeDial.ts"

/**
 * Options for `make`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * How many connections an origin gets, as long as those come free.
   *
   * @default 64
   */
  readonly connections?: number | undefined
  /**
   * How long a connection that others have is waited for, in milliseconds, before there is one more: they may wait for who waits
   * here.
   *
   * @default 1000
   */
  readonly patience?: number | undefined
  /**
   * How long an idle connection is kept, in milliseconds, where the server does not say.
   *
   * @default 4000
   */
  readonly keepAlive?: number | undefined
  /**
   * How long a connection may take to be made, in milliseconds.
   *
   * @default 10000
   */
  readonly connectTimeout?: number | undefined
}

/** What is kept of a server's own patience, lest both end at the same moment. */
const margin = 1000
const longestKeepAlive = 60_000

/** How many idle connections there are to all origins. */
const mostIdle = 256

/** For how long an origin that closed a connection in use is thought to do so again, in milliseconds. */
const suspicion = 10_000

/** Replies of up to this size that have come with their head free their connection at once. */
const smallBody = 64 * 1024

/**
 * Makes a client over `node:net` and `node:tls` that speaks HTTP/1.1 on kept-alive connections, until the scope is closed.
 *
 * **Details**
 *
 * Redirects are not followed and bodies are never decoded. A request on a kept connection that the server had closed
 * meanwhile is sent once more on a new one, if its body can be; a body that cannot goes on a new one from then on, for a
 * while. Hosts are reached as `Origin.Origins` says when it is made,
 * and under `Address.Guarded` no internal address is. What it cannot do goes to `otherwise`: proxies, upgrades, `Expect`,
 * form data.
 *
 * Whoever reads under `ResponseBody.Lending` is lent the connection's own buffer; to all others chunks are given for good.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = Effect.fnUntraced(function*(
  otherwise: HttpClient.HttpClient,
  options?: Options | undefined
): Effect.fn.Return<HttpClient.HttpClient, never, Scope.Scope> {
  const keepAlive = options?.keepAlive ?? 4000
  const origins = yield* Origin.Origins
  const proxies = yield* Proxy.Proxies
  const lookup = yield* NodeDial.Lookup
  const pooled = (guarded: boolean) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        Pool.make({
          connections: options?.connections ?? 64,
          patience: options?.patience ?? 1000,
          idle: mostIdle,
          connectTimeout: options?.connectTimeout ?? 10_000,
          tls: (host) => NodeDial.tlsOptions(origins(host).tls ?? {}),
          lookup: guarded ? NodeDial.guardedLookup(lookup) : lookup,
          // Node looks nothing up that is an address already.
          refusal: (host) => guarded ? Address.refusal(host) : undefined
        })
      ),
      (pool) => Effect.sync(pool.close)
    )
  const open = yield* pooled(false)
  // Apart, so that a connection that was made without the check is not used where it is asked for.
  const guarded = yield* pooled(true)

  /** Leaves the body on its connection, or takes it off at once where it is all there. */
  const reply = ({ connection, pool, request, signal, url }: Attempt, answered: Exchange.Answered): Reply => {
    const { framing, head, isSent, rest } = answered
    const idle = head.keepAlive === undefined
      ? keepAlive
      : Math.min(head.keepAlive * 1000 - margin, longestKeepAlive)
    const release = (isClean: boolean) => {
      if (!isSent) connection.abort()
      pool.release(url, connection, isClean && isSent && head.isKept ? idle : 0)
    }
    if (framing.size !== undefined && framing.size <= rest.length && framing.size <= smallBody) {
      const bytes = rest.slice(0, framing.size)
      release(framing.size === rest.length)
      return new Reply(request, url.href, head, bytes)
    }
    const body = Body.make(connection, framing, rest, release)
    // Nobody will read it any more.
    signal?.addEventListener("abort", body.close, { once: true })
    const reply = new Reply(request, url.href, head, body)
    if (signal === undefined) forgotten.register(reply, body.close)
    return reply
  }

  const attempt = (
    pool: Pool.Pool,
    request: Exchange.Sendable,
    url: URL,
    signal: AbortSignal | undefined,
    fresh: boolean
  ): Effect.Effect<Reply, Exchange.Broken> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.matchEffect(pool.acquire(url, fresh, restore), {
        onFailure: (cause) => Effect.fail(new Exchange.Broken(Exchange.failed(request, cause), false)),
        onSuccess: (connection) =>
          Effect.matchCauseEffect(restore(Exchange.run(connection, request, url)), {
            onFailure: (cause) => {
              pool.release(url, connection, 0)
              return Effect.failCause(cause)
            },
            onSuccess: (answered) => Effect.succeed(reply({ connection, pool, request, signal, url }, answered))
          })
      })
    )

  /** Origins that have closed a connection in use, and until when what cannot be sent again gets a new one there. */
  const impatient = new Map<string, number>()

  const send = (
    request: Exchange.Sendable,
    url: URL,
    signal: AbortSignal | undefined,
    isGuarded: boolean
  ): Effect.Effect<Reply, HttpClientError.HttpClientError> => {
    const pool = isGuarded ? guarded : open
    const isOnce = request.body._tag === "Stream"
    const fresh = isOnce && (impatient.get(url.origin) ?? 0) > performance.now()
    return Effect.catch(attempt(pool, request, url, signal, fresh), ({ error, isStale }) => {
      if (isStale) impatient.set(url.origin, performance.now() + suspicion)
      return isStale && !isOnce
        ? Effect.mapError(attempt(pool, request, url, signal, true), ({ error }) => error)
        : Effect.fail(error)
    })
  }

  /** With spans, and for whoever may leave a reply alone. */
  const watched = HttpClient.make((request, url, signal, fiber) =>
    // Seen to below.
    Exchange.canSend(request)
      ? send(request, url, signal, fiber.getRef(Address.Guarded))
      : Effect.die(new Error("unreachable"))
  )

  const execute = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.withFiber<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>((fiber) => {
      if (!Exchange.canSend(request)) return otherwise.execute(request)
      const url = Option.getOrUndefined(HttpClientRequest.toUrl(request))
      if (url !== undefined && proxies(url) !== undefined) return otherwise.execute(request)
      return url !== undefined && fiber.getRef(ResponseBody.Attended) &&
          fiber.getRef(HttpClient.TracerDisabledWhen)(request)
        ? send(request, url, undefined, fiber.getRef(Address.Guarded))
        : watched.execute(request)
    })
  return HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
    Effect.flatMap(execute),
    Effect.succeed
  )
})

/** Ends the bodies of replies that nobody holds any more. */
const forgotten = new FinalizationRegistry<() => void>((close) => close())

interface Attempt {
  readonly connection: Connection
  readonly pool: Pool.Pool
  readonly request: HttpClientRequest.HttpClientRequest
  readonly signal: AbortSignal | undefined
  readonly url: URL
}

/**
 * `NodeHttp`, once it is needed: undici and all that comes with it take longer to load than most commands take in all.
 */
const later = Effect.gen(function*() {
  const scope = yield* Effect.scope
  const made = yield* Effect.cached(
    Effect.promise(() => import("./NodeHttp.ts")).pipe(
      Effect.flatMap(({ layer }) => Layer.buildWithScope(layer, scope)),
      Effect.map(Context.get(HttpClient.HttpClient))
    )
  )
  return HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
    Effect.flatMap((request) => Effect.flatMap(made, (client) => client.execute(request))),
    Effect.succeed
  )
})

/**
 * The fast lane, and `NodeHttp` for what it cannot do.
 *
 * **Details**
 *
 * Trace headers are not sent to registries, and headers that may hold secrets are not shown in spans.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.unwrap(
  Effect.map(Effect.flatMap(later, make), (client) => HttpClient.layerMergedContext(Effect.succeed(client)))
).pipe(
  Layer.provideMerge(Layer.mergeAll(
    Layer.succeed(HttpClient.TracerPropagationEnabled, false),
    Layer.succeed(Headers.CurrentRedactedNames, Redact.headers)
  ))
)
