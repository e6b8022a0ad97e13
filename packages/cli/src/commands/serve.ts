import * as NodeRegistry from "@effect-oci/node/NodeRegistry"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"

export const serve = Command.make("serve", {
  host: Flag.String("host").pipe(
    Flag.withDescription("the address to listen on; this machine's own unless told"),
    Flag.withDefault("127.0.0.1")
  ),
  port: Flag.Int("port").pipe(Flag.withDescription("the port to listen on; 0 is any that is free"), Flag.withDefault(0))
}, (options) =>
  report(Effect.scoped(Effect.gen(function*() {
    yield* Console.log(yield* NodeRegistry.serve(options))
    return yield* Effect.never
  })))).pipe(Command.withDescription("Serves a registry, and prints its address once it listens"))
