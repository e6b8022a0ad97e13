/**
 * Uploads: each one file, whose size is how far it has come.
 *
 * A file is written to by the process that made it only, one block at a time, so that its bytes are those that were hashed.
 * Whoever goes on with an upload of another process, which may be gone or just slow, goes on with a copy of its own.
 */
import * as Hasher from "@effect-oci/content/Hasher"
import * as Digest from "@effect-oci/name/Digest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { StorageError, type Upload } from "../../Storage.ts"
import type { Blobs } from "./blobs.ts"
import * as Block from "./block.ts"
import * as Files from "./files.ts"

export type Uploads = ReturnType<typeof make>

interface Session {
  readonly algorithm: Digest.Algorithm
  /** Held while the file is written or changes hands, and never while a client is waited for. */
  readonly gate: Semaphore.Semaphore
  /** That of the file this process made. */
  inode: bigint | undefined
  hasher: Hasher.Hasher
  /** How many bytes the hasher has seen; -1 when it is of no use. */
  hashed: number
  /** Who is adding bytes: the latest that began to. */
  writer: object | undefined
  touched: number
}

const noUpload = new StorageError({ reason: "NoUpload", detail: "no such upload" })
const outOfOrder = (detail: string) => new StorageError({ reason: "OutOfOrder", detail })
const another = outOfOrder("another request goes on with the upload")

/** How long bytes that come slowly wait for others, in milliseconds; other processes see by the file that they come. */
const patience = 5000

