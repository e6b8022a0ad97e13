/**
 * The address that a challenge names for tokens, and whether credentials may go there.
 *
 * **Details**
 *
 * A registry can name any address as its realm. Credentials that somebody gave for one host and that are sent to
 * whatever host a reply names are the most common leak of registry clients (CVE-2026-48978 and its kin). So they go only
 * to the registry's own host, on any port; to hosts that are known to belong together; and to the pairs that the caller
 * names. Elsewhere a token is asked for without them.
 *
 * That two hosts share a domain says nothing: below some domains everybody can have a name (`github.io`, the storage hosts
 * of clouds), and no list of them is complete. A token server beside a registry (`auth.corp.example` for
 * `registry.corp.example`) has to be paired.
 *
 * @since 1.0.0
 */
import type * as Registry from "@effect-oci/name/Registry"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"

/**
 * Hosts, besides a registry's own, that may be given its credentials: registry host to token hosts. As the transport sees
 * them when its layer is built.
 *
 * @category references
 * @since 1.0.0
 */
export const TrustedRealms = Context.Reference<ReadonlyMap<string, ReadonlyArray<string>>>(
  "@effect-oci/transport/Realm/TrustedRealms",
  { defaultValue: () => builtIn }
)

const builtIn: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["docker.io", ["auth.docker.io"]],
  ["registry.gitlab.com", ["gitlab.com"]]
])

/**
 * The pairs that are built in, and more: registries and their token servers, each as `host[:port]`.
 *
 * @category constructors
 * @since 1.0.0
 */
export const pairs = (more: Iterable<readonly [string, string]>): ReadonlyMap<string, ReadonlyArray<string>> => {
  const all = new Map(builtIn)
  for (const [registry, host] of more) all.set(registry, [...all.get(registry) ?? [], host])
  return all
}

/**
 * Gives credentials to these token servers as well. Provide it to the layer of the transport.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer = (more: Iterable<readonly [string, string]>): Layer.Layer<never> =>
  Layer.succeed(TrustedRealms, pairs(more))

/**
 * A realm that may be asked for a token.
 *
 * @category models
 * @since 1.0.0
 */
export interface Realm {
  readonly url: URL
  /**
   * Whether credentials may be sent along.
   */
  readonly isTrusted: boolean
}

/**
 * Reads a realm; fails with what is wrong with it.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (
  text: string,
  registry: Registry.Registry,
  origin: URL,
  trusted: ReadonlyMap<string, ReadonlyArray<string>>
): Result.Result<Realm, string> => {
  const url = URL.parse(text)
  if (url === null) return Result.fail("the token realm is not an absolute URL")
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return Result.fail(`the token realm is a ${url.protocol} URL`)
  }
  if (url.protocol === "http:" && origin.protocol === "https:") {
    return Result.fail("the registry is reached by https but its token realm by http")
  }
  if (url.username !== "" || url.password !== "") return Result.fail("the token realm holds user information")
  url.hash = ""
  const isTrusted = url.hostname === origin.hostname || (trusted.get(registry.name)?.includes(url.host) ?? false)
  return Result.succeed({ url, isTrusted })
}
