import { ContentError, Invalid } from "@effect-oci/content/ContentError"
import * as Transfer from "@effect-oci/content/Transfer"
import * as WriteGraph from "@effect-oci/content/WriteGraph"
import type * as Extent from "@effect-oci/remote/Extent"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"
import * as Place from "../Place.ts"
import * as Progress from "../Progress.ts"
import * as Syncing from "./sync.ts"

/** What a person wants to know besides, on a terminal. */
export const sentence = ({ bytes, mounted, present, sent }: WriteGraph.Report): string =>
  `sent ${sent}, ${Transfer.formatBytes(bytes)}; mounted ${mounted}; ${present} were there`

interface Options extends Extent.Options {
  readonly dryRun: boolean
  readonly json: boolean
}

/** Copies from one place to another, and says what is there then. */
export const run = (
  source: Place.Place,
  target: Place.Place,
  { dryRun, json, ...extent }: Options,
  say: (copied: Place.Target) => string = ({ name }) => name
) =>
  Effect.gen(function*() {
    if (dryRun) {
      const { descriptor, name, plan } = yield* Place.plan(source, target, extent)
      const summary = WriteGraph.summary(plan)
      return yield* json
        ? Output.json({ reference: name, descriptor, summary })
        : Console.log(WriteGraph.formatSummary(summary))
    }
    const copied = yield* Progress.show(
      process.stderr,
      (onEvent) => Place.copy(source, target, { ...extent, onEvent })
    )
    const { bytes, descriptor, mounted, name, present, sent } = copied
    yield* json
      ? Output.json({ reference: name, descriptor, sent, bytes, mounted, present })
      : Console.log(say(copied))
    if (process.stderr.isTTY) yield* Console.error(sentence(copied))
  })

const notOfFolders = new ContentError({
  operation: "read",
  location: "--all-tags",
  reason: new Invalid({ detail: "all tags are copied from one registry to another, not from or to a folder" })
})

export const copy = Command.make(
  "copy",
  {
    source: Argument.String("SRC").pipe(Argument.withDescription("a reference, or oci:FOLDER[:TAG]")),
    target: Argument.String("DST").pipe(Argument.withDescription("a reference, or oci:FOLDER[:TAG]")),
    ...Flags.extent,
    allTags: Flags.toggle(
      "all-tags",
      "all tags of a repository, those made of digests by --digest-tags: SRC and DST name repositories"
    ),
    dryRun: Flags.dryRun,
    json: Flags.json
  },
  ({ allTags, source, target, ...options }) =>
    !allTags
      ? report(run(source, target, options))
      : [source, target].some(Place.folder)
      ? report(Effect.fail(notOfFolders))
      : Syncing.run(source, target, options)
).pipe(
  Command.withAlias("cp"),
  Command.withDescription("Copies an image, index or artifact with all that it leads to"),
  Command.withExamples([
    { command: "effect-oci copy ghcr.io/acme/app:1.2 registry.acme.dev/app:stable" },
    { command: "effect-oci copy --referrers --platform linux/arm64 ghcr.io/acme/app:1.2 oci:./folder:1.2" },
    { command: "effect-oci copy --all-tags ghcr.io/acme/app registry.acme.dev/app" }
  ])
)
