import { Remote } from "@effect-oci/remote/Remote"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Progress from "../Progress.ts"

export const copy = Command.make("copy", {
  source: Argument.String("SRC").pipe(Argument.withDescription("the reference to copy")),
  target: Argument.String("DST").pipe(Argument.withDescription("the reference to copy to")),
  concurrency: Flag.Int("concurrency").pipe(
    Flag.withDescription("how many requests and transfers go on at once"),
    Flag.withDefault(16)
  )
}, ({ concurrency, source, target }) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    const copied = yield* Progress.show(process.stderr, (onEvent) =>
      remote.copy(source, target, { concurrency, onEvent }))
    yield* Console.log(String(copied.reference))
  }))).pipe(
    Command.withAlias("cp"),
    Command.withDescription("Copies an image, index or artifact with all that it leads to"),
    Command.withExamples([{ command: "effect-oci copy ghcr.io/acme/app:1.2 registry.acme.dev/app:stable" }])
  )
