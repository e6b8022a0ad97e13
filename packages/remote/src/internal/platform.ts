/**
 * Platforms as users write them.
 */
import { ContentError, Invalid } from "@effect-oci/content/ContentError"
import * as Platform from "@effect-oci/spec/Platform"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

export const of = (input: string | Platform.Platform): Effect.Effect<Platform.Platform, ContentError> => {
  if (typeof input === "object") return Effect.succeed(input)
  return Result.match(Platform.parse(input), {
    onFailure: (error) =>
      Effect.fail(
        new ContentError({
          operation: "read",
          location: "platform",
          reason: new Invalid({ detail: error.message })
        })
      ),
    onSuccess: Effect.succeed
  })
}
