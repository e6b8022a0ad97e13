/**
 * Tags: the names that a repository gives to manifests.
 *
 * Implements `<reference>` as a tag of the OCI distribution specification 1.1, "Pulling manifests".
 *
 * @since 1.0.0
 */
import * as Order_ from "effect/Order"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { NameError } from "./NameError.ts"

const syntax = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/

/**
 * A tag, checked on decoding.
 *
 * @category schemas
 * @since 1.0.0
 */
export const Tag = Schema.String.pipe(
  Schema.check(Schema.isPattern(syntax, { expected: "a tag" })),
  Schema.brand("@effect-oci/name/Tag")
).annotate({ identifier: "Tag" })

/**
 * A validated tag.
 *
 * @category models
 * @since 1.0.0
 */
export type Tag = typeof Tag.Type

const rule = (input: string): string => {
  if (input === "") return "must not be empty"
  if (input.length > 128) return "must be at most 128 characters"
  if (/^[.-]/.test(input)) return "must start with a letter, a digit or an underscore"
  return "may hold only letters, digits, underscores, dots and dashes"
}

/**
 * Parses a tag: a letter, digit or underscore, then at most 127 of these, dots and dashes.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (input: string): Result.Result<Tag, NameError> => {
  // Checked right here: this is the boundary at which text becomes a tag.
  if (syntax.test(input)) return Result.succeed(input as Tag)
  const stripped = input.length <= 256 ? input.trim().replace(/^[.-]+/, "") : ""
  return Result.fail(
    new NameError({
      kind: "Tag",
      input,
      detail: rule(input),
      ...(syntax.test(stripped) ? { suggestion: stripped } : {})
    })
  )
}

/**
 * Parses a trusted tag, throwing `NameError` on failure.
 *
 * @category unsafe
 * @since 1.0.0
 */
export const parseUnsafe = (input: string): Tag => Result.getOrThrow(parse(input))

/**
 * Orders tags as text, as registries list them.
 *
 * @category ordering
 * @since 1.0.0
 */
export const Order: Order_.Order<Tag> = Order_.String
