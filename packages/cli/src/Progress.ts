/**
 * What is being written, as a person watches it: a line for each blob while it moves, and one for all of it. On a terminal
 * only; where stderr is a file or a pipe, nothing is said.
 *
 * @since 1.0.0
 */
import * as Transfer from "@effect-oci/content/Transfer"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import * as Waiting from "@effect-oci/transport/Waiting"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { printable } from "./Failed.ts"
import * as Waits from "./Waits.ts"

/**
 * A place that lines are drawn on, such as `process.stderr`.
 *
 * @category models
 * @since 1.0.0
 */
export interface Screen {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly rows?: number | undefined
  readonly write: (text: string) => unknown
}

interface Moving {
  sent: number
  wait: string
}

const bar = (done: number, of: number, width: number): string => {
  const filled = of === 0 ? width : Math.min(width, Math.floor(done / of * width))
  return `[${"=".repeat(filled)}${" ".repeat(width - filled)}]`
}

const most = 12

/** A console that first makes room for what it prints. */
const after = (room: () => void, console: Console.Console): Console.Console => {
  const first = (print: (...args: ReadonlyArray<unknown>) => void) => (...args: ReadonlyArray<unknown>) => {
    room()
    print(...args)
  }
  return {
    ...console,
    debug: first(console.debug),
    error: first(console.error),
    info: first(console.info),
    log: first(console.log),
    warn: first(console.warn)
  }
}

/**
 * Draws the progress of a write while it runs. `run` is given what has to be told of events.
 *
 * @category rendering
 * @since 1.0.0
 */
export const show = <A, E, R>(
  screen: Screen,
  run: (onEvent: ((event: Transfer.Event) => void) | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  if (screen.isTTY !== true) return run(undefined)
  const moving = new Map<Transfer.Item, Moving>()
  let totals: Transfer.Totals | undefined
  let drawn = 0

  // Of all runs together: the events of each have sums of their own.
  const add = Transfer.teller((event) => totals = event.totals)

  const onEvent = (event: Transfer.Event): void => {
    add(event)
    if (event._tag === "Planned") return
    const blob = moving.get(event.item)
    switch (event._tag) {
      case "Started":
        if (event.item.kind === "blob") moving.set(event.item, { sent: blob?.sent ?? 0, wait: "" })
        break
      case "Bytes":
        if (blob !== undefined) Object.assign(blob, { sent: blob.sent + event.bytes, wait: "" })
        break
      case "Waiting":
        if (blob !== undefined) blob.wait = `, waits ${Math.ceil(event.millis / 1000)} s for ${event.origin}`
        break
      case "Done":
      case "Failed":
        moving.delete(event.item)
    }
  }

  const line = ([item, { sent, wait }]: [Transfer.Item, Moving]): string => {
    const name = item.id.slice(0, 19).padEnd(19)
    return Option.match(item.size, {
      onNone: () => `${name} ${Transfer.formatBytes(sent)}`,
      onSome: (size) => `${name} ${bar(sent, size, 30)} ${Transfer.formatBytes(sent)} of ${Transfer.formatBytes(size)}`
    }) + wait
  }
  // By host: of many requests that wait for one, the first is told of.
  const waits = new Map<string, { readonly text: string; readonly until: number }>()
  const isFirst = Waits.first()
  const onWait = (wait: RetryPolicy.Wait) =>
    Effect.flatMap(isFirst(wait), (isFirst) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const text = printable(Waiting.format(wait))
        if (isFirst) waits.set(Waiting.hostOf(wait), { text, until: now + Duration.toMillis(wait.duration) })
      }))
  const waiting = (now: number) => {
    for (const [host, { until }] of waits) if (until <= now) waits.delete(host)
    return [...waits.values()].map(({ text }) => text)
  }
  const sum = () =>
    totals === undefined
      ? ""
      : `${totals.done} of ${totals.found} done, ${Transfer.formatBytes(Math.max(0, totals.bytes))} sent`
  const erase = () => {
    const text = drawn === 0 ? "" : `\u001b[${drawn}A\u001b[J`
    drawn = 0
    return text
  }
  const draw = Effect.map(Clock.currentTimeMillis, (now) => {
    const all = [...moving]
    const waits = waiting(now)
    // What has left the screen at its top cannot be erased. The last row is the cursor's, two lines are those below the blobs.
    const rows = Math.max(1, (screen.rows || 24) - 1)
    const shown = Math.max(0, Math.min(most, rows - 2 - waits.length))
    const lines = [
      ...all.slice(0, shown).map(line),
      ...(all.length > shown ? [`and ${all.length - shown} more`] : []),
      ...waits,
      sum()
    ].slice(-rows).map((text) => text.slice(0, (screen.columns || 80) - 1))
    screen.write(`${erase()}${lines.join("\n")}\n`)
    drawn = lines.length
  })

  // What is printed meanwhile stays, above what is drawn next.
  const printing = Effect.flatMap(
    Console.Console,
    (console) => Effect.provideService(run(onEvent), Console.Console, after(() => screen.write(erase()), console))
  )
  return Effect.raceFirst(
    Effect.provideService(printing, RetryPolicy.OnWait, onWait),
    Effect.andThen(Effect.repeat(draw, Schedule.spaced("100 millis")), Effect.never)
  ).pipe(Effect.ensuring(Effect.sync(() => screen.write(erase()))))
}
