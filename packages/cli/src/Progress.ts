/**
 * What is being written, as a person watches it: a line for each blob while it moves, and one for all of it. On a terminal
 * only; where stderr is a file or a pipe, nothing is said.
 *
 * @since 1.0.0
 */
import type * as WriteGraph from "@effect-oci/content/WriteGraph"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"

/**
 * A place that lines are drawn on, such as `process.stderr`.
 *
 * @category models
 * @since 1.0.0
 */
export interface Screen {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly write: (text: string) => unknown
}

interface Moving {
  readonly name: string
  readonly size: Option.Option<number>
  sent: number
}

const units = ["B", "KiB", "MiB", "GiB", "TiB"]

/**
 * A number of bytes as a person reads it: `41 MiB`.
 *
 * @category rendering
 * @since 1.0.0
 */
export const bytes = (size: number): string => {
  const power = size < 1 ? 0 : Math.min(Math.floor(Math.log2(size) / 10), units.length - 1)
  const value = size / 1024 ** power
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`
}

const bar = (done: number, of: number, width: number): string => {
  const filled = of === 0 ? width : Math.min(width, Math.floor(done / of * width))
  return `[${"=".repeat(filled)}${" ".repeat(width - filled)}]`
}

const most = 12

/**
 * Draws the progress of a write while it runs. `run` is given what has to be told of events.
 *
 * @category rendering
 * @since 1.0.0
 */
export const show = <A, E, R>(
  screen: Screen,
  run: (onEvent: ((event: WriteGraph.Event) => void) | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  if (screen.isTTY !== true) return run(undefined)
  const found = new Map<string, Moving>()
  const moving = new Set<Moving>()
  const total = { found: 0, done: 0, bytes: 0 }
  let drawn = 0

  const onEvent = (event: WriteGraph.Event): void => {
    switch (event._tag) {
      case "Found":
        total.found++
        if (event.kind === "blob") found.set(event.id, { name: event.id, size: event.size, sent: 0 })
        break
      case "Started": {
        const blob = found.get(event.id)
        if (blob !== undefined) moving.add(blob)
        break
      }
      case "Bytes": {
        const blob = found.get(event.id)
        if (blob !== undefined) blob.sent += event.bytes
        total.bytes += event.bytes
        break
      }
      case "Done": {
        total.done++
        const blob = found.get(event.id)
        if (blob !== undefined) moving.delete(blob)
      }
    }
  }

  const line = (blob: Moving): string => {
    const name = blob.name.slice(0, 19).padEnd(19)
    return Option.match(blob.size, {
      onNone: () => `${name} ${bytes(blob.sent)}`,
      onSome: (size) => `${name} ${bar(blob.sent, size, 30)} ${bytes(blob.sent)} of ${bytes(size)}`
    })
  }
  const erase = () => drawn === 0 ? "" : `\u001b[${drawn}A\u001b[J`
  const draw = Effect.sync(() => {
    const all = [...moving]
    const lines = [
      ...all.slice(0, most).map(line),
      ...(all.length > most ? [`and ${all.length - most} more`] : []),
      `${total.done} of ${total.found} done, ${bytes(total.bytes)} sent`
    ].map((text) => text.slice(0, (screen.columns || 80) - 1))
    screen.write(`${erase()}${lines.join("\n")}\n`)
    drawn = lines.length
  })

  return Effect.raceFirst(
    run(onEvent),
    Effect.andThen(Effect.repeat(draw, Schedule.spaced("100 millis")), Effect.never)
  ).pipe(Effect.ensuring(Effect.sync(() => screen.write(erase()))))
}
