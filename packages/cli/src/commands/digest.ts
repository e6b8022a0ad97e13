import { Remote } from "@effect-oci/remote/Remote"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"

export const digest = Command.make(
  "digest",
  { reference: Flags.reference },
  ({ reference }) =>
    report(Effect.gen(function*() {
      const remote = yield* Remote
      yield* Console.log((yield* remote.head(reference)).digest)
    }))
).pipe(Command.withDescription("Prints the digest that a reference stands for"))
