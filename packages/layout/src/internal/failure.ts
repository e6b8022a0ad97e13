/**
 * What a file system's errors mean for content.
 */
import { ContentError, NoSpace, NotFound, Refused, Unavailable } from "@effect-oci/content/ContentError"
import type * as PlatformError from "effect/PlatformError"
import { hasProperty } from "effect/Predicate"

const isFull = (error: PlatformError.PlatformError): boolean => {
  const cause = "cause" in error.reason ? error.reason.cause : undefined
  return hasProperty(cause, "code") && (cause.code === "ENOSPC" || cause.code === "EDQUOT")
}

const reasonOf = (error: PlatformError.PlatformError, what: string): ContentError["reason"] => {
  if (isFull(error)) return new NoSpace({ detail: what })
  switch (error.reason._tag) {
    case "NotFound":
      return new NotFound({ what })
    case "PermissionDenied":
    case "AlreadyExists":
      return new Refused({ detail: `${what}: ${error.reason._tag}` })
    default:
      return new Unavailable({ detail: error.message })
  }
}

/** The error itself is not kept as the cause: its message names system calls, not content. */
export const from =
  (operation: ContentError["operation"], location: string, what: string) =>
  (error: PlatformError.PlatformError): ContentError =>
    new ContentError({ operation, location, reason: reasonOf(error, what) })
