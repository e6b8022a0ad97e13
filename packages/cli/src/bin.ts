/**
 * The entry of the `effect-oci` command.
 */
import * as NodeOci from "@effect-oci/node/NodeOci"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as CliError from "effect/cli/CliError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Runtime from "effect/Runtime"
import * as Cli from "./Cli.ts"
import { report } from "./Failed.ts"

// Nobody sees spans here, nor the stacks of failures, which are values; both cost as much as the requests they are of.
Error.stackTraceLimit = 0

// The console is silent about what it could not write, which whoever reads a file of it would take for the whole. Whoever has read
// enough of a pipe is told nothing.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE" || process.exitCode === 1) return
  process.exitCode = 1
  process.stderr.write(`effect-oci: what was printed is not whole: ${error.message}\n`)
})

// Nor does a command end half-way, or a server at all, because nobody reads its complaints any longer.
process.stderr.on("error", () => {})

// Whoever has started a command is told by what it was interrupted, as shells tell it.
let interrupted = 130
process.once("SIGTERM", () => interrupted = 143)
// A terminal that is closed interrupts, too: what was begun is not left there.
process.once("SIGHUP", () => {
  interrupted = 129
  process.emit("SIGINT")
})

Cli.run.pipe(
  Effect.provideService(References.TracerEnabled, false),
  // What a command prints is data; what is logged goes beside it.
  Effect.provide(Layer.mergeAll(NodeOci.layer, Layer.succeed(References.LogToStderr, true))),
  // What the machine is set up to may make no sense. Of wrong arguments the presenter has told.
  Effect.catchIf(
    (error): error is Exclude<typeof error, CliError.CliError> => !CliError.isCliError(error),
    (error) => report(Effect.fail(error))
  ),
  NodeRuntime.runMain({
    teardown: (exit, onExit) => Runtime.defaultTeardown(exit, (code) => onExit(code === 130 ? interrupted : code))
  })
)
