import { Remote } from "@effect-oci/remote/Remote"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"

export const untag = Command.make("untag", {
  references: Argument.String("REPO:TAG").pipe(Argument.variadic({ min: 1 }))
}, ({ references }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    yield* Effect.forEach(references, remote.untag, { discard: true })
  }))).pipe(Command.withDescription("Takes tags away; what they stood for stays"))
