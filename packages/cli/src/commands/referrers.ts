import { Remote } from "@effect-oci/remote/Remote"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { printable, report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"

export const referrers = Command.make("referrers", {
  reference: Flags.reference,
  artifactType: Flag.String("artifact-type").pipe(
    Flag.withDescription("only those of this type"),
    Flag.optional
  ),
  json: Flags.json
}, ({ artifactType, json, reference }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    const found = remote.referrers(reference, { artifactType: Option.getOrUndefined(artifactType) })
    yield* Stream.runForEach(found, (referrer) =>
      json
        ? Output.json(Descriptor.toJson(referrer))
        : Console.log(`${referrer.digest} ${printable(referrer.artifactType ?? referrer.mediaType)}`))
  }))).pipe(Command.withDescription("Lists what refers to a manifest: signatures, SBOMs and the like"))
