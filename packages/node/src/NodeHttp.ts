/**
 * An `HttpClient` that is fit for registries: undici, which neither follows redirects nor decodes bodies, and keeps
 * `Content-Length`.
 *
 * @since 1.0.0
 */
import * as Address from "@effect-oci/transport/Address"
import * as Origin from "@effect-oci/transport/Origin"
import * as Proxy from "@effect-oci/transport/Proxy"
import * as Redact from "@effect-oci/transport/Redact"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type * as Undici from "@effect/platform-node/Undici"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { paced } from "./internal/paced.ts"
import * as NodeDial from "./NodeDial.ts"

const connectTimeout = 10_000

/** Connections to all hosts, each by its own settings. */
const agent = Effect.fnUntraced(function*(undici: typeof Undici, isGuarded: boolean) {
  const origins = yield* Origin.Origins
  const proxies = yield* Proxy.Proxies
  const lookup = yield* NodeDial.Lookup
  const shared = {
    allowH2: false,
    connections: 64,
    // Artifact Registry's signed locations are longer than Node's own limit of 16 KiB allows.
    maxHeaderSize: 64 * 1024
  }

  const connector = (tls: NodeDial.TlsOptions): Undici.buildConnector.connector => {
    const connect = undici.buildConnector({
      ...tls,
      allowH2: false,
      timeout: connectTimeout,
      lookup: isGuarded ? NodeDial.guardedLookup(lookup) : lookup
    })
    return isGuarded
      ? (options, callback) => {
        // Node looks nothing up that is an address already.
        const refusal = Address.refusal(options.hostname)
        return refusal === undefined ? connect(options, callback) : callback(refusal, null)
      }
      : connect
  }

  const dispatcher = (url: URL): Undici.Dispatcher => {
    const tls = NodeDial.tlsOptions(origins(url.host).tls ?? {})
    const proxy = proxies(url)
    return proxy === undefined
      ? new undici.Pool(url.origin, { ...shared, connect: connector(tls) })
      : new undici.ProxyAgent({ ...shared, uri: Redacted.value(proxy), requestTls: tls, connectTimeout })
  }

  return yield* Effect.acquireRelease(
    Effect.sync(() => new undici.Agent({ ...shared, factory: (origin) => dispatcher(new URL(origin)) })),
    (agent) => Effect.promise(() => agent.destroy())
  )
})

const make = Effect.gen(function*() {
  const undici = yield* Effect.promise(() => import("@effect/platform-node/Undici"))
  // Apart, so that a connection that was made without the check is not used where it is asked for.
  const client = (isGuarded: boolean) =>
    Effect.flatMap(
      agent(undici, isGuarded),
      (agent) => Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, agent)
    )
  const open = yield* client(false)
  const guarded = yield* client(true)
  return HttpClient.transform(
    open,
    (reply, request) => Effect.flatMap(Address.Guarded, (isGuarded) => isGuarded ? guarded.execute(request) : reply)
  ).pipe(HttpClient.mapRequestEffect((request) => Effect.map(ResponseBody.OnSent, (told) => kept(request, told))))
})

/** What is handed over as it is. */
const small = 64 * 1024

/** A request whose body may be read ahead of being sent, which undici does: chunks that are lent are valid for one pull. */
const kept = (request: HttpClientRequest.HttpClientRequest, told: () => void): HttpClientRequest.HttpClientRequest => {
  const { body } = request
  if (body._tag !== "Stream" && (body._tag !== "Uint8Array" || body.body.length <= small)) return request
  const stream = body._tag === "Stream" ? body.stream : Stream.succeed(body.body)
  return HttpClientRequest.setBody(
    request,
    HttpBody.stream(
      Stream.map(paced(stream), (chunk) => {
        // Whoever asks for more has got rid of what was before.
        told()
        return new Uint8Array(chunk)
      }),
      body.contentType,
      body.contentLength
    )
  )
}

/**
 * HTTP/1.1 with kept-alive connections.
 *
 * **Details**
 *
 * Blobs in parallel on several connections are faster than on one HTTP/2 connection. Connections are made as
 * `Origin.Origins` and `Proxy.Proxies` say when the layer is built. Trace headers are not sent to registries, and headers
 * that may hold secrets are not shown in spans.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.effect(HttpClient.HttpClient, make).pipe(
  Layer.provideMerge(Layer.mergeAll(
    // Otherwise undici closes the connection after each HEAD.
    Layer.succeed(NodeHttpClient.UndiciOptions, { reset: false }),
    Layer.succeed(HttpClient.TracerPropagationEnabled, false),
    Layer.succeed(Headers.CurrentRedactedNames, Redact.headers)
  ))
)
