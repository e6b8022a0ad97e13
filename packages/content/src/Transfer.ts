/**
 * What moves, told event by event: one shape for what is written and what is read.
 *
 * @since 1.0.0
 */
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Outcome } from "./Store.ts"

/**
 * What is moved. All events of one item carry the same object.
 *
 * @category models
 * @since 1.0.0
 */
export interface Item {
  /**
   * Unlike that of any other item.
   */
  readonly key: string
  /**
   * The digest where it is known, else a name.
   */
  readonly id: string
  readonly kind: "blob" | "manifest" | "tag" | "referrer"
  readonly label: string
  /**
   * In bytes, where it is known.
   */
  readonly size: Option.Option<number>
  /**
   * Where it is written to, or read from.
   */
  readonly location: string
}

/**
 * Sums over all items so far.
 *
 * @category models
 * @since 1.0.0
 */
export interface Totals {
  readonly found: number
  readonly done: number
  readonly failed: number
  /**
   * Bytes that have moved.
   */
  readonly bytes: number
  /**
   * Bytes of all items of known size that were found and that nobody had.
   */
  readonly expected: number
}

/**
 * Something that happened to an item. Sizes are in bytes.
 *
 * - `Found`: it was discovered
 * - `Started`: it is lacking, and on its way
 * - `Bytes`: so many more of its bytes have moved; fewer than none where some are to be moved again
 * - `Waiting`: something failed and is tried again, after so long
 * - `Retrying`: it was done and got lost, or was not there after all, and is written anew
 * - `Done`: it is there
 * - `Failed`: it will not be there. What depends on it is not told of
 *
 * @category models
 * @since 1.0.0
 */
export type Happened =
  | { readonly _tag: "Found"; readonly item: Item }
  | { readonly _tag: "Started"; readonly item: Item }
  | { readonly _tag: "Bytes"; readonly item: Item; readonly bytes: number }
  | {
    readonly _tag: "Waiting"
    readonly item: Item
    readonly origin: string
    readonly millis: number
    readonly isRateLimited: boolean
    readonly detail: string
  }
  | { readonly _tag: "Retrying"; readonly item: Item; readonly was: Outcome }
  | { readonly _tag: "Done"; readonly item: Item; readonly outcome: Outcome | "read"; readonly size: number }
  | { readonly _tag: "Failed"; readonly item: Item; readonly detail: string }

/**
 * Something that happened, and how far everything has come by it. `Planned` says that nothing more will be found.
 *
 * @category models
 * @since 1.0.0
 */
export type Event = (Happened | { readonly _tag: "Planned" }) & { readonly totals: Totals }

/**
 * Adds up what happens, for one listener that returns at once.
 *
 * @category constructors
 * @since 1.0.0
 */
export const teller = (
  listen: ((event: Event) => void) | undefined
): (happened: Happened | { readonly _tag: "Planned" }) => void => {
  if (listen === undefined) return () => {}
  let totals: Totals = { found: 0, done: 0, failed: 0, bytes: 0, expected: 0 }
  return (happened) => {
    totals = added(totals, happened)
    listen({ ...happened, totals })
  }
}

const sizeOf = (item: Item) => Option.getOrElse(item.size, () => 0)

const added = (totals: Totals, happened: Happened | { readonly _tag: "Planned" }): Totals => {
  switch (happened._tag) {
    case "Found":
      return { ...totals, found: totals.found + 1, expected: totals.expected + sizeOf(happened.item) }
    case "Bytes":
      return { ...totals, bytes: totals.bytes + happened.bytes }
    case "Done": {
      const moved = happened.outcome === "sent" || happened.outcome === "read"
      return {
        ...totals,
        done: totals.done + 1,
        expected: totals.expected - (moved ? 0 : sizeOf(happened.item))
      }
    }
    case "Retrying":
      return {
        ...totals,
        done: totals.done - 1,
        expected: totals.expected + (happened.was === "sent" ? 0 : sizeOf(happened.item))
      }
    case "Failed":
      return { ...totals, failed: totals.failed + 1 }
    default:
      return totals
  }
}

/**
 * The events of what `run` does, as a stream.
 *
 * **Details**
 *
 * The work goes on at its own speed, however slowly the stream is read, and is interrupted when it is closed. What a
 * reader has not taken yet is kept short: the bytes of an item are added up, and of its waits the last is kept.
 *
 * @category streaming
 * @since 1.0.0
 */
export const events = <E, R>(
  run: (listen: (event: Event) => void) => Effect.Effect<unknown, E, R>
): Stream.Stream<Event, E, R> =>
  Stream.unwrap(Effect.gen(function*() {
    let pending = new Map<unknown, Event>()
    let wake = () => {}
    const listen = (event: Event) => {
      const isSummed = event._tag === "Bytes" || event._tag === "Waiting"
      const key = isSummed ? `${event._tag} ${event.item.key}` : event
      const before = pending.get(key)
      pending.delete(key)
      pending.set(
        key,
        event._tag === "Bytes" && before?._tag === "Bytes" ? { ...event, bytes: before.bytes + event.bytes } : event
      )
      wake()
    }
    let isOver = false
    const fiber = yield* run(listen).pipe(
      Effect.onExit(() =>
        Effect.sync(() => {
          isOver = true
          wake()
        })
      ),
      Effect.forkScoped({ startImmediately: true })
    )
    const something = Effect.callback<void>((resume) => {
      if (pending.size > 0 || isOver) return resume(Effect.void)
      wake = () => resume(Effect.void)
    })
    const pull = Effect.andThen(
      something,
      Effect.suspend((): Pull.Pull<Arr.NonEmptyReadonlyArray<Event>, E> => {
        const taken = [...pending.values()]
        pending = new Map()
        return Arr.isReadonlyArrayNonEmpty(taken)
          ? Effect.succeed(taken)
          : Effect.andThen(Fiber.join(fiber), Cause.done())
      })
    )
    return Stream.fromPull(Effect.succeed(pull))
  }))

const units = ["B", "kB", "MB", "GB", "TB"]

/**
 * A number of bytes as a person reads it: `41 MB`.
 *
 * @category printing
 * @since 1.0.0
 */
export const formatBytes = (bytes: number): string => {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1)
  const value = bytes / 1000 ** power
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`
}

const detailOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

/**
 * Tells of a stream that is read: that it has started, of its bytes, and that it is done or has failed.
 *
 * @category reading
 * @since 1.0.0
 */
export const reading = (
  descriptor: Descriptor.Descriptor,
  location: string,
  listen: (event: Event) => void
) =>
<E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E, R> =>
  Stream.suspend(() => {
    const tell = teller(listen)
    const item: Item = {
      key: `${location} ${descriptor.digest}`,
      id: descriptor.digest,
      kind: "blob",
      label: descriptor.mediaType,
      size: Option.some(descriptor.size),
      location
    }
    let size = 0
    tell({ _tag: "Found", item })
    tell({ _tag: "Planned" })
    tell({ _tag: "Started", item })
    return Stream.mapArray(self, (chunks) => {
      let bytes = 0
      for (const chunk of chunks) bytes += chunk.length
      size += bytes
      tell({ _tag: "Bytes", item, bytes })
      return chunks
    }).pipe(
      Stream.onExit((exit) =>
        Effect.sync(() =>
          tell(
            Exit.isSuccess(exit)
              ? { _tag: "Done", item, outcome: "read", size }
              : { _tag: "Failed", item, detail: detailOf(exit.cause) }
          )
        )
      )
    )
  })
