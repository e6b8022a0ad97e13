/**
 * Why a document is not what a specification says.
 *
 * @since 1.0.0
 */
import * as Schema from "effect/Schema"

/**
 * A document that cannot be read.
 *
 * @category errors
 * @since 1.0.0
 */
export class SpecError extends Schema.Error<SpecError>("@effect-oci/spec/SpecError")({
  _tag: Schema.tag("SpecError"),
  /**
   * What was read, such as `manifest`.
   */
  document: Schema.String,
  /**
   * Where in it, such as `layers[2].size`; empty for the document as a whole.
   */
  path: Schema.String,
  reason: Schema.Literals([
    /** not JSON, or not JSON that every reader understands alike */
    "Syntax",
    /** a limit of this library is passed */
    "Limit",
    /** a value is missing, or not of its type */
    "Shape",
    /** Content-Type, `mediaType` and shape disagree */
    "MediaType"
  ]),
  detail: Schema.String
}) {
  override get message(): string {
    return `Invalid ${this.document}${this.path === "" ? "" : ` at ${this.path}`}: ${this.detail}`
  }
}
