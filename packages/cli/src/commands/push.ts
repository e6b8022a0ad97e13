import * as OciLayout from "@effect-oci/layout/OciLayout"
import * as Reference from "@effect-oci/name/Reference"
import type * as Tag from "@effect-oci/name/Tag"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Copying from "./copy.ts"

export const push = Command.make("push", {
  folder: Flags.folder("an OCI layout folder"),
  reference: Flags.reference,
  ...Flags.extent,
  dryRun: Flags.dryRun,
  json: Flags.json
}, ({ folder, reference, ...options }) =>
  report(Effect.gen(function*() {
    const { digest, tag } = yield* Effect.fromResult(Reference.parse(reference))
    const layout = yield* OciLayout.open(folder)
    // What the reference names, if the layout has it under that name; else the one thing there is.
    const has = (tag: Tag.Tag) =>
      layout.resolve(tag).pipe(
        Effect.as(true),
        Effect.catchIf((error) => error.reason._tag === "NotFound", () => Effect.succeed(false))
      )
    const isNamed = digest === undefined && tag !== undefined && (yield* has(tag))
    const source = { path: folder, tag: isNamed ? tag : undefined, digest }
    yield* Copying.run(source, reference, options)
  }))).pipe(
    Command.withDescription("Pushes what an OCI layout folder holds"),
    Command.withExamples([{ command: "effect-oci push --referrers ./folder registry.acme.dev/app:1.2" }])
  )
