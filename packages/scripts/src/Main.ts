/**
 * How a check runs as a program: on Node's services, one line on stderr and exit code 1 when it fails.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

/**
 * Runs a check.
 */
export const run = <A, E extends Error>(check: Effect.Effect<A, E, NodeServices.NodeServices>): void =>
  check.pipe(
    Effect.tapError((error) => Console.error(error.message)),
    Effect.provide(NodeServices.layer),
    NodeRuntime.runMain({ disableErrorReporting: true })
  )
