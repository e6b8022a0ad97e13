/**
 * One reading of a blob, for all who want it at the same time.
 *
 * Those who come while the beginning is still held read along. The slowest sets the pace, but nobody waits longer than five
 * seconds for a reader that does not move, or does not come: it goes on with a reading of its own, from where it is.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Body } from "../Store.ts"
import * as Verify from "../Verify.ts"
import type { Others } from "../WriteNode.ts"

/** How many bytes are held of one blob, for those that are behind, and of all that were read for those that come later. */
const windowSize = 2 * 1024 * 1024
const heldSize = 32 * 1024 * 1024
const patience = "5 seconds"

interface Reader {
  at: number
  /** Whether it reads along; else it goes on alone. */
  isAlong: boolean
}

interface Reading<E> {
  readonly chunks: Array<{ readonly at: number; readonly bytes: Uint8Array }>
  readonly readers: Set<Reader>
  readonly others: Others
  /** Where the bytes that are held begin, and where they end. */
  start: number
  end: number
  /** Whether somebody may still come for its beginning. */
  isOpen: boolean
  isHeld: boolean
  exit: Exit.Exit<void, E> | undefined
  /** Wakes all who wait for a change. */
  changed: Set<() => void>
  fiber: Fiber.Fiber<unknown, unknown> | undefined
}

export interface Tee<E> {
  /** Reads along where a reading goes on, or has ended, that still holds its beginning. */
  readonly body: (others: Others) => Body<E, never>
  /** Nobody comes any more: lets go of what is held. */
  readonly forget: () => void
}

export const make = <E>(body: Body<E, never>, size: number): Tee<E> => {
  let current: Reading<E> | undefined

  const change = (reading: Reading<E>): void => {
    const waiting = reading.changed
    reading.changed = new Set()
    for (const wake of waiting) wake()
  }

  /** The next change after this call, not after whenever it is run: nobody misses one that comes in between. */
  const changes = (reading: Reading<E>): Effect.Effect<void> => {
    const { changed } = reading
    return Effect.callback<void>((resume) => {
      const wake = () => resume(Effect.void)
      if (reading.changed !== changed) return wake()
      changed.add(wake)
      return Effect.sync(() => changed.delete(wake))
    })
  }

  /** Where the one is who is furthest behind: whoever is still to come is at the beginning. */
  const least = (reading: Reading<E>): number =>
    reading.isOpen && reading.others.areExpected()
      ? 0
      : Math.min(reading.end, ...Array.from(reading.readers, ({ at }) => at))

  /** Lets go of what nobody needs. */
  const trim = (reading: Reading<E>): void => {
    const needed = least(reading)
    while (reading.chunks.length > 0 && reading.chunks[0]!.at + reading.chunks[0]!.bytes.length <= needed) {
      const { at, bytes } = reading.chunks.shift()!
      reading.start = at + bytes.length
    }
  }

  const leaveBehind = (reading: Reading<E>): void => {
    const behind = least(reading)
    reading.isOpen = false
    // Where nobody is ahead nobody waits.
    const isWaitedFor = Array.from(reading.readers).some(({ at }) => at > behind)
    for (const reader of reading.readers) {
      if (!isWaitedFor || reader.at > behind) continue
      reader.isAlong = false
      reading.readers.delete(reader)
    }
    trim(reading)
    change(reading)
  }

  /** Waits until there is room for more, as long as patience lasts. */
  const room = (reading: Reading<E>): Effect.Effect<void> =>
    Effect.suspend(() => {
      trim(reading)
      if (reading.end - reading.start < windowSize) return Effect.void
      return changes(reading).pipe(
        Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.sync(() => leaveBehind(reading)) }),
        Effect.andThen(room(reading))
      )
    })

  const pump = (reading: Reading<E>) =>
    body(0).pipe(
      Stream.runForEach((chunk) =>
        Effect.suspend(() => {
          // A chunk belongs to its source after this.
          reading.chunks.push({ at: reading.end, bytes: new Uint8Array(chunk) })
          reading.end += chunk.length
          change(reading)
          return room(reading)
        })
      ),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          reading.exit = exit
          change(reading)
        })
      )
    )

  const hold = (reading: Reading<E>, isHeld: boolean): void => {
    if (reading.isHeld !== isHeld) reading.others.held.bytes += isHeld ? reading.end : -reading.end
    reading.isHeld = isHeld
  }

  const begin = (others: Others): Reading<E> => ({
    chunks: [],
    readers: new Set(),
    others,
    isOpen: true,
    isHeld: false,
    start: 0,
    end: 0,
    exit: undefined,
    changed: new Set(),
    fiber: undefined
  })

  /** In one step with the choice of the reading: it may be over a moment later. */
  const join = (others: Others) => {
    others.arrive()
    const isNew = current === undefined || current.start > 0 ||
      current.exit !== undefined && Exit.isFailure(current.exit)
    const reading = isNew ? begin(others) : current!
    current = reading
    const reader: Reader = { at: 0, isAlong: true }
    hold(reading, false)
    reading.readers.add(reader)
    return { isNew, reading, reader }
  }

  /** Whoever leaves last ends the reading; what is small is held for those that are still to come. */
  const leave = (reading: Reading<E>, reader: Reader) =>
    Effect.suspend(() => {
      reading.readers.delete(reader)
      trim(reading)
      change(reading)
      if (reading.readers.size > 0) return Effect.void
      // Whoever knows the size does not ask for the end.
      const isWhole = reading.start === 0 && reading.end === size
      if (isWhole && reading.others.areExpected() && reading.others.held.bytes + reading.end <= heldSize) {
        hold(reading, true)
        return Effect.void
      }
      if (current === reading) current = undefined
      return reading.fiber === undefined ? Effect.void : Fiber.interrupt(reading.fiber)
    })

  const next = (
    reading: Reading<E>,
    reader: Reader
  ): Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, E> =>
    Effect.suspend(() => {
      const found = reading.chunks.find(({ at, bytes }) => at <= reader.at && reader.at < at + bytes.length)
      if (found !== undefined) {
        reader.at = found.at + found.bytes.length
        // It is read further only when the next is asked for, and by then this one is done with.
        change(reading)
        return Effect.succeed([found.bytes])
      }
      if (reading.exit === undefined) return Effect.andThen(changes(reading), next(reading, reader))
      return Exit.isSuccess(reading.exit) ? Cause.done() : Effect.failCause(reading.exit.cause)
    })

  const along = (others: Others): Stream.Stream<Uint8Array, E> =>
    Stream.unwrap(Effect.gen(function*() {
      const { reader, reading } = yield* Effect.acquireRelease(
        Effect.tap(
          Effect.sync(() => join(others)),
          ({ isNew, reading }) =>
            isNew
              ? Effect.map(Effect.forkDetach(Verify.apart(pump(reading))), (fiber) => reading.fiber = fiber)
              : Effect.void
        ),
        ({ reader, reading }) => leave(reading, reader)
      )
      const pull = Stream.fromPull<Uint8Array, E, never, never, never>(
        Effect.succeed(Effect.suspend((): Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, E> =>
          reader.isAlong ? next(reading, reader) : Cause.done()
        ))
      )
      return Stream.concat(
        pull,
        Stream.suspend(() =>
          reader.isAlong ? Stream.empty : body(reader.at)
        )
      )
    }))

  return {
    forget: () => {
      if (current !== undefined) hold(current, false)
      current = undefined
    },
    body: (others) => (offset) => offset === 0 ? along(others) : body(offset)
  }
}
