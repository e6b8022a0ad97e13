/**
 * Lock files, for writers in several processes.
 */
import type { ContentError } from "@effect-oci/content/ContentError"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Failure from "./failure.ts"

/** The lock file of a layout. */
export const name = ".lock"

/**
 * Holds a lock file meanwhile. A lock that is older than half a minute was left behind by somebody who is no more: what it
 * guards takes milliseconds.
 */
export const locked = (fs: FileSystem.FileSystem, file: string, location: string) => {
  const free = Effect.flatMap(
    fs.stat(file),
    (info) =>
      Effect.clockWith((clock) =>
        Option.match(info.mtime, { onNone: () => 0, onSome: (time) => time.getTime() }) <
            clock.currentTimeMillisUnsafe() - 30_000
          ? fs.remove(file, { force: true })
          : Effect.void
      )
  )
  const take = Effect.scoped(fs.open(file, { flag: "wx" })).pipe(
    Effect.tapError(() => Effect.ignore(free)),
    Effect.retry({
      while: (error) => error.reason._tag === "AlreadyExists",
      schedule: Schedule.spaced("20 millis").pipe(Schedule.upTo({ times: 3000 }))
    }),
    Effect.mapError(Failure.from("write", location, name))
  )
  return <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | ContentError, R> =>
    Effect.acquireUseRelease(take, () => self, () => Effect.ignore(fs.remove(file, { force: true })))
}
