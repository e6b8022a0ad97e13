/**
 * Errors as a person reads them: one line, and at most one hint.
 *
 * @since 1.0.0
 */
import { isRegistryError } from "@effect-oci/transport/RegistryError"
import { OnWarning } from "@effect-oci/transport/Warning"
import * as CliOutput from "effect/cli/CliOutput"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as PlatformError from "effect/PlatformError"
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

/** An error, or what caused it where it says nothing itself. */
const messageOf = (error: unknown): string => {
  if (error instanceof Config.ConfigError) return messageOf(error.cause)
  if (!(error instanceof Error)) return String(error)
  if (error instanceof PlatformError.PlatformError && "pathOrDescriptor" in error.reason) {
    const { _tag, pathOrDescriptor } = error.reason
    if (typeof pathOrDescriptor === "string" && _tag !== "Unknown") {
      return `${pathOrDescriptor}: ${_tag.replaceAll(/\B[A-Z]/g, (letter) => ` ${letter}`).toLowerCase()}`
    }
  }
  return error.message === "" && error.cause !== undefined ? messageOf(error.cause) : error.message || error.name
}

/** Whoever reads what is printed has read enough, which is no failure to tell of. */
const isClosedPipe = (error: unknown): boolean =>
  hasProperty(error, "code") && error.code === "EPIPE" ||
  hasProperty(error, "reason") && isClosedPipe(error.reason) ||
  hasProperty(error, "cause") && isClosedPipe(error.cause)

/** What could not be printed: the process tells of that, however it was printed. */
const isOfOutput = (error: unknown): boolean =>
  error instanceof PlatformError.PlatformError && error.reason.module === "Stdio" && error.reason.method === "stdout"

const say = Effect.fnUntraced(function*(message: string, hint: string | undefined) {
  yield* Console.error(`effect-oci: ${printable(message)}`)
  if (hint !== undefined) yield* Console.error(`  ${printable(hint)}`)
  return yield* new Failed()
})

/**
 * Says what is wrong with the arguments as everything else that fails: not with the whole of the help, and not on stdout.
 *
 * @category rendering
 * @since 1.0.0
 */
export const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.ignore(say(
        event.errors.map(messageOf).join("; "),
        `${event.commandPath.join(" ")} --help says what it can be told.`
      ))
      : CliOutput.defaultPresenter.present(event)
}

/**
 * Prints what nobody has expected, as a line and without a trace.
 *
 * @category rendering
 * @since 1.0.0
 */
export const unexpected = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Failed, R> =>
  Effect.catchDefect(self, (defect) => say(messageOf(defect), "This should not happen: effect-oci is mistaken here."))

/**
 * Prints a failure to stderr, as a line and a hint; and what registries warn of meanwhile.
 *
 * @category rendering
 * @since 1.0.0
 */
export const report = <A, E extends Error | Config.ConfigError, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, Failed, R> =>
  Effect.catch(self, (error) =>
    error instanceof Failed
      ? Effect.fail(error)
      : isClosedPipe(error) || isOfOutput(error)
      ? Effect.fail(new Failed())
      : say(messageOf(error), hintOf(error))).pipe(Effect.provideService(
        OnWarning,
        ({ host, text }) => Console.error(`effect-oci: ${host} warns: ${printable(text)}`)
      ))
