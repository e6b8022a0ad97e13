import * as OciLayout from "@effect-oci/layout/OciLayout"
import * as Reference from "@effect-oci/name/Reference"
import { Remote } from "@effect-oci/remote/Remote"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Progress from "../Progress.ts"

export const push = Command.make("push", {
  folder: Argument.String("DIR").pipe(Argument.withDescription("an OCI layout folder")),
  reference: Flags.reference
}, ({ folder, reference }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    const { digest, tag } = yield* Effect.fromResult(Reference.parse(reference))
    const layout = yield* OciLayout.open(folder)
    // What the reference names, if the layout has it under that name; else the one thing there is.
    const named = digest ?? tag
    const descriptor = named === undefined
      ? yield* OciLayout.sole(layout)
      : yield* Effect.catchIf(layout.resolve(named), (error) =>
        error.reason._tag === "NotFound" && digest === undefined, () =>
        OciLayout.sole(layout))
    const copied = yield* Progress.show(process.stderr, (onEvent) =>
      remote.copy({ store: layout, descriptor }, reference, { onEvent }))
    yield* Console.log(String(copied.reference))
  }))).pipe(Command.withDescription("Pushes what an OCI layout folder holds"))
