import { Remote } from "@effect-oci/remote/Remote"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"

export const remove = Command.make(
  "delete",
  { reference: Argument.String("REF") },
  ({ reference }) =>
    report(Effect.gen(function*() {
      const remote = yield* Remote
      yield* remote.delete(reference)
    }))
).pipe(Command.withDescription("Deletes a tag, or by digest a manifest with all its tags"))
