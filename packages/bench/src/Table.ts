/**
 * Figures of several rounds as a table: the median, how far the rounds were apart, and the ratio to the first peer.
 */

/** One round of one tool. */
export interface Figures {
  readonly cpu: number
  readonly wall: number
  readonly memory: number
  readonly requests: number | undefined
}

export interface Row {
  readonly tool: string
  readonly rounds: ReadonlyArray<Figures>
  /** Why there are no figures, or not of all rounds. */
  readonly failure?: string | undefined
}

/** The middle of what is there; of an even number the mean of both. */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const half = Math.floor(sorted.length / 2)
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

const seconds = (value: number): string => value.toFixed(value < 1 ? 3 : 2)

/** `1.20 (1.18-1.31)` */
const spread = (values: ReadonlyArray<number>, format: (value: number) => string): string =>
  values.length === 1
    ? format(values[0]!)
    : `${format(median(values))} (${format(Math.min(...values))}-${format(Math.max(...values))})`

const ratio = (own: ReadonlyArray<number>, other: ReadonlyArray<number> | undefined): string =>
  other === undefined || other.length === 0 ? "" : (median(own) / median(other)).toFixed(2)

/** A table in Markdown. Ratios are to the tool of that name. */
export const markdown = (rows: ReadonlyArray<Row>, base: string): string => {
  const of = (row: Row | undefined, key: "cpu" | "wall" | "memory") => row?.rounds.map((figures) => figures[key])
  const first = rows.find(({ tool }) => tool === base)
  const line = (row: Row): string => {
    if (row.rounds.length === 0) return `| ${row.tool} | ${row.failure ?? "missing"} | | | | | |`
    const cpu = of(row, "cpu")!
    const wall = of(row, "wall")!
    const requests = row.rounds.flatMap(({ requests }) => requests === undefined ? [] : [requests])
    return [
      "",
      row.failure === undefined ? row.tool : `${row.tool} (${row.failure})`,
      spread(cpu, seconds),
      ratio(cpu, of(first, "cpu")),
      spread(wall, seconds),
      ratio(wall, of(first, "wall")),
      Math.round(Math.max(...of(row, "memory")!)),
      requests.length === 0 ? "" : median(requests),
      ""
    ].join(" | ").trim()
  }
  return [
    `| tool | CPU s | x ${base} | time s | x ${base} | peak MB | requests |`,
    "|---|---|---|---|---|---|---|",
    ...rows.map(line)
  ].join("\n")
}
