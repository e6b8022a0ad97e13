import * as Transfer from "@effect-oci/content/Transfer"
import * as WriteGraph from "@effect-oci/content/WriteGraph"
import { Remote } from "@effect-oci/remote/Remote"
import type * as Sync from "@effect-oci/remote/Sync"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Failed, printable, report } from "../Failed.ts"
import * as Flags from "../Flags.ts"
import * as Output from "../Output.ts"
import * as Progress from "../Progress.ts"

const toJson = (synced: Sync.Synced): unknown =>
  synced.outcome === "failed"
    ? {
      tag: synced.tag,
      outcome: "failed",
      error: {
        message: synced.error.message,
        reason: "reason" in synced.error ? innermost(synced.error.reason) : synced.error._tag,
        ...("side" in synced.error ? { side: synced.error.side } : {})
      }
    }
    : synced

/** The reason of a reason: what a program can tell failures apart by. */
const innermost = (reason: object): string => {
  const inner = "reason" in reason && typeof reason.reason === "object" && reason.reason !== null
    ? reason.reason
    : reason
  return "_tag" in inner ? String(inner._tag) : "Unknown"
}

const toText = (synced: Sync.Synced): string => {
  const line = (rest: string) => `${synced.outcome.padEnd(7)} ${printable(synced.tag)}${rest}`
  switch (synced.outcome) {
    case "same":
      return line(` ${synced.digest}`)
    case "copied":
      return line(` ${synced.digest} ${Transfer.formatBytes(synced.bytes)}`)
    case "planned":
      return line(` ${synced.digest} ${WriteGraph.formatSummary(synced.summary)}`)
    case "failed":
      return line(`: ${printable(synced.error.message)}`)
  }
}

interface Options extends Sync.Options {
  readonly json: boolean
}

/** Syncs, a line for each tag; ends with exit code 1 where one failed, once all were tried. */
export const run = (source: string, target: string, { json, ...options }: Options) =>
  report(Effect.gen(function*() {
    const remote = yield* Remote
    const counts = { same: 0, copied: 0, planned: 0, failed: 0 }
    yield* Progress.show(process.stderr, (onEvent) =>
      Stream.runForEach(remote.sync(source, target, { ...options, onEvent }), (synced) => {
        counts[synced.outcome]++
        return json ? Output.json(toJson(synced)) : Console.log(toText(synced))
      }))
    const { copied, failed, planned, same } = counts
    if (copied + failed + planned + same === 0) {
      yield* Console.error("effect-oci: no tag fits, so there was nothing to do")
    } else if (process.stderr.isTTY) {
      yield* Console.error(`${copied} copied, ${same} were the same, ${planned} planned, ${failed} failed`)
    }
    if (failed > 0) {
      return yield* new Failed()
    }
  }))

const patterns = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.between(0, 1000))

export const sync = Command.make("sync", {
  source: Argument.String("SRC").pipe(
    Argument.withDescription("the repository whose tags are copied"),
    Flags.inRegistry
  ),
  target: Argument.String("DST").pipe(Argument.withDescription("the repository that gets them"), Flags.inRegistry),
  include: patterns("include", "only tags that fit this pattern, with * and ?; may be given several times"),
  exclude: patterns("exclude", "no tags that fit this pattern; may be given several times"),
  ...Flags.extent,
  atOnce: Flag.Int("at-once").pipe(
    Flag.withDescription("how many tags are looked at and copied at once; 4 unless told"),
    Flags.positive,
    Flag.withDefault(4)
  ),
  dryRun: Flags.dryRun,
  json: Flags.json
}, ({ source, target, ...options }) => run(source, target, options)).pipe(
  Command.withDescription("Brings the tags of a repository to another one: only what changed, and on after a failure"),
  Command.withExamples([
    { command: "effect-oci sync --include '1.*' --exclude '*-rc*' --json ghcr.io/acme/app registry.acme.dev/app" }
  ])
)
