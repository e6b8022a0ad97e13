/**
 * How single hosts are reached, where that is not the usual way.
 *
 * **Details**
 *
 * What is set for one host holds for that host and port and for no other: not for a realm, a redirect or a mirror. It is
 * plain data; whoever provides the `HttpClient` makes connections of it.
 *
 * @since 1.0.0
 */
import * as Registry from "@effect-oci/name/Registry"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"

/**
 * Whom to believe at the other end of a connection, and whom to be there.
 *
 * @category models
 * @since 1.0.0
 */
export interface Tls {
  /**
   * Certificates in PEM, to be believed beside those that the platform believes.
   */
  readonly ca?: ReadonlyArray<string> | undefined
  /**
   * A certificate of this client's own, in PEM.
   */
  readonly cert?: string | undefined
  /**
   * Its key, in PEM.
   */
  readonly key?: Redacted.Redacted | undefined
  /**
   * Believes anybody.
   *
   * @default false
   */
  readonly skipVerify?: boolean | undefined
}

/**
 * How a host is reached.
 *
 * @category models
 * @since 1.0.0
 */
export interface Origin {
  /**
   * Whether it is spoken to by plain http. Nothing ever falls back to it.
   *
   * @default true for a loopback host without `tls`, false for all others
   */
  readonly plainHttp?: boolean | undefined
  readonly tls?: Tls | undefined
  /**
   * Whether it may be at an internal address where a reply leads to it: a token server or blob storage in a network of
   * one's own. A registry that is asked itself always may, on any port.
   *
   * @default true for hosts that are configured by their name, false for all others
   */
  readonly internal?: boolean | undefined
}

/**
 * Looks up `host[:port]`. What nobody has set is left out.
 *
 * @category models
 * @since 1.0.0
 */
export interface Lookup {
  (host: string): Origin
}

/**
 * How hosts are reached, as the transport and the connections below it see it when their layers are built.
 *
 * @category references
 * @since 1.0.0
 */
export const Origins = Context.Reference<Lookup>("@effect-oci/transport/Origin/Origins", {
  defaultValue: (): Lookup => () => ({})
})

/** One spelling of a host: Docker Hub by where its API is, without the port that a URL leaves out as well. */
const normalize = (host: string): string => {
  const registry = Registry.parse(host)
  return (Result.isSuccess(registry) ? Registry.apiHost(registry.success) : host.toLowerCase())
    .replace(/(?<=[^:]):(?:443|80)$/, "")
}

/** `*.` stands for all hosts below one, at any port. */
const isWild = (host: string): boolean => host.startsWith("*.")

/**
 * Settings at hand, by `host[:port]`; by `*.host` those of all hosts below one, which yield to a host's own.
 *
 * @category constructors
 * @since 1.0.0
 */
export const fromEntries = (entries: Iterable<readonly [string, Origin]>): Lookup => {
  const origins = new Map<string, Origin>()
  for (const [host, origin] of entries) {
    const key = isWild(host) ? host.toLowerCase() : normalize(host)
    origins.set(key, { ...(isWild(host) ? {} : { internal: true }), ...origins.get(key), ...origin })
  }
  // Those that say the most come first.
  const wild = [...origins.keys()].filter(isWild).toSorted((a, b) => b.length - a.length)
  const nothing: Origin = {}
  return (host) => {
    const name = normalize(host)
    const found = origins.get(name)
    if (found !== undefined || wild.length === 0) return found ?? nothing
    const hostname = name.replace(/:\d+$/, "")
    return origins.get(wild.find((suffix) => hostname.endsWith(suffix.slice(1))) ?? "") ?? nothing
  }
}

/**
 * Puts settings together; of two for the same thing the former holds.
 *
 * @category combining
 * @since 1.0.0
 */
export const firstOf = (...lookups: ReadonlyArray<Lookup>): Lookup => (host) =>
  Object.assign({}, ...lookups.toReversed().map((lookup) => lookup(host)))

/**
 * Whether a registry is spoken to by plain http.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isPlain = (lookup: Lookup, registry: Registry.Registry): boolean => {
  const { plainHttp, tls } = lookup(Registry.apiHost(registry))
  return plainHttp ?? (tls === undefined && Registry.isLoopback(registry))
}

/**
 * Reaches hosts by these settings. Provide it to the layers of the transport and of its `HttpClient`.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer = (lookup: Lookup): Layer.Layer<never> => Layer.succeed(Origins, lookup)
