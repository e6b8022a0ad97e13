/**
 * How many entries a registry is asked for at a time, where it lists tags, repositories or referrers.
 *
 * @since 1.0.0
 */
import type * as Registry from "@effect-oci/name/Registry"
import * as Context from "effect/Context"

/**
 * The size of a page, by registry; nothing leaves it to the registry.
 *
 * **Details**
 *
 * 1000 is the most that all large registries take; some send fewer and name the rest by a link. A registry that refuses the
 * number is asked again without one.
 *
 * @category references
 * @since 1.0.0
 */
export const PageSize = Context.Reference<(registry: Registry.Registry) => number | undefined>(
  "@effect-oci/remote/PageSize",
  { defaultValue: () => () => 1000 }
)
