/**
 * The one way a name fails to parse.
 *
 * @since 1.0.0
 */
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"

const TypeId = "~@effect-oci/name/NameError"

/**
 * Input that is not a valid name of the given kind.
 *
 * **Details**
 *
 * `detail` names the rule that is broken; `suggestion` is a valid name that may have been meant.
 *
 * @category errors
 * @since 1.0.0
 */
export class NameError extends Schema.Error<NameError>("@effect-oci/name/NameError")({
  _tag: Schema.tag("NameError"),
  kind: Schema.Literals(["Registry", "Repository", "Tag", "Digest", "Reference"]),
  input: Schema.String,
  detail: Schema.String,
  suggestion: Schema.optionalKey(Schema.String)
}) {
  /**
   * Marks this value for `isNameError`.
   *
   * @since 1.0.0
   */
  readonly [TypeId] = TypeId

  override get message(): string {
    const input = this.input.length > 256 ? `${this.input.slice(0, 256)}…` : this.input
    const hint = this.suggestion === undefined ? "" : ` (did you mean ${JSON.stringify(this.suggestion)}?)`
    return `Invalid ${this.kind.toLowerCase()} ${JSON.stringify(input)}: ${this.detail}${hint}`
  }
}

/**
 * Returns `true` when a value is a `NameError`.
 *
 * @category guards
 * @since 1.0.0
 */
export const isNameError = (u: unknown): u is NameError => hasProperty(u, TypeId)
