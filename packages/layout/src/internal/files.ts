/**
 * Files that are whole or not there at all.
 */
import type { ContentError } from "@effect-oci/content/ContentError"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Scope from "effect/Scope"
import * as Failure from "./failure.ts"

export interface Files {
  /**
   * Writes a file under a name of its own, and moves it to its place once all bytes have reached the disk. A failure or an
   * interruption leaves nothing.
   */
  readonly write: <A, E, R>(
    what: string,
    fill: (append: (bytes: Uint8Array) => Effect.Effect<void, ContentError>) => Effect.Effect<A, E, R>,
    targetOf: (filled: A) => string
  ) => Effect.Effect<A, E | ContentError, R>
}

/** How much is written before the disk is asked to begin with it, in bytes: so there is little left to wait for in the end. */
const stretch = 32 * 1024 * 1024

/** A file that reaches the disk while it is written. */
const written = (file: FileSystem.File, scope: Scope.Scope) => {
  // A failure is told to the first who asks, and to nobody else.
  let before: Effect.Effect<void, PlatformError.PlatformError> = Effect.void
  let isSyncing = false
  let size = 0
  const begin = Effect.gen(function*() {
    isSyncing = true
    size = 0
    // The file is not closed meanwhile.
    const sync = Effect.ensuring(Effect.uninterruptible(file.sync), Effect.sync(() => isSyncing = false))
    const fiber = yield* Effect.forkIn(sync, scope, { startImmediately: true })
    before = Effect.andThen(before, Fiber.join(fiber))
  })
  return {
    append: (bytes: Uint8Array) =>
      Effect.andThen(
        file.writeAll(bytes),
        Effect.suspend(() => {
          size += bytes.length
          return size >= stretch && !isSyncing ? begin : Effect.void
        })
      ),
    end: Effect.suspend(() => Effect.andThen(before, file.sync))
  }
}

export const make = (
  fs: FileSystem.FileSystem,
  path: Path.Path,
  options: { readonly location: string; readonly temporary: string }
): Files => {
  const mapped = (what: string) => Effect.mapError(Failure.from("write", options.location, what))

  /** Lets a rename in a folder reach the disk. Not every file system can, and then there is nothing to be done. */
  const sync = (folder: string) =>
    Effect.ignore(Effect.scoped(Effect.flatMap(fs.open(folder, { flag: "r" }), (file) => file.sync)))

  return {
    write: (what, fill, targetOf) => {
      const temporary = path.join(options.temporary, crypto.randomUUID())
      // In a scope of its own, made by hand so that the caller's requirements stay as they are: the file has to be closed
      // before it is moved.
      const filled = Effect.acquireUseRelease(
        Scope.make(),
        (scope) =>
          Effect.gen(function*() {
            const file = yield* mapped(what)(
              Scope.provide(fs.open(temporary, { flag: "wx", mode: 0o644 }), scope)
            )
            const { append, end } = written(file, scope)
            const result = yield* fill((bytes) => mapped(what)(append(bytes)))
            yield* mapped(what)(end)
            return result
          }),
        (scope, exit) => Scope.close(scope, exit)
      )
      return Effect.gen(function*() {
        yield* mapped(what)(fs.makeDirectory(options.temporary, { recursive: true }))
        const result = yield* filled
        const target = targetOf(result)
        yield* mapped(what)(fs.makeDirectory(path.dirname(target), { recursive: true }))
        yield* mapped(what)(fs.rename(temporary, target))
        yield* sync(path.dirname(target))
        return result
      }).pipe(Effect.onError(() => Effect.ignore(fs.remove(temporary, { force: true }))))
    }
  }
}
