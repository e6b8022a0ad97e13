/**
 * Which requests go through a proxy.
 *
 * @since 1.0.0
 */
import * as Registry from "@effect-oci/name/Registry"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"

/**
 * Finds the proxy for a URL: its own URL, whose user and password are for the proxy and nobody else; `undefined` for none.
 *
 * @category models
 * @since 1.0.0
 */
export interface Lookup {
  (url: URL): Redacted.Redacted | undefined
}

/**
 * The proxies, as connections see them when their layer is built. None unless told.
 *
 * **Gotchas**
 *
 * A proxy resolves names itself, so that an address behind it cannot be checked; those that are written out are.
 *
 * @category references
 * @since 1.0.0
 */
export const Proxies = Context.Reference<Lookup>("@effect-oci/transport/Proxy/Proxies", {
  defaultValue: (): Lookup => () => undefined
})

/**
 * What is said of proxies in the environment.
 *
 * @category models
 * @since 1.0.0
 */
export interface Options {
  readonly https?: Redacted.Redacted | undefined
  readonly http?: Redacted.Redacted | undefined
  /**
   * What goes without a proxy, separated by commas: hosts with all below them, `.suffix` for what is below only, addresses,
   * networks such as `10.0.0.0/8`, each of them with a port or without; `*` for everything.
   */
  readonly except?: string | undefined
}

/** Whether one entry of `NO_PROXY` names a URL. */
const matches = (entry: string, { hostname, port, protocol }: URL): boolean => {
  if (entry === "*") return true
  const host = hostname.replace(/^\[|\]$/g, "")
  if (entry.includes("/")) {
    const network = IpNetwork.fromString(entry)
    const address = NetAddress.ipFromString(host)
    return Result.isSuccess(network) && Result.isSuccess(address) &&
      IpNetwork.contains(network.success, address.success)
  }
  // An IPv6 address has colons of its own, and a port only behind brackets.
  const colon = /^[^:]*:\d+$|\]:\d+$/.test(entry) ? entry.lastIndexOf(":") : entry.length
  const entryPort = entry.slice(colon + 1)
  if (entryPort !== "" && entryPort !== (port || (protocol === "https:" ? "443" : "80"))) return false
  const bare = entry.slice(0, colon).replace(/^\*(?=\.)/, "").replace(/^\[|\]$/g, "")
  if (bare === "") return false
  return bare.startsWith(".") ? host.endsWith(bare) : host === bare || host.endsWith(`.${bare}`)
}

/** People leave the scheme out, which makes one of the host. */
const withScheme = (proxy: Redacted.Redacted | undefined): Redacted.Redacted | undefined =>
  proxy === undefined || Redacted.value(proxy).includes("://")
    ? proxy
    : Redacted.make(`http://${Redacted.value(proxy)}`, { label: "proxy" })

/**
 * Proxies by the rules that programs share: one for https, one for http, exceptions. What is meant for this machine alone is
 * always one: loopback, and the link-local addresses at which clouds give machines their credentials.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = (options: Options): Lookup => {
  const entries = (options.except ?? "").toLowerCase().split(",").map((entry) => entry.trim()).filter(Boolean)
  const https = withScheme(options.https)
  const http = withScheme(options.http)
  return (url) => {
    const proxy = url.protocol === "https:" ? https : http
    if (proxy === undefined || isNear(url)) return undefined
    return entries.some((entry) => matches(entry, url)) ? undefined : proxy
  }
}

/** No further than the link; of the last two the clouds say so. */
const near = ["169.254.0.0/16", "::ffff:169.254.0.0/112", "fe80::/10", "fd00:ec2::/64"]
  .map((text) => Result.getOrThrow(IpNetwork.fromString(text)))
const metadataHosts = ["metadata.google.internal", "metadata.goog"]

const isNear = ({ host, hostname }: URL): boolean => {
  const address = NetAddress.ipFromString(hostname.replace(/^\[|\]$/g, ""))
  return Result.match(Registry.parse(host), { onFailure: () => false, onSuccess: Registry.isLoopback }) ||
    metadataHosts.includes(hostname.replace(/\.$/, "")) ||
    Result.isSuccess(address) && near.some((network) => IpNetwork.contains(network, address.success))
}

const variable = <A>(name: string, read: (name: string) => Config.Config<A>) =>
  Config.option(read(name.toLowerCase()).pipe(Config.orElse(() => read(name))))

/**
 * The proxies that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name, in lower case or upper.
 *
 * @category config
 * @since 1.0.0
 */
export const fromEnvironment: Effect.Effect<Lookup, Config.ConfigError> = Effect.gen(function*() {
  const https = yield* variable("HTTPS_PROXY", Config.Redacted)
  const http = yield* variable("HTTP_PROXY", Config.Redacted)
  const except = yield* variable("NO_PROXY", Config.String)
  return make({
    https: yield* said("HTTPS_PROXY", https),
    http: yield* said("HTTP_PROXY", http),
    except: Option.getOrUndefined(except)
  })
})

/** A proxy that is empty is none. One that is no URL is told of without being shown: it may hold a password. */
const said = (name: string, proxy: Option.Option<Redacted.Redacted>) => {
  const value = Option.getOrUndefined(Option.filter(proxy, (proxy) => Redacted.value(proxy) !== ""))
  return value === undefined || URL.canParse(Redacted.value(withScheme(value)!))
    ? Effect.succeed(value)
    : Effect.fail(
      new Config.ConfigError(
        new ConfigProvider.SourceError({ message: `${name} is not [http://][user:password@]host[:port]` })
      )
    )
}

/**
 * Goes through the proxies that the environment names.
 *
 * @category layers
 * @since 1.0.0
 */
export const layerEnvironment: Layer.Layer<never, Config.ConfigError> = Layer.effect(Proxies, fromEnvironment)
