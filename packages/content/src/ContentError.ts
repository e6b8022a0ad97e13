/**
 * Why content could not be read or written, in words shared by every place that keeps it.
 *
 * @since 1.0.0
 */
import * as Duration from "effect/Duration"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"

/**
 * The place does not have the content, or the name.
 *
 * @category errors
 * @since 1.0.0
 */
export class NotFound extends Schema.Error<NotFound>("@effect-oci/content/ContentError/NotFound")({
  _tag: Schema.tag("NotFound"),
  what: Schema.String
}) {
  readonly isRetryable = false
  override get message(): string {
    return `${this.what} not found`
  }
}

/**
 * The bytes are not the ones that the digest names. None of them may be believed.
 *
 * @category errors
 * @since 1.0.0
 */
export class DigestMismatch extends Schema.Error<DigestMismatch>("@effect-oci/content/ContentError/DigestMismatch")({
  _tag: Schema.tag("DigestMismatch"),
  expected: Schema.String,
  actual: Schema.String
}) {
  readonly isRetryable = true
  override get message(): string {
    return `the bytes have digest ${this.actual}, not ${this.expected}`
  }
}

/**
 * The bytes ended before the size that the descriptor names, or the size differs.
 *
 * @category errors
 * @since 1.0.0
 */
export class SizeMismatch extends Schema.Error<SizeMismatch>("@effect-oci/content/ContentError/SizeMismatch")({
  _tag: Schema.tag("SizeMismatch"),
  digest: Schema.String,
  expected: Schema.Natural,
  actual: Schema.Natural
}) {
  readonly isRetryable = true
  override get message(): string {
    return `${this.digest}: ${this.actual} bytes, not ${this.expected}`
  }
}

/**
 * A document that cannot be what its media type says.
 *
 * @category errors
 * @since 1.0.0
 */
export class Invalid extends Schema.Error<Invalid>("@effect-oci/content/ContentError/Invalid")({
  _tag: Schema.tag("Invalid"),
  detail: Schema.String
}) {
  readonly isRetryable = false
  override get message(): string {
    return this.detail
  }
}

/**
 * The place does not take a document because it lacks something that the document names.
 *
 * @category errors
 * @since 1.0.0
 */
export class Incomplete extends Schema.Error<Incomplete>("@effect-oci/content/ContentError/Incomplete")({
  _tag: Schema.tag("Incomplete"),
  detail: Schema.String
}) {
  readonly isRetryable = true
  override get message(): string {
    return this.detail
  }
}

/**
 * No room is left where the content was to be kept.
 *
 * @category errors
 * @since 1.0.0
 */
export class NoSpace extends Schema.Error<NoSpace>("@effect-oci/content/ContentError/NoSpace")({
  _tag: Schema.tag("NoSpace"),
  detail: Schema.String
}) {
  readonly isRetryable = false
  override get message(): string {
    return `no space left: ${this.detail}`
  }
}

/**
 * The place refuses the operation, to this caller or to all.
 *
 * @category errors
 * @since 1.0.0
 */
export class Refused extends Schema.Error<Refused>("@effect-oci/content/ContentError/Refused")({
  _tag: Schema.tag("Refused"),
  detail: Schema.String
}) {
  readonly isRetryable = false
  override get message(): string {
    return this.detail
  }
}

/**
 * What is asked for is not done, by this place or with this kind of content, for anybody.
 *
 * @category errors
 * @since 1.0.0
 */
export class Unsupported extends Schema.Error<Unsupported>("@effect-oci/content/ContentError/Unsupported")({
  _tag: Schema.tag("Unsupported"),
  detail: Schema.String
}) {
  readonly isRetryable = false
  override get message(): string {
    return this.detail
  }
}

/**
 * The place failed for a reason of its own: a network, a disk, a server.
 *
 * @category errors
 * @since 1.0.0
 */
export class Unavailable extends Schema.Error<Unavailable>("@effect-oci/content/ContentError/Unavailable")({
  _tag: Schema.tag("Unavailable"),
  detail: Schema.String
}) {
  readonly isRetryable = true
  override get message(): string {
    return this.detail
  }
}

/**
 * The reasons of a `ContentError`.
 *
 * @category errors
 * @since 1.0.0
 */
export const Reason = Schema.Union([
  NotFound,
  DigestMismatch,
  SizeMismatch,
  Invalid,
  Incomplete,
  NoSpace,
  Refused,
  Unsupported,
  Unavailable
])

/**
 * The reasons of a `ContentError`.
 *
 * @category errors
 * @since 1.0.0
 */
export type Reason = typeof Reason.Type

/**
 * Content that could not be read or written.
 *
 * **Details**
 *
 * `cause` keeps the error of the place itself, such as a `RegistryError` with its request and status. Its message then
 * says more than the reason's and is the one shown.
 *
 * @category errors
 * @since 1.0.0
 */
export class ContentError extends Schema.Error<ContentError>("@effect-oci/content/ContentError")({
  _tag: Schema.tag("ContentError"),
  operation: Schema.Literals(["resolve", "read", "write", "mount", "tag", "list", "delete"]),
  location: Schema.String,
  reason: Reason,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  /**
   * Whether the same operation may succeed later.
   *
   * @since 1.0.0
   */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
  /**
   * How long the place asks to wait, where it does.
   *
   * @since 1.0.0
   */
  get retryAfter(): Duration.Duration | undefined {
    const { cause } = this
    return hasProperty(cause, "retryAfter") && Duration.isDuration(cause.retryAfter) ? cause.retryAfter : undefined
  }
  override get message(): string {
    return this.cause instanceof Error && this.cause.message !== ""
      ? this.cause.message
      : `${this.operation} at ${this.location}: ${this.reason.message}`
  }
}
