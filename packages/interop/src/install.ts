/**
 * Installs the peers of the interop tests.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as peers from "./peers.ts"

Effect.andThen(peers.installDebian, peers.installGo).pipe(
  Effect.tapError((error) => Console.error(`The interop tests need their peers. ${error.message}`)),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
