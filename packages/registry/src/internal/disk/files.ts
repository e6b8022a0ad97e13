/**
 * Files that are whole or not there at all, and stay there once they are said to.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import { hasProperty } from "effect/Predicate"
import { StorageError } from "../../Storage.ts"

export interface Info {
  readonly size: number
  readonly inode: bigint
  readonly modified: number
}

export interface Options {
  /** Whether what is said to be there survives a loss of power. */
  readonly durable: boolean
}

const codeOf = (error: PlatformError.PlatformError): unknown => {
  const cause = "cause" in error.reason ? error.reason.cause : undefined
  return hasProperty(cause, "code") ? cause.code : undefined
}

const toStorageError = (error: PlatformError.PlatformError): StorageError => {
  const code = codeOf(error)
  return code === "ENOSPC" || code === "EDQUOT"
    ? new StorageError({ reason: "NoSpace", detail: "there is no space left" })
    // Paths are for the log: clients get to read this.
    : new StorageError({ reason: "Failed", detail: `the storage failed: ${code ?? error.reason._tag}` })
}

/** Says what an error of the file system means to whoever uses the storage, and all of it to the log. */
export const attempt = <A, R>(
  self: Effect.Effect<A, PlatformError.PlatformError, R>
): Effect.Effect<A, StorageError, R> =>
  Effect.catch(
    self,
    (error) => Effect.andThen(Effect.logError(error.message, codeOf(error)), Effect.fail(toStorageError(error)))
  )

export const infoOf = (info: FileSystem.File.Info | undefined): Info | undefined =>
  info?.type === "File"
    ? {
      size: Number(info.size),
      inode: Option.getOrElse(info.ino, () => 0n),
      modified: Option.match(info.mtime, { onNone: () => 0, onSome: (time) => time.getTime() })
    }
    : undefined

export type Files = ReturnType<typeof make>

