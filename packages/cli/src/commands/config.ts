import { Remote } from "@effect-oci/remote/Remote"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"

export const config = Command.make("config", {
  reference: Flags.reference,
  platform: Flag.String("platform").pipe(
    Flag.withDescription("of which image, where REF is an index: os/architecture[/variant]; linux/amd64 unless told"),
    Flag.withDefault("linux/amd64")
  )
}, ({ platform, reference }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    const image = yield* remote.image(reference, { platform })
    yield* Output.bytes((yield* image.config).bytes)
  }))).pipe(Command.withDescription("Prints the config of an image, byte for byte"))
