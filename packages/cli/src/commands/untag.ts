import { Remote } from "@effect-oci/remote/Remote"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"

export const untag = Command.make("untag", {
  references: Argument.String("REPO:TAG").pipe(
    Argument.withDescription("a repository, and the tag of it that goes"),
    Flags.inRegistry,
    Argument.variadic({ min: 1 })
  ),
  json: Flags.json
}, ({ json, references }) =>
  Effect.gen(function*() {
    const remote = yield* Remote
    // One that cannot go keeps no other.
    const exits = yield* Effect.forEach(references, (reference) =>
      Effect.exit(report(
        Effect.andThen(remote.untag(reference), json ? Output.json({ reference, untagged: true }) : Effect.void)
      )))
    yield* Exit.asVoidAll(exits)
  })).pipe(Command.withDescription("Takes tags away; what they stood for stays"))
