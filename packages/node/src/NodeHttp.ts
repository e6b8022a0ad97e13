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
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type * as Undici from "@effect/platform-node/Undici"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { lookup as systemLookup } from "node:dns"
import type { LookupFunction } from "node:net"
import { type ConnectionOptions, getCACertificates } from "node:tls"

/**
 * Resolves the names of hosts, as `node:dns` does.
 *
 * @category references
 * @since 1.0.0
 */
export const Lookup = Context.Reference<LookupFunction>("@effect-oci/node/NodeHttp/Lookup", {
  defaultValue: (): LookupFunction => systemLookup
})

/**
 * Gives only addresses that may be dialled where a reply led; what is dialled is what was checked.
 *
 * @category guards
 * @since 1.0.0
 */
export const guardedLookup = (lookup: LookupFunction): LookupFunction => (hostname, options, callback) =>
  lookup(hostname, options, (error, address, family) => {
    if (error !== null) return callback(error, address, family)
    const all = typeof address === "string" ? [{ address, family: family ?? 0 }] : address
    const allowed = all.filter((one) => Address.refusal(hostname, one.address) === undefined)
    const [first] = allowed
    if (first === undefined) return callback(Address.refusal(hostname, all[0]?.address ?? "")!, "", 0)
    return typeof address === "string" ? callback(null, first.address, first.family) : callback(null, allowed)
  })

type TlsOptions = Pick<ConnectionOptions, "ca" | "cert" | "key" | "rejectUnauthorized">

/**
 * The options of `node:tls` for a host.
 *
 * @category conversions
 * @since 1.0.0
 */
export const tlsOptions = ({ ca, cert, key, skipVerify }: Origin.Tls): TlsOptions => ({
  // What is given to Node replaces what it believes otherwise.
  ...(ca === undefined ? {} : { ca: [...getCACertificates("default"), ...ca] }),
  ...(cert === undefined ? {} : { cert }),
  ...(key === undefined ? {} : { key: Redacted.value(key) }),
  ...(skipVerify === true ? { rejectUnauthorized: false } : {})
})

const connectTimeout = 10_000

/** Connections to all hosts, each by its own settings. */
const agent = Effect.fnUntraced(function*(undici: typeof Undici, isGuarded: boolean) {
  const origins = yield* Origin.Origins
  const proxies = yield* Proxy.Proxies
  const lookup = yield* Lookup
  const shared = {
    allowH2: false,
    connections: 64,
    // Artifact Registry's signed locations are longer than Node's own limit of 16 KiB allows.
    maxHeaderSize: 64 * 1024
  }

  const connector = (tls: TlsOptions): Undici.buildConnector.connector => {
    const connect = undici.buildConnector({
      ...tls,
      allowH2: false,
      timeout: connectTimeout,
      lookup: isGuarded ? guardedLookup(lookup) : lookup
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
    const tls = tlsOptions(origins(url.host).tls ?? {})
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
  )
})

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
