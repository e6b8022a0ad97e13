import { Remote } from "@effect-oci/remote/Remote"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"

export const manifest = Command.make(
  "manifest",
  { reference: Flags.reference },
  ({ reference }) =>
    report(Effect.gen(function*() {
      const remote = yield* Remote
      const { bytes } = yield* remote.get(reference)
      yield* Output.bytes(bytes)
    }))
).pipe(Command.withDescription("Prints a manifest, byte for byte"))
