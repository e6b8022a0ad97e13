import { Remote } from "@effect-oci/remote/Remote"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { printable, report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"

export const catalog = Command.make("catalog", {
  registry: Argument.String("REGISTRY").pipe(Argument.withDescription("host[:port]")),
  json: Flags.json
}, ({ json, registry }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    yield* Output.lines(
      remote.catalog(registry),
      (repository) => json ? JSON.stringify({ repository }) : printable(repository)
    )
  }))).pipe(Command.withDescription("Lists the repositories of a registry, where it tells"))
