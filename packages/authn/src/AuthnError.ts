/**
 * Why credentials could not be found out.
 *
 * @since 1.0.0
 */
import * as Schema from "effect/Schema"

/**
 * A place that may have credentials, and could not be read or written.
 *
 * @category errors
 * @since 1.0.0
 */
export class AuthnError extends Schema.Error<AuthnError>("@effect-oci/authn/AuthnError")({
  _tag: Schema.tag("AuthnError"),
  /**
   * A file's path, a variable, a credential helper's name or a cloud's.
   */
  source: Schema.String,
  reason: Schema.Literals([
    /** the file is there but cannot be read */
    "Unreadable",
    /** the file cannot be written */
    "Unwritable",
    /** the file, or one entry of it, is not what it should be */
    "Malformed",
    /** there is no such program */
    "HelperMissing",
    /** its name is not one that a program may have */
    "HelperName",
    /** it ended with an error */
    "HelperFailed",
    /** it did not end in time */
    "HelperTimedOut",
    /** its output is not what the protocol says */
    "HelperOutput",
    /** an endpoint of a cloud does not answer */
    "Unreachable",
    /** an endpoint of a cloud knows nobody of that name, or answers what it should not */
    "Refused"
  ]),
  detail: Schema.String
}) {
  override get message(): string {
    return `credentials from ${this.source}: ${this.detail}`
  }
}
