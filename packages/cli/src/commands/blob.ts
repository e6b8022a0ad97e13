import { Remote } from "@effect-oci/remote/Remote"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Output from "../Output.ts"

export const blob = Command.make("blob", {
  reference: Argument.String("REPO@DIGEST")
}, ({ reference }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    yield* Output.stream(remote.blob(reference))
  }))).pipe(Command.withDescription("Prints a blob, verified on the way"))
