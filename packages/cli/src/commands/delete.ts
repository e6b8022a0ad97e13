import { Remote } from "@effect-oci/remote/Remote"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"

export const remove = Command.make("delete", {
  reference: Flags.content,
  referrers: Flag.Boolean("referrers").pipe(
    Flag.withDescription("also what refers to it: signatures, SBOMs and the like"),
    Flag.withDefault(false)
  ),
  blob: Flag.Boolean("blob").pipe(
    Flag.withDescription("the digest is a blob's, not a manifest's"),
    Flag.withDefault(false)
  ),
  json: Flags.json
}, ({ blob, json, reference, referrers }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    yield* blob ? remote.deleteBlob(reference) : remote.delete(reference, { referrers })
    if (json) yield* Output.json({ reference, deleted: true })
  }))).pipe(Command.withDescription("Deletes a manifest with all its tags, or a blob; untag removes a tag alone"))
