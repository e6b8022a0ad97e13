import * as Copy from "@effect-oci/content/Copy"
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

export const pull = Command.make("pull", {
  reference: Flags.reference,
  folder: Argument.String("DIR").pipe(Argument.withDescription("an OCI layout folder; made where there is none"))
}, ({ folder, reference }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    const { digest, repository, tag } = yield* Effect.fromResult(Reference.parse(reference))
    const source = yield* remote.store(repository)
    const found = yield* remote.head(reference)
    const layout = yield* OciLayout.make(folder)
    // Without a tag the layout could not say what in it was meant.
    const tags = tag === undefined ? [] : [tag]
    const { descriptor } = yield* Progress.show(
      process.stderr,
      (onEvent) => Copy.copy(source, layout, found, { tags, onEvent })
    )
    if (tags.length === 0) yield* layout.list(descriptor)
    yield* Console.log(digest ?? descriptor.digest)
  }))).pipe(Command.withDescription("Pulls an image, index or artifact into an OCI layout folder"))
