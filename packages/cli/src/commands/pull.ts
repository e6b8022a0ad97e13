import * as Reference from "@effect-oci/name/Reference"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Copying from "./copy.ts"

export const pull = Command.make("pull", {
  reference: Flags.reference,
  folder: Flags.folder("an OCI layout folder; made where there is none"),
  ...Flags.extent,
  dryRun: Flags.dryRun,
  json: Flags.json
}, ({ folder, reference, ...options }) =>
  report(Effect.gen(function*() {
    const { tag } = yield* Effect.fromResult(Reference.parse(reference))
    const target = { path: folder, tag, digest: undefined }
    yield* Copying.run(reference, target, options, ({ descriptor }) => descriptor.digest)
  }))).pipe(
    Command.withDescription("Pulls an image, index or artifact into an OCI layout folder"),
    Command.withExamples([{ command: "effect-oci pull --platform linux/arm64 ghcr.io/acme/app:1.2 ./folder" }])
  )
