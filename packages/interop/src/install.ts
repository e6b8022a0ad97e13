/**
 * Installs the peers of the interop tests. Further programs may be named: `node src/install.ts registry conformance`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Peer from "./Peer.ts"
import * as peers from "./peers.ts"

const isGoName = (name: string): name is Peer.GoName => Object.hasOwn(Peer.go, name)

const main = Effect.gen(function*() {
  const more = process.argv.slice(2)
  const unknown = more.find((name) => !isGoName(name))
  if (unknown !== undefined) return yield* new Peer.PeerError({ peer: unknown, detail: "no peer of that name" })
  yield* peers.installDebian
  yield* peers.installGo(["crane", "regctl", "oras", ...more.filter(isGoName)])
})

main.pipe(
  Effect.tapError((error) => Console.error(`The interop tests need their peers. ${error.message}`)),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
