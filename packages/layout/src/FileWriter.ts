/**
 * Files that are written from their beginning to their end, and are on the disk then.
 *
 * @since 1.0.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import type * as Scope from "effect/Scope"

/**
 * A file that is being written.
 *
 * @category models
 * @since 1.0.0
 */
export interface FileWriter {
  /**
   * Adds bytes to the end. They may be reused by the caller once it is done.
   */
  readonly append: (bytes: Uint8Array) => Effect.Effect<void, PlatformError.PlatformError>
  /**
   * Waits until all bytes have reached the disk.
   */
  readonly end: Effect.Effect<void, PlatformError.PlatformError>
}

/**
 * Writes to a file that is open and empty.
 *
 * @category models
 * @since 1.0.0
 */
export type Make = (file: FileSystem.File, path: string) => Effect.Effect<FileWriter, never, Scope.Scope>

/** How much is written before the disk is asked to begin with it, in bytes: so there is little left to wait for in the end. */
const stretch = 32 * 1024 * 1024

/**
 * Writes by the file system, which keeps what it was given until the disk is asked to begin with it: every 32 MiB, and in the
 * end.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make: Make = (file) =>
  Effect.map(Effect.scope, (scope) => {
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
      append: (bytes) =>
        Effect.andThen(
          file.writeAll(bytes),
          Effect.suspend(() => {
            size += bytes.length
            return size >= stretch && !isSyncing ? begin : Effect.void
          })
        ),
      end: Effect.suspend(() => Effect.andThen(before, file.sync))
    }
  })

/**
 * How files are written.
 *
 * **Details**
 *
 * The default is `make`; `NodeFileWriter.layer` of `@effect-oci/node` goes past the kernel's cache where it can.
 *
 * @category references
 * @since 1.0.0
 */
export const FileWriting = Context.Reference<Make>("@effect-oci/layout/FileWriter/FileWriting", {
  defaultValue: () => make
})
