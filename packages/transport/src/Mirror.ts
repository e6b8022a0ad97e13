/**
 * Where else a repository can be read.
 *
 * **Details**
 *
 * What is read of a repository with mirrors is asked of each of them in turn, then of the registry itself. A mirror has a
 * name of its own, and so credentials of its own, or none: those of the registry never go there. It is written to nowhere
 * but at the registry.
 *
 * @since 1.0.0
 */
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
 * The mirrors of a repository, in the order in which they are asked, for what is named by a tag or by its digest.
 *
 * @category models
 * @since 1.0.0
 */
export interface Lookup {
  (repository: Repository.Repository, by: "tag" | "digest"): ReadonlyArray<Mirror>
}

/**
 * The mirrors, as the transport sees them when its layer is built. None unless told.
 *
 * @category references
 * @since 1.0.0
 */
export const Mirrors = Context.Reference<Lookup>("@effect-oci/transport/Mirror/Mirrors", {
  defaultValue: (): Lookup => () => []
})

/**
 * What there is a mirror of, and where.
 *
 * @category models
 * @since 1.0.0
 */
export interface Rule {
  /**
   * `host[:port][/path]`, with all that is below it.
   */
  readonly of: string
  /**
   * `host[:port][/path]`, which stands in its place.
   */
  readonly at: string
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
}

/** What of a name is below a prefix. */
const below = (name: string, prefix: string): string | undefined =>
  name === prefix ? "" : name.startsWith(`${prefix}/`) ? name.slice(prefix.length) : undefined

/**
 * Mirrors by rules. Of those that fit a repository the ones hold that say the most of its name, in their order.
 *
 * @category constructors
 * @since 1.0.0
 */
export const fromRules = (rules: ReadonlyArray<Rule>): Lookup => (repository, by) => {
  const fitting = rules.filter(({ of }) => below(repository.name, of) !== undefined)
  const most = Math.max(...fitting.map(({ of }) => of.length))
  return fitting.flatMap(({ at, isProxy, of, only }): ReadonlyArray<Mirror> => {
    if (of.length !== most || (only !== undefined && only !== by)) return []
    const mirror = Repository.parse(`${at}${below(repository.name, of)}`)
    return Result.isSuccess(mirror) && mirror.success.name !== repository.name
      ? [{ repository: mirror.success, isProxy: isProxy === true }]
      : []
  })
}

/**
 * Reads from these mirrors. Provide it to the layer of the transport.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer = (rules: ReadonlyArray<Rule>): Layer.Layer<never> => Layer.succeed(Mirrors, fromRules(rules))
