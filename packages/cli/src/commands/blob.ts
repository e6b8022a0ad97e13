import { Remote } from "@effect-oci/remote/Remote"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"

export const blob = Command.make("blob", {
  reference: Flags.content,
  offset: Flag.Int("offset").pipe(
    Flag.withDescription("leaves out so many bytes at the front; what is left is not verified"),
    Flag.filter((offset) => offset >= 0, () => "0 or more"),
    Flag.withDefault(0)
  ),
  parts: Flag.Int("parts").pipe(
    Flag.withDescription("how many parts of 8 MiB are fetched at once"),
    Flags.positive,
    Flag.withDefault(1)
  )
}, ({ offset, parts, reference }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    const options = { offset, ...(parts > 1 ? { concurrency: parts } : {}) }
    yield* Output.stream(remote.blob(reference, options))
  }))).pipe(Command.withDescription("Prints a blob, verified on the way"))
