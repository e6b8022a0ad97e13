/**
 * The table of faults: what a run has shown of each, as Markdown, and what such a table says.
 */
import { measured, type Outcome, peers } from "./measured.ts"

/** The registries that faults are put before, as the table names them. */
export const registries = { registry: "distribution 3", "docker-registry": "distribution 2.8" } as const

export type Registry = keyof typeof registries

/** What became of a fault before one registry. */
export interface Ran {
  readonly row: string
  readonly name: string
  readonly outcome: Outcome
  /** What it cost. */
  readonly came: string
}

/** A line of a table: what became of a fault before each registry. */
export interface Line {
  readonly row: string
  readonly name: string
  readonly ran: ReadonlyArray<string>
}

const cells = (...all: ReadonlyArray<string>) => `| ${all.join(" | ")} |`

const markdown = (head: ReadonlyArray<string>, body: ReadonlyArray<ReadonlyArray<string>>) =>
  [cells(...head), `|${"---|".repeat(head.length)}`, ...body.map((line) => cells(...line))].join("\n")

/** How many of the 43 are survived: by ours, then by the others. */
const survived = (ours: ReadonlyArray<(name: string) => boolean>, side = "") => {
  const cases = [...measured].filter(([name]) => name.startsWith(side))
  return {
    cases: cases.length,
    counts: [
      ...ours.map((isOk) => cases.filter(([name]) => isOk(name)).length),
      ...peers.map((_, at) => cases.filter(([, outcomes]) => outcomes[at] === "ok").length)
    ]
  }
}

const isOk = (lines: ReadonlyArray<Line>, at: number) => (name: string) =>
  lines.find((line) => line.name === name)?.ran[at]?.startsWith("ok ") === true

const linesOf = (runs: ReadonlyArray<ReadonlyMap<string, Ran>>): ReadonlyArray<Line> =>
  [...runs[0]!.values()].map(({ name, row }) => ({
    row,
    name,
    ran: runs.map((run) => {
      const ran = run.get(name)
      return ran === undefined ? "" : `${ran.outcome} ${ran.came}`
    })
  }))

/** The 43 beside what the others came to, and the further ones. */
export const render = (runs: ReadonlyArray<ReadonlyMap<string, Ran>>): string => {
  const lines = linesOf(runs)
  const before = Object.values(registries).map((name) => `before ${name}`)
  const { counts, cases } = survived(runs.map((_, at) => isOk(lines, at)))
  return [
    markdown(["row", "fault", ...before, ...peers], [
      ...lines.flatMap(({ name, ran, row }) => {
        const others = measured.get(name)
        return others === undefined ? [] : [[row, name, ...ran, ...others]]
      }),
      ["", ...[`survived of ${cases}`, ...counts].map((text) => `**${text}**`)]
    ]),
    markdown(
      ["row", "fault", ...before],
      lines.filter(({ name }) => !measured.has(name))
        .toSorted((one, other) => one.row < other.row ? -1 : one.row > other.row ? 1 : 0)
        .map(({ name, ran, row }) => [row, name, ...ran])
    )
  ].join("\n\n")
}

/** The lines of such tables, wherever they are in a text. */
export const parse = (text: string): ReadonlyArray<Line> =>
  text.split("\n").flatMap((line) => {
    const [row, name, ...rest] = line.split("|").slice(1, -1).map((cell) => cell.trim())
    const ran = rest.slice(0, Object.keys(registries).length)
    return row === undefined || name === undefined || !/^(ok|fails|hangs) /.test(ran[0] ?? "")
      ? []
      : [{ row, name, ran }]
  })

/** What it says that is the same each time: the outcomes, without what they cost. */
export const outline = (text: string): ReadonlyArray<string> =>
  parse(text).map(({ name, ran, row }) => cells(row, name, ...ran.map((one) => one.split(" ")[0]!)))

/** How many are survived in all, in short. */
export const summary = (text: string): string => {
  const lines = parse(text)
  const of = (name: string, side?: string) => {
    const { cases, counts } = survived([isOk(lines, 0)], side)
    return [`${cases}${name}`, ...counts.map(String)]
  }
  return markdown(["single faults", "effect-oci", ...peers], [
    of(" in a pull", "pull:"),
    of(" in a push", "push:"),
    of("").map((text) => `**${text}**`)
  ])
}

const tables = /(?<=<!-- tables -->\n)[^]*(?=\n<!-- \/tables -->)/

/** A text with other tables. */
export const replace = (text: string, rendered: string): string => text.replace(tables, () => rendered)
