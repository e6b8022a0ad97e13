/**
 * The keys under which credentials are kept, and which of them is meant for a resource.
 *
 * @since 1.0.0
 */
import * as Registry from "@effect-oci/name/Registry"
import type * as Repository from "@effect-oci/name/Repository"
import * as Result from "effect/Result"
import * as Glob from "./internal/glob.ts"

/**
 * What credentials are looked up for.
 *
 * @category models
 * @since 1.0.0
 */
export type Resource = Repository.Repository | Registry.Registry

/**
 * The registry of a resource.
 *
 * @category getters
 * @since 1.0.0
 */
export const registryOf = (resource: Resource): Registry.Registry =>
  "registry" in resource ? resource.registry : resource

/**
 * The name under which Docker keeps a registry's credentials, in its files and with its helpers.
 *
 * @category getters
 * @since 1.0.0
 */
export const dockerName = (registry: Registry.Registry): string =>
  registry.name === Registry.dockerHub.name ? "https://index.docker.io/v1/" : registry.name

/**
 * Options for `normalize`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * Whether the host may have wildcards: `*` and `?`, neither of which crosses a dot, as in `*.dkr.ecr.*.amazonaws.com`.
   *
   * @default false
   */
  readonly wildcards?: boolean | undefined
}

/**
 * One spelling of a key: `host[:port][/path]`, without scheme and API version, Docker Hub under its one name; `undefined`
 * for what names no host.
 *
 * @category normalising
 * @since 1.0.0
 */
export const normalize = (key: string, options?: Options | undefined): string | undefined => {
  if (key.length > 1024) return undefined
  const text = key.replace(/^https?:\/\//i, "")
  const slash = text.indexOf("/")
  const host = slash === -1 ? text : text.slice(0, slash)
  // A version of the API is part of a URL. Without a scheme, `host/v1` is a folder as any other: its credentials are not the
  // host's.
  const version = text === key ? /^\/v[12]\/$/ : /^\/v[12](?=\/|$)/
  const path = (slash === -1 ? "" : text.slice(slash)).replace(version, "").replace(/\/+$/, "")
  if (options?.wildcards === true && Glob.isPattern(host)) {
    const pattern = Glob.parse(host)
    return pattern === undefined ? undefined : pattern + path
  }
  return Result.match(Registry.parse(host), {
    onFailure: () => undefined,
    onSuccess: (registry) => registry.name + path
  })
}

/**
 * The keys that may hold credentials for a resource, most specific first: the repository, each folder above it, the
 * registry. Never a sibling's.
 *
 * @category matching
 * @since 1.0.0
 */
export const candidates = (resource: Resource): ReadonlyArray<string> => {
  const { name } = registryOf(resource)
  return pathsOf(resource).map((path) => name + path)
}

/** What may stand behind the host: the repository's path, each folder above it, nothing. */
const pathsOf = (resource: Resource): ReadonlyArray<string> => {
  if (!("registry" in resource)) return [""]
  const parts = resource.path.split("/")
  return [...parts.map((_, i) => `/${parts.slice(0, parts.length - i).join("/")}`), ""]
}

/**
 * Values by key.
 *
 * @category models
 * @since 1.0.0
 */
export interface Keyring<A> {
  /**
   * The values that are meant for a resource, most specific first: a longer path before a shorter one, a host as it is
   * written before one with wildcards.
   */
  readonly find: (resource: Resource) => ReadonlyArray<A>
}

/**
 * Values by key. Keys are spelled as `normalize` spells them, wildcards included.
 *
 * @category matching
 * @since 1.0.0
 */
export const keyring = <A>(entries: Iterable<readonly [string, A]>): Keyring<A> => {
  const exact = new Map<string, A>()
  const patterns: Array<{ readonly host: string; readonly path: string; readonly value: A }> = []
  for (const [key, value] of entries) {
    const slash = key.indexOf("/")
    const [host, path] = slash === -1 ? [key, ""] : [key.slice(0, slash), key.slice(slash)]
    if (Glob.isPattern(host)) patterns.push({ host, path, value })
    else exact.set(key, value)
  }
  // Of two patterns, the one that says more comes first.
  const literals = (host: string) => host.replaceAll(/[*?]/g, "").length
  patterns.sort((a, b) => literals(b.host) - literals(a.host))
  return {
    find: (resource) => {
      const { name } = registryOf(resource)
      const hosts = patterns.filter(({ host }) => Glob.matches(host, name))
      return pathsOf(resource).flatMap((path) => [
        ...(exact.has(name + path) ? [exact.get(name + path)!] : []),
        ...hosts.filter((pattern) => pattern.path === path).map(({ value }) => value)
      ])
    }
  }
}
