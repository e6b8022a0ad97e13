/**
 * What a token is asked for: a kind of resource, its name, and the actions on it.
 *
 * The grammar is that of the token specification that registries share:
 * https://distribution.github.io/distribution/spec/auth/scope/
 *
 * @since 1.0.0
 */
import type * as Repository from "@effect-oci/name/Repository"

/**
 * A scope as a token server reads it, such as `repository:library/ubuntu:pull`.
 *
 * @category models
 * @since 1.0.0
 */
export interface AccessScope {
  readonly type: string
  readonly name: string
  /**
   * In alphabetical order, without duplicates.
   */
  readonly actions: ReadonlyArray<string>
}

/**
 * Makes a scope.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = (type: string, name: string, actions: Iterable<string>): AccessScope => ({
  type,
  name,
  actions: [...new Set(actions)].sort()
})

/**
 * Reading a repository.
 *
 * @category constructors
 * @since 1.0.0
 */
export const pull = (repository: Repository.Repository): AccessScope => make("repository", repository.path, ["pull"])

/**
 * Reading and writing a repository.
 *
 * @category constructors
 * @since 1.0.0
 */
export const push = (repository: Repository.Repository): AccessScope =>
  make("repository", repository.path, ["pull", "push"])

/**
 * Reading, writing and deleting in a repository.
 *
 * @category constructors
 * @since 1.0.0
 */
export const remove = (repository: Repository.Repository): AccessScope =>
  make("repository", repository.path, ["pull", "push", "delete"])

/**
 * Listing a registry's repositories.
 *
 * @category constructors
 * @since 1.0.0
 */
export const catalog: AccessScope = make("registry", "catalog", ["*"])

/**
 * Writes a scope as a token server reads it.
 *
 * @category encoding
 * @since 1.0.0
 */
export const format = (scope: AccessScope): string => `${scope.type}:${scope.name}:${scope.actions.join(",")}`

// Whoever asks for more than one repository asks for two or three.
const limit = 8 * 1024

/**
 * Reads the `scope` of a challenge: scopes separated by spaces. What is not a scope is left out, and what is beyond 8 KiB.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parseAll = (text: string): ReadonlyArray<AccessScope> =>
  text.slice(0, limit).split(" ").flatMap((part) => {
    // A name may hold colons (a host with a port); type and actions never do.
    const first = part.indexOf(":")
    const last = part.lastIndexOf(":")
    return first <= 0 || last === first
      ? []
      : [make(part.slice(0, first), part.slice(first + 1, last), part.slice(last + 1).split(",").filter(Boolean))]
  })

/**
 * Joins scopes: one for each resource, with all the actions asked for it, in the order they were first named.
 *
 * @category combining
 * @since 1.0.0
 */
export const join = (...lists: ReadonlyArray<ReadonlyArray<AccessScope>>): ReadonlyArray<AccessScope> => {
  const joined = new Map<string, AccessScope>()
  for (const scope of lists.flat()) {
    const key = `${scope.type}:${scope.name}`
    const before = joined.get(key)
    joined.set(key, before === undefined ? scope : make(scope.type, scope.name, [...before.actions, ...scope.actions]))
  }
  return [...joined.values()]
}
