/**
 * `npm run bench`: runs the cases that are named, or all, and prints a table for each. `--rounds N` changes how often,
 * `--list` says which there are.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { cpus } from "node:os"
import { parseArgs } from "node:util"
import { type Case, cases } from "./cases.ts"
import * as Table from "./Table.ts"
import * as Tools from "./Tools.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string" }, list: { type: "boolean", default: false } }
})

/** Registries and clients take part in cases of their own. */
const other = (name: string): Tools.Tool => ({ name, version: [] })

/** Runs all tools in turn, round after round, beginning with another one each time. */
const run = Effect.fnUntraced(function*(what: Case, tools: ReadonlyArray<Tools.Tool>) {
  const round = yield* what.prepare
  const rows = tools.map((tool) => ({
    tool,
    rounds: [] as Array<Table.Figures>,
    failure: undefined as string | undefined
  }))
  const rounds = values.rounds === undefined ? what.rounds : Number(values.rounds)
  for (let at = 0; at < rounds; at++) {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[(i + at) % rows.length]!
      if (row.failure !== undefined) continue
      const figures = yield* Effect.result(Effect.scoped(round(row.tool)))
      if (figures._tag === "Failure") row.failure = `failed: ${figures.failure.message.slice(0, 120)}`
      else if (figures.success !== undefined) row.rounds.push(figures.success)
      else row.failure = "cannot"
    }
  }
  return rows
    .filter(({ failure }) => failure !== "cannot")
    .map(({ tool, ...row }): Table.Row => ({ ...row, tool: tool.name }))
}, Effect.scoped)

const main = Effect.gen(function*() {
  if (values.list) {
    for (const [name, { title }] of Object.entries(cases)) yield* Console.log(`${name.padEnd(18)}${title}`)
    return
  }
  const unknown = positionals.find((name) => !Object.hasOwn(cases, name))
  if (unknown !== undefined) return yield* Effect.die(new Error(`no case ${unknown}: see --list`))
  const present: Array<Tools.Tool> = []
  const versions: Array<string> = []
  for (const tool of [Tools.ours, ...Tools.peers]) {
    const version = Tools.versionOf(tool)
    versions.push(version === undefined ? `${tool.name} is missing` : `${tool.name} ${version}`)
    if (version !== undefined) present.push(tool)
  }
  const date = new Date(yield* Clock.currentTimeMillis).toISOString().slice(0, 10)
  const [cpu] = cpus()
  yield* Console.log(
    `${date}, Node ${process.version}, ${cpus().length} x ${cpu?.model.trim() ?? "?"}; ${versions.join(", ")}.`
  )
  for (const [name, what] of Object.entries(cases)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue
    const tools = what.base === undefined
      ? present.filter((tool) => what.tools?.includes(tool.name) ?? true)
      : what.tools!.map(other)
    yield* Console.log(`\n### ${what.title} (\`${name}\`)\n`)
    yield* Console.log(Table.markdown(yield* run(what, tools), what.base ?? "crane"))
  }
})

NodeRuntime.runMain(main)
