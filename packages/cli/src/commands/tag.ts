import { Remote } from "@effect-oci/remote/Remote"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"

export const tag = Command.make("tag", {
  reference: Flags.reference,
  tag: Argument.String("TAG").pipe(Argument.withDescription("the other tag"))
}, ({ reference, tag }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    yield* Console.log((yield* remote.tag(reference, tag)).digest)
  }))).pipe(Command.withDescription("Gives what a reference stands for another tag, in the same repository"))