export const make = (
  files: Files.Files,
  blobs: Blobs,
  options: { readonly start: Hasher.Start; readonly lifetime: number }
) => {
  const { fs, path, root } = files
  const { lifetime, start } = options
  const folder = path.join(root, "uploads")
  const sessions = new Map<string, Session>()

  /** The name of its file says whose it is, so that an id is of no use in another repository. */
  const nameOf = (repository: string, id: string) =>
    Digest.hex(Hasher.digestOf(start, new TextEncoder().encode(`${repository}\n${id}`)))
  const fileOf = (name: string) => path.join(folder, name)

  const sessionOf = (name: string, algorithm: Digest.Algorithm = "sha256"): Session => {
    const found = sessions.get(name)
    if (found !== undefined) return found
    const session: Session = {
      algorithm,
      gate: Semaphore.makeUnsafe(1),
      inode: undefined,
      hasher: start(algorithm),
      hashed: 0,
      writer: undefined,
      touched: 0
    }
    sessions.set(name, session)
    return session
  }

  const discard = (name: string) =>
    Effect.suspend(() => {
      sessions.delete(name)
      return files.remove(fileOf(name))
    })

  /** An upload's file, if it is not too old. */
  const look = Effect.fnUntraced(function*(name: string) {
    const info = yield* files.info(fileOf(name))
    const session = sessions.get(name)
    if (info !== undefined) {
      const touched = session?.inode === info.inode ? session.touched : info.modified
      if ((yield* Clock.currentTimeMillis) - touched < lifetime) return info
    }
    yield* discard(name)
    return yield* noUpload
  })

  const hashFile = Effect.fnUntraced(function*(file: string, algorithm: Digest.Algorithm) {
    const hasher = start(algorithm)
    let size = 0
    yield* Stream.runForEachArray(fs.stream(file, { chunkSize: 1024 * 1024 }), (chunks) =>
      Effect.sync(() => {
        for (const chunk of chunks) {
          hasher.update(chunk)
          size += chunk.length
        }
      })).pipe(Files.attempt)
    return { hasher, size }
  })

  /** Makes the file this process's own, and the hash that of its bytes. */
  const own = Effect.fnUntraced(function*(name: string, session: Session, info: Files.Info) {
    if (session.inode === info.inode && session.hashed === info.size) return
    session.hashed = -1
    if (session.inode !== info.inode) {
      const copy = files.temporary()
      yield* Effect.gen(function*() {
        yield* Files.attempt(fs.copyFile(fileOf(name), copy))
        const copied = yield* files.info(copy)
        if (copied?.size !== info.size) return yield* another
        yield* files.move(copy, fileOf(name))
        session.inode = copied.inode
        session.touched = yield* Clock.currentTimeMillis
      }).pipe(
        Effect.onError(() => Effect.ignore(files.remove(copy))),
        Effect.uninterruptible
      )
    }
    const { hasher, size } = yield* hashFile(fileOf(name), session.algorithm)
    session.hasher = hasher
    session.hashed = size
  })

  /**
   * Gives up a file that another process goes on with by now. As long as it is open its number is no other file's, so this
   * is when to look; from then on all files by its name begin with all that was hashed.
   */
  const disown = (name: string, session: Session) =>
    Effect.map(Effect.option(files.info(fileOf(name))), (info) => {
      if (Option.getOrUndefined(info)?.inode !== session.inode) session.inode = undefined
    })

  const writeBlock = (name: string, session: Session, file: FileSystem.File, block: Uint8Array) =>
    Effect.gen(function*() {
      const hashed = session.hashed
      session.hashed = -1
      // The disk has its own time to write while the bytes are hashed.
      yield* Effect.all([
        Files.attempt(file.writeAll(block)),
        Effect.sync(() => session.hasher.update(block))
      ], { concurrency: 2, discard: true })
      session.hashed = hashed + block.length
      session.touched = yield* Clock.currentTimeMillis
    }).pipe(
      // Nobody can go on with an upload that has filled the disk, and what it has would keep the disk full.
      Effect.tapError((error) => error.reason === "NoSpace" ? Effect.ignore(discard(name)) : Effect.void)
    )

  const append = Effect.fnUntraced(function*<E>(
    repository: string,
    id: string,
    at: number,
    bytes: Stream.Stream<Uint8Array, E>
  ): Effect.fn.Return<Upload, E | StorageError> {
    const name = nameOf(repository, id)
    const session = sessionOf(name)
    const writer = {}
    yield* session.gate.withPermit(Effect.gen(function*() {
      const info = yield* look(name)
      if (info.size !== at) return yield* outOfOrder(`the upload has ${info.size} bytes, not ${at}`)
      yield* own(name, session, info)
      session.writer = writer
    }))
    yield* Effect.scoped(Effect.gen(function*() {
      const scope = yield* Effect.scope
      let file: FileSystem.File | undefined
      // A body of nothing, as that of most requests that complete an upload, opens no file.
      const open = Effect.gen(function*() {
        const opened = yield* Files.attempt(Scope.provide(fs.open(fileOf(name), { flag: "r+" }), scope))
        if (Files.infoOf(yield* Files.attempt(opened.stat))?.inode !== session.inode) return yield* another
        yield* Files.attempt(opened.seek(BigInt(at), "start"))
        yield* Scope.addFinalizer(scope, disown(name, session))
        return file = opened
      })
      const blocks = Block.make((block) =>
        session.gate.withPermit(Effect.suspend(() =>
          sessions.get(name) !== session
            ? Effect.fail(noUpload)
            : session.writer !== writer
            ? Effect.fail(another)
            : Effect.flatMap(
              file === undefined ? open : Effect.succeed(file),
              (file) => writeBlock(name, session, file, block)
            )
        )).pipe(Effect.uninterruptible)
      )
      let flushed = yield* Clock.currentTimeMillis
      const add = (chunks: ReadonlyArray<Uint8Array>) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          session.touched = now
          const added = blocks.add(chunks)
          if (now - flushed < patience) return added
          flushed = now
          return Effect.andThen(added, blocks.flush)
        })
      yield* Stream.runForEachArray(bytes, add).pipe(Effect.onError(() => Effect.ignore(blocks.flush)))
      yield* blocks.flush
    }))
    return session.inode === undefined ? yield* another : { id, size: session.hashed }
  })

  return {
    append,

    create: Effect.fnUntraced(function*(
      repository: string,
      algorithm?: Digest.Algorithm | undefined,
      id: string = crypto.randomUUID()
    ) {
      const name = nameOf(repository, id)
      const stat = yield* Effect.scoped(
        Effect.flatMap(fs.open(fileOf(name), { flag: "wx", mode: 0o644 }), (file) => file.stat)
      ).pipe(Files.attempt)
      const session = sessionOf(name, algorithm)
      session.inode = Files.infoOf(stat)?.inode
      session.touched = yield* Clock.currentTimeMillis
      return { id, size: 0 }
    }, Effect.uninterruptible),

    find: (repository: string, id: string): Effect.Effect<Upload, StorageError> =>
      Effect.map(look(nameOf(repository, id)), ({ size }) => ({ id, size })),

    commit: Effect.fnUntraced(function*(repository: string, id: string, digest: Digest.Digest) {
      const name = nameOf(repository, id)
      const session = sessionOf(name)
      yield* session.gate.withPermit(Effect.gen(function*() {
        const { size } = yield* Effect.tap(look(name), (info) => own(name, session, info))
        session.writer = undefined
        const { hasher } = session.algorithm === Digest.algorithm(digest)
          ? session
          : yield* hashFile(fileOf(name), Digest.algorithm(digest))
        session.hashed = -1
        const actual = hasher.digest()
        if (actual !== digest) {
          yield* discard(name)
          return yield* new StorageError({ reason: "DigestMismatch", detail: `the bytes have digest ${actual}` })
        }
        // Under a name of its own it is out of reach of all others, and then it has to be the file that was hashed.
        const take = Effect.gen(function*() {
          const taken = files.temporary()
          yield* files.move(fileOf(name), taken)
          const info = yield* files.info(taken)
          if (info?.inode === session.inode && info?.size === size) return taken
          yield* files.move(taken, fileOf(name))
          return yield* another
        })
        yield* blobs.place(repository, digest, size, { file: fileOf(name), take })
        sessions.delete(name)
      }))
    }),

    cancel: Effect.fnUntraced(function*(repository: string, id: string) {
      const name = nameOf(repository, id)
      yield* look(name)
      yield* discard(name)
    }),

    /** Removes uploads that are too old, those of other processes, too. */
    expire: Effect.gen(function*() {
      // Also those whose files another process has made blobs of.
      const names = new Set([...sessions.keys(), ...(yield* files.list(folder)) ?? []])
      yield* Effect.forEach(names, (name) =>
        // What is written this moment is not too old.
        Effect.catchIf(look(name), ({ reason }) => reason === "NoUpload", () => Effect.void), {
        concurrency: 16,
        discard: true
      })
    })
  }
}
