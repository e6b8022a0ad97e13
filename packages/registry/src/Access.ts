/**
 * What the one who asks may do, for decisions that take more than the path of a request.
 *
 * @since 1.0.0
 */
import * as Context from "effect/Context"

/**
 * What can be done to a repository.
 *
 * @category models
 * @since 1.0.0
 */
export type Action = "pull" | "push" | "delete"

/**
 * Whether the request being answered may do this to a repository. `Auth.guard` sets it; without it all is allowed.
 *
 * **Details**
 *
 * A mount reads from a repository that the path does not name, so the path alone cannot decide it.
 *
 * @category references
 * @since 1.0.0
 */
export const Access = Context.Reference<(repository: string, action: Action) => boolean>(
  "@effect-oci/registry/Access",
  { defaultValue: () => () => true }
)

/**
 * Whose the uploads of the request being answered are, and nobody else's. `Auth.guard` sets it, but not where anybody may push
 * without saying who that is; there, and without a guard, they are of all who know their ids.
 *
 * @category references
 * @since 1.0.0
 */
export const Owner = Context.Reference<string | undefined>("@effect-oci/registry/Access/Owner", {
  defaultValue: () => undefined
})
