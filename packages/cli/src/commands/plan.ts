import * as WriteGraph from "@effect-oci/content/WriteGraph"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"
import * as Place from "../Place.ts"

export const plan = Command.make("plan", {
  source: Argument.String("SRC").pipe(Argument.withDescription("a reference, or oci:FOLDER[:TAG]")),
  target: Argument.String("DST").pipe(Argument.withDescription("a reference, or oci:FOLDER[:TAG]")),
  ...Flags.extent,
  format: Flag.Literals("format", ["mermaid", "dot", "json", "summary"]).pipe(
    Flag.withDescription("how the plan is printed; mermaid unless told"),
    Flag.withDefault("mermaid")
  ),
  json: Flags.json
}, ({ format, json, source, target, ...extent }) =>
  report(Effect.gen(function*() {
    const { plan } = yield* Place.plan(source, target, extent)
    switch (json ? "json" : format) {
      case "mermaid":
        return yield* Console.log(WriteGraph.toMermaid(plan))
      case "dot":
        return yield* Console.log(WriteGraph.toDot(plan))
      case "json":
        return yield* Output.json({ ...WriteGraph.toJson(plan), summary: WriteGraph.summary(plan) })
      case "summary":
        return yield* Console.log(WriteGraph.formatSummary(WriteGraph.summary(plan)))
    }
  }))).pipe(
    Command.withDescription("Prints what a copy would write, and in which order"),
    Command.withExamples([{ command: "effect-oci plan --format dot ghcr.io/acme/app:1.2 registry.acme.dev/app:1.2" }])
  )
