import { Remote } from "@effect-oci/remote/Remote"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { printable, report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"

export const catalog = Command.make("catalog", {
  registry: Argument.String("REGISTRY").pipe(Argument.withDescription("host[:port]")),
  json: Flags.json
}, ({ json, registry }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    yield* Stream.runForEach(remote.catalog(registry), (repository) =>
      json ? Output.json({ repository }) : Console.log(printable(repository)))
  }))).pipe(Command.withDescription("Lists the repositories of a registry, where it tells"))
