import { Remote } from "@effect-oci/remote/Remote"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
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
  report(Effect.gen(function*() {
    const remote = yield* Remote
    yield* Effect.forEach(
      references,
      (reference) =>
        Effect.andThen(remote.untag(reference), json ? Output.json({ reference, untagged: true }) : Effect.void),
      { discard: true }
    )
  }))).pipe(Command.withDescription("Takes tags away; what they stood for stays"))
