/**
 * How many uploads a registry has open at a time, and how much they may be.
 *
 * @since 1.0.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import { type Storage, StorageError, type Upload, UploadLifetime } from "./Storage.ts"

/**
 * Options for `limit`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * How many uploads are open at a time; one more takes the place of one that was abandoned, or is told to come back later.
   *
   * @default 1000
   */
  readonly uploads?: number | undefined
  /**
   * How many bytes the open uploads have in all; beyond that there is no space but that of those that were abandoned.
   *
   * @default no limit
   */
  readonly bytes?: number | undefined
  /**
   * After how long without a byte or a question an upload counts as abandoned, so that it is given up for others where there
   * are too many; the one first that was abandoned first.
   *
   * @default "5 minutes"
   */
  readonly abandonAfter?: Duration.Input | undefined
}

/** An upload that is open. */
interface Open {
  readonly repository: string
  readonly id: string
  readonly size: number
  readonly touched: number
}

const open = Metric.gauge("oci_registry_open_uploads", { description: "Uploads that are not complete" })

/**
 * A storage that takes no more uploads than it should. Those that nobody goes on with are forgotten when they expire.
 *
 * @category constructors
 * @since 1.0.0
 */
export const limit = Effect.fnUntraced(function*(
  storage: Storage["Service"],
  { abandonAfter = "5 minutes", bytes: most = Infinity, uploads: many = 1000 }: Options = {}
): Effect.fn.Return<Storage["Service"]> {
  const lifetime = Duration.toMillis(Duration.fromInputUnsafe(yield* UploadLifetime))
  const patience = Duration.toMillis(Duration.fromInputUnsafe(abandonAfter))
  // In the order in which they were last used, so the first is abandoned and expires first.
  const uploads = new Map<string, Open>()
  let spooled = 0
  // Those that are being opened: they count from when they are asked for, however long that takes.
  let opening = 0

  const forget = (id: string) =>
    Effect.contextWith((context: Context.Context<never>) => {
      spooled -= uploads.get(id)?.size ?? 0
      uploads.delete(id)
      open.updateUnsafe(uploads.size, context)
      return Effect.void
    })
  const touch = (repository: string, { id, size }: Upload) =>
    Effect.contextWith((context: Context.Context<never>) => {
      spooled += size - (uploads.get(id)?.size ?? 0)
      uploads.delete(id)
      uploads.set(id, {
        repository,
        id,
        size,
        touched: Context.get(context, Clock.Clock).currentTimeMillisUnsafe()
      })
      open.updateUnsafe(uploads.size, context)
      return Effect.void
    })
  const expire = Effect.clockWith((clock) => {
    const now = clock.currentTimeMillisUnsafe()
    for (const [id, { size, touched }] of uploads) {
      if (now - touched < lifetime) break
      spooled -= size
      uploads.delete(id)
    }
    return Effect.void
  })
  /** Counts an upload as it is now, if it still is: who went away or failed may have left it or not. */
  const settle = (repository: string, id: string) =>
    Effect.matchEffect(storage.upload(repository, id), {
      onFailure: ({ reason }) => reason === "NoUpload" ? forget(id) : Effect.void,
      onSuccess: (upload) => touch(repository, upload)
    })
  const busy = new StorageError({ reason: "Busy", detail: `${many} uploads are open, and no more may be` })
  const full = new StorageError({ reason: "NoSpace", detail: "the open uploads have all the space there is for them" })
  const giveUp = ({ id, repository }: Open) =>
    // At once, so that no two make room of the same one.
    forget(id).pipe(
      Effect.andThen(storage.cancel(repository, id)),
      Effect.catchIf(({ reason }) => reason === "NoUpload", () => Effect.void),
      Effect.onError(() => settle(repository, id))
    )
  /** Makes room of what was abandoned, as long as something is lacking. */
  const makeRoom = (lacking: () => StorageError | undefined): Effect.Effect<void, StorageError> =>
    Effect.clockWith((clock) => {
      const lack = lacking()
      if (lack === undefined) return Effect.void
      const [oldest] = uploads.values()
      return oldest === undefined || clock.currentTimeMillisUnsafe() - oldest.touched < patience
        ? Effect.fail(lack)
        : Effect.andThen(giveUp(oldest), makeRoom(lacking))
    })
  const lacking = () => uploads.size + opening > many ? busy : spooled >= most ? full : undefined

  return {
    ...storage,
    createUpload: (repository, algorithm, id) =>
      Effect.andThen(expire, () => {
        opening++
        return Effect.andThen(makeRoom(lacking), storage.createUpload(repository, algorithm, id)).pipe(
          Effect.tap((upload) => touch(repository, upload)),
          Effect.ensuring(Effect.sync(() => void opening--)),
          // Whoever goes away leaves none behind that nobody has counted.
          Effect.uninterruptible
        )
      }),
    upload: (repository, id) => Effect.tap(storage.upload(repository, id), (upload) => touch(repository, upload)),
    append: <E>(repository: string, id: string, at: number, bytes: Stream.Stream<Uint8Array, E>) => {
      let size = at
      const lacking = () => spooled > most ? full : undefined
      const counted = Stream.mapArrayEffect(bytes, (chunks) => {
        for (const chunk of chunks) size += chunk.length
        // However long it takes, it is neither abandoned nor too old.
        return Effect.as(Effect.andThen(touch(repository, { id, size }), makeRoom(lacking)), chunks)
      })
      return storage.append(repository, id, at, counted).pipe(
        Effect.tap((upload) => touch(repository, upload)),
        Effect.onError(() => settle(repository, id))
      )
    },
    commit: (repository, id, digest) =>
      storage.commit(repository, id, digest).pipe(
        Effect.tap(() => forget(id)),
        Effect.onError(() => settle(repository, id))
      ),
    cancel: (repository, id) => Effect.tap(storage.cancel(repository, id), () => forget(id))
  }
})
