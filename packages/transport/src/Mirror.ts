/**
 * Where else a repository can be read.
 *
 * **Details**
 *
 * What is read of a repository with mirrors is asked of each of them in turn, then of the registry itself or what stands in its
 * place. A mirror has a name of its own, and so credentials of its own, or none: those of the registry never go there. It is
 * written to nowhere but at the registry.
 *
 * @since 1.0.0
 */
import type * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"

/**
 * A repository as a mirror has it.
 *
 * @category models
 * @since 1.0.0
 */
export interface Mirror {
  readonly repository: Repository.Repository
  /**
   * Whether it fetches from whatever registry it is told, by `ns=`.
   */
  readonly isProxy: boolean
}

/**
 * Where a repository is read.
 *
 * @category models
 * @since 1.0.0
 */
export interface Places {
  /**
   * Asked in this order, before the registry itself.
   */
  readonly mirrors: ReadonlyArray<Mirror>
  /**
   * What is asked in place of the registry itself.
   */
  readonly instead?: Mirror | undefined
  /**
   * Who says that nobody is asked for it.
   */
  readonly blocked?: string | undefined
}

/**
 * The places of a repository, for what is named by a tag or by its digest; of a registry as a whole, whether it is blocked.
 *
 * @category models
 * @since 1.0.0
 */
export interface Lookup {
  (resource: Repository.Repository | Registry.Registry, by: "tag" | "digest"): Places
}

/**
 * The mirrors, as the transport sees them when its layer is built. None unless told.
 *
 * @category references
 * @since 1.0.0
 */
export const Mirrors = Context.Reference<Lookup>("@effect-oci/transport/Mirror/Mirrors", {
  defaultValue: (): Lookup => () => ({ mirrors: [] })
})

/**
 * What is said of a part of all names: of a registry, or of repositories of it.
 *
 * @category models
 * @since 1.0.0
 */
export interface Rule {
  /**
   * `host[:port][/path]`, with all that is below it; or `*.host` for all hosts below one.
   */
  readonly of: string
  /**
   * `host[:port][/path]`, which stands in its place. Without it there is no mirror by this rule.
   */
  readonly at?: string | undefined
  /**
   * Whether it is asked in place of the registry itself, not before it.
   *
   * @default false
   */
  readonly isInstead?: boolean | undefined
  /**
   * Whether it is told by `ns=` which registry is meant.
   *
   * @default false
   */
  readonly isProxy?: boolean | undefined
  /**
   * What it is asked for; all unless told.
   */
  readonly only?: "tag" | "digest" | undefined
  /**
   * Who says that nothing of it is asked for: the failure of each request names them.
   */
  readonly blocked?: string | undefined
}

/** How much of a name a prefix says, where it is one; and what is left of the name. */
const match = (name: string, prefix: string): { readonly length: number; readonly rest: string } | undefined => {
  if (!prefix.startsWith("*.")) {
    return name === prefix || name.startsWith(`${prefix}/`)
      // Before a wildcard that says as much.
      ? { length: prefix.length + 0.5, rest: name.slice(prefix.length) }
      : undefined
  }
  const [host] = name.split("/", 1) as [string]
  const hostname = host.replace(/:\d+$/, "")
  return hostname.endsWith(prefix.slice(1)) ? { length: host.length, rest: name.slice(host.length) } : undefined
}

/**
 * Places by rules. Of those that fit a name the ones hold that say the most of it, in their order.
 *
 * @category constructors
 * @since 1.0.0
 */
export const fromRules = (rules: ReadonlyArray<Rule>): Lookup => ({ name }, by) => {
  const fitting = rules.flatMap((rule) => {
    const matched = match(name, rule.of)
    return matched === undefined ? [] : [{ ...matched, rule }]
  })
  const most = Math.max(...fitting.map(({ length }) => length))
  const mirrors: Array<Mirror> = []
  let instead: Mirror | undefined
  let blocked: string | undefined
  for (const { length, rest, rule } of fitting) {
    if (length !== most) continue
    blocked ??= rule.blocked
    if (rule.at === undefined || (rule.only !== undefined && rule.only !== by)) continue
    const repository = Repository.parse(`${rule.at}${rest}`)
    if (Result.isFailure(repository) || repository.success.name === name) continue
    const mirror = { repository: repository.success, isProxy: rule.isProxy === true }
    if (rule.isInstead === true) instead ??= mirror
    else mirrors.push(mirror)
  }
  return { mirrors, instead, blocked }
}

/**
 * Reads from these mirrors. Provide it to the layer of the transport.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer = (rules: ReadonlyArray<Rule>): Layer.Layer<never> => Layer.succeed(Mirrors, fromRules(rules))