export const make = (fs: FileSystem.FileSystem, path: Path.Path, root: string, options: Options) => {
  /** There is nothing where nothing is, nor where nothing can be. */
  const absent = <A, R>(self: Effect.Effect<A, PlatformError.PlatformError, R>) =>
    Effect.catchIf(
      self,
      (error) => error.reason._tag === "NotFound" || codeOf(error) === "ENAMETOOLONG",
      (): Effect.Effect<A | undefined> => Effect.undefined
    )

  const trySync = (folder: string) =>
    Effect.scoped(Effect.flatMap(fs.open(folder, { flag: "r" }), (file) => file.sync)).pipe(
      // Not every system can do this to a folder, and then there is nothing to be done.
      Effect.catchIf(
        (error) => ["EISDIR", "EPERM", "EACCES", "EINVAL"].includes(String(codeOf(error))),
        () => Effect.void
      ),
      attempt
    )

  const making = new Map<string, Deferred.Deferred<void, StorageError>>()
  const syncing = new Set<string>()
  const waiting = new Map<string, Deferred.Deferred<void, StorageError>>()

  /** Who comes while a folder is synced waits for the next time, and all who wait share that. */
  const sync = (folder: string): Effect.Effect<void, StorageError> =>
    Effect.suspend(() => {
      if (!options.durable) return Effect.void
      const made = making.get(folder)
      // What is in a folder lasts no longer than the folder.
      if (made !== undefined) return Effect.andThen(Deferred.await(made), sync(folder))
      if (!syncing.has(folder)) return syncNow(folder)
      const next = waiting.get(folder) ?? Deferred.makeUnsafe<void, StorageError>()
      waiting.set(folder, next)
      return Deferred.await(next)
    })

  const syncNow = (folder: string): Effect.Effect<void, StorageError> =>
    Effect.suspend(() => {
      syncing.add(folder)
      return trySync(folder)
    }).pipe(
      Effect.ensuring(Effect.suspend(() => {
        syncing.delete(folder)
        const next = waiting.get(folder)
        waiting.delete(folder)
        return next === undefined
          ? Effect.void
          : Effect.forkDetach(Deferred.into(syncNow(folder), next), { startImmediately: true })
      })),
      Effect.uninterruptible
    )

  /** One after the other: all at once, Node tries for ever where the system lets nobody make any, as in `/proc`. */
  const makeAll = (folder: string): Effect.Effect<void, PlatformError.PlatformError> => {
    const make = Effect.catchReason(
      fs.makeDirectory(folder),
      "PlatformError",
      "AlreadyExists",
      () => Effect.void
    )
    const parent = path.dirname(folder)
    return parent === folder ? make : Effect.catchReason(
      make,
      "PlatformError",
      "NotFound",
      () => Effect.andThen(makeAll(parent), make)
    )
  }

  const makeFolder = (folder: string): Effect.Effect<void, StorageError> =>
    Effect.suspend(() => {
      const others = making.get(folder)
      if (others !== undefined) return Deferred.await(others)
      const made = Deferred.makeUnsafe<void, StorageError>()
      making.set(folder, made)
      return Effect.gen(function*() {
        yield* attempt(makeAll(folder))
        for (let parent = folder; parent.length > root.length;) {
          parent = path.dirname(parent)
          yield* sync(parent)
        }
      }).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            making.delete(folder)
            Deferred.doneUnsafe(made, exit)
          })
        ),
        Effect.uninterruptible
      )
    })

  /** In a folder that is made when it turns out to be missing. */
  const within = <A>(folder: string, self: Effect.Effect<A, PlatformError.PlatformError>) =>
    Effect.catchReason(
      self,
      "PlatformError",
      "NotFound",
      () => Effect.andThen(makeFolder(folder), attempt(self))
    ).pipe(Effect.catchTag("PlatformError", (error) => attempt(Effect.fail(error))))

  const temporary = () => path.join(root, "temporary", crypto.randomUUID())

  const remove = (file: string): Effect.Effect<boolean, StorageError> =>
    attempt(Effect.map(absent(Effect.as(fs.remove(file), true)), (removed) => removed === true))

  /** Moves what another process may have moved by now; whether it was there. */
  const tryMove = (from: string, to: string): Effect.Effect<boolean, StorageError> =>
    Effect.andThen(
      attempt(makeAll(path.dirname(to))),
      attempt(Effect.map(absent(Effect.as(fs.rename(from, to), true)), (moved) => moved === true))
    )

  /** Makes an empty file, or one that is there a new one. */
  const create = (file: string): Effect.Effect<void, StorageError> =>
    within(path.dirname(file), Effect.scoped(Effect.asVoid(fs.open(file, { flag: "w", mode: 0o644 }))))

  /** Lets the bytes of a file reach the disk. */
  const flush = (file: string): Effect.Effect<void, StorageError> =>
    options.durable
      ? attempt(Effect.scoped(Effect.flatMap(fs.open(file, { flag: "r+" }), (open) => open.sync)))
      : Effect.void

  const move = (from: string, to: string) => within(path.dirname(to), fs.rename(from, to))

  /** Writes a file that only its name gives a place. */
  const stage = (bytes: Uint8Array): Effect.Effect<string, StorageError> =>
    Effect.suspend(() => {
      const file = temporary()
      return Effect.scoped(Effect.gen(function*() {
        const open = yield* fs.open(file, { flag: "wx", mode: 0o644 })
        yield* open.writeAll(bytes)
        if (options.durable) yield* open.sync
      })).pipe(
        attempt,
        Effect.as(file),
        Effect.onError(() => Effect.ignore(fs.remove(file, { force: true })))
      )
    })

  return {
    fs,
    path,
    root,
    makeFolder,
    sync,
    temporary,
    remove,
    create,
    flush,
    move,
    tryMove,

    /** Moves a file back to where it was, unless there is another one by now. */
    restore: (from: string, to: string): Effect.Effect<void, StorageError> =>
      Effect.andThen(
        attempt(Effect.catchReason(fs.link(from, to), "PlatformError", "AlreadyExists", () => Effect.void)),
        remove(from)
      ),

    /**
     * Writes files and moves them to their places, in this order; they are there for good when it is done. `gate` does the
     * moves, or says that they are not to be done.
     */
    put: (
      entries: ReadonlyArray<readonly [file: string, bytes: Uint8Array]>,
      gate: (moves: Effect.Effect<true, StorageError>) => Effect.Effect<boolean, StorageError> = identity
    ): Effect.Effect<boolean, StorageError> =>
      Effect.suspend(() => {
        const staged: Array<string> = []
        const folders = new Set(entries.map(([file]) => path.dirname(file)))
        const moves = Effect.forEach(entries, ([file], at) => move(staged[at]!, file), { discard: true })
        const discard = Effect.suspend(() =>
          Effect.forEach(staged, (file) => Effect.ignore(fs.remove(file, { force: true })), { discard: true })
        )
        return Effect.forEach(
          entries,
          ([, bytes], at) => Effect.map(stage(bytes), (file) => void (staged[at] = file)),
          { concurrency: 4, discard: true }
        ).pipe(
          Effect.andThen(gate(Effect.as(moves, true))),
          Effect.tap((moved) => moved ? Effect.forEach(folders, sync, { concurrency: 4, discard: true }) : discard),
          Effect.onError(() => discard),
          Effect.uninterruptible
        )
      }),

    read: (file: string) => attempt(absent(fs.readFile(file))),

    /** Only regular files count: a link or a pipe is not content. */
    info: (file: string): Effect.Effect<Info | undefined, StorageError> =>
      attempt(Effect.map(absent(fs.lstat(file)), infoOf)),

    list: (folder: string): Effect.Effect<ReadonlyArray<string> | undefined, StorageError> =>
      attempt(absent(fs.readDirectory(folder))),

    touch: (file: string) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.ignore(fs.utimes(file, new Date(now), new Date(now))))
  }
}
