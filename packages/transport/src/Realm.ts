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
 * @since 1.0.0
 */
import type * as Registry from "@effect-oci/name/Registry"
import * as Context from "effect/Context"
import * as Result from "effect/Result"

/**
 * Hosts, besides a registry's own, that may be given its credentials: registry host to token hosts.
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
  const isOwn = url.hostname === origin.hostname
  if (!isOwn && isInternal(url.hostname)) {
    return Result.fail(`the token realm is at the internal address ${url.hostname}`)
  }
  return Result.succeed({ url, isTrusted: isOwn || (trusted.get(registry.name)?.includes(url.host) ?? false) })
}

/**
 * Whether a host, as a `URL` has normalised it, is an address that only means something on this machine or network:
 * loopback, link-local (cloud metadata is there), private, unspecified.
 *
 * **Gotchas**
 *
 * Says nothing of names that resolve to such an address.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isInternal = (hostname: string): boolean => {
  if (hostname === "localhost" || hostname.endsWith(".localhost")) return true
  if (hostname.startsWith("[")) return isInternal6(hostname.slice(1, -1))
  const parts = hostname.split(".").map(Number)
  return parts.length === 4 && parts.every((part) => Number.isInteger(part)) && isInternal4(parts[0]!, parts[1]!)
}

const isInternal4 = (a: number, b: number): boolean =>
  a === 0 || a === 10 || a === 127 || (a === 100 && b >= 64 && b <= 127) || (a === 169 && b === 254) ||
  (a === 172 && b >= 16 && b <= 31) || (a === 192 && b === 168) || a >= 224

// A `URL` writes IPv6 compressed, in lower case, with embedded IPv4 as two groups of hex.
const isInternal6 = (address: string): boolean => {
  if (address === "::" || address === "::1") return true
  if (/^f[cd]|^fe[89ab]|^ff/.test(address)) return true
  const mapped = /^(?:::ffff:|::ffff:0:|::|64:ff9b::)([0-9a-f]{1,4}):[0-9a-f]{1,4}$/.exec(address)
  if (mapped === null) return false
  const high = Number.parseInt(mapped[1]!, 16)
  return isInternal4(high >> 8, high & 0xff)
}
