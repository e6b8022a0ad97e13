/**
 * Errors as a person reads them: one line, and at most one hint.
 *
 * @since 1.0.0
 */
import { isRegistryError } from "@effect-oci/transport/RegistryError"
import { OnWarning } from "@effect-oci/transport/Warning"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Runtime from "effect/Runtime"

/**
 * A command that failed and has said why.
 *
 * @category errors
 * @since 1.0.0
 */
export class Failed extends Data.TaggedError("Failed") {
  /** It was printed where it happened. */
  override readonly [Runtime.errorReported] = false
}

/**
 * A text that a registry wrote as it pleased, so that no terminal obeys it and no reader is misled.
 *
 * @category rendering
 * @since 1.0.0
 */
export const printable = (text: string): string =>
  text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g, " ")

/** The hint of an error, or of what caused it. */
const hintOf = (error: unknown): string | undefined => {
  if (isRegistryError(error)) return error.hint
  if (hasProperty(error, "reason")) {
    const hint = hintOf(error.reason)
    if (hint !== undefined) return hint
  }
  return hasProperty(error, "cause") ? hintOf(error.cause) : undefined
}

/**
 * Prints a failure to stderr, as a line and a hint; and what registries warn of meanwhile.
 *
 * @category rendering
 * @since 1.0.0
 */
export const report = <A, E extends Error, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, Failed, R> =>
  Effect.catch(self, (error) =>
    Effect.gen(function*() {
      if (error instanceof Failed) return yield* error
      yield* Console.error(`effect-oci: ${printable(error.message)}`)
      const hint = hintOf(error)
      if (hint !== undefined) yield* Console.error(`  ${printable(hint)}`)
      return yield* new Failed()
    })).pipe(Effect.provideService(
      OnWarning,
      ({ host, text }) => Console.error(`effect-oci: ${host} warns: ${printable(text)}`)
    ))
