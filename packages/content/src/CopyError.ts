/**
 * A write that stopped, and what stopped it.
 *
 * @since 1.0.0
 */
import * as Schema from "effect/Schema"
import { ContentError } from "./ContentError.ts"

/**
 * Content that did not get where it was to go.
 *
 * **Details**
 *
 * `written` counts what had been confirmed at the target by then; none of it was named by a manifest or tag that is not
 * itself complete, so running the same write again sends only the rest.
 *
 * @category errors
 * @since 1.0.0
 */
export class CopyError extends Schema.Error<CopyError>("@effect-oci/content/CopyError")({
  _tag: Schema.tag("CopyError"),
  side: Schema.Literals(["source", "target"]),
  subject: Schema.String,
  written: Schema.Natural,
  reason: ContentError
}) {
  /**
   * Whether the same write may succeed later.
   *
   * @since 1.0.0
   */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
  override get message(): string {
    return `copy ${this.subject} stopped at the ${this.side}: ${this.reason.message}`
  }
}

/**
 * Names the side on which a `ContentError` happened.
 *
 * @category constructors
 * @since 1.0.0
 */
export const at = (side: CopyError["side"], subject: string) => (reason: ContentError): CopyError =>
  new CopyError({ side, subject, written: 0, reason })
