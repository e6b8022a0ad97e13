/**
 * The keys under which credentials are kept, and which of them is meant for a resource.
 *
 * @since 1.0.0
 */
import * as Registry from "@effect-oci/name/Registry"
import type * as Repository from "@effect-oci/name/Repository"
import * as Result from "effect/Result"

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
 * One spelling of a key: `host[:port][/path]`, without scheme and API version, Docker Hub under its one name; `undefined`
 * for what names no host.
 *
 * @category normalising
 * @since 1.0.0
 */
export const normalize = (key: string): string | undefined => {
  if (key.length > 1024) return undefined
  const text = key.replace(/^https?:\/\//, "")
  const slash = text.indexOf("/")
  const host = slash === -1 ? text : text.slice(0, slash)
  const path = (slash === -1 ? "" : text.slice(slash)).replace(/^\/v[12](?=\/|$)/, "").replace(/\/+$/, "")
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
  const registry = registryOf(resource)
  if (!("registry" in resource)) return [registry.name]
  const parts = resource.path.split("/")
  return [...parts.map((_, i) => `${registry.name}/${parts.slice(0, parts.length - i).join("/")}`), registry.name]
}
