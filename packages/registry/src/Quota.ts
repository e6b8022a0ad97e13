/**
 * How many uploads a registry has open at a time, and how much they may be.
 *
 * @since 1.0.0
 */
import * as Clock from "effect/Clock"
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
   * How many uploads are open at a time; one more is told to come back later.
   *
   * @default 1000
   */
  readonly uploads?: number | undefined
  /**
   * How many bytes the open uploads have in all; beyond that there is no space.
   *
   * @default no limit
   */
  readonly bytes?: number | undefined
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
  { bytes: most = Infinity, uploads: many = 1000 }: Options = {}
): Effect.fn.Return<Storage["Service"]> {
  const lifetime = Duration.toMillis(Duration.fromInputUnsafe(yield* UploadLifetime))
  // In the order in which they were last used, so the first expires first.
  const uploads = new Map<string, { size: number; readonly touched: number }>()
  let spooled = 0

  const forget = (id: string) =>
    Effect.suspend(() => {
      spooled -= uploads.get(id)?.size ?? 0
      uploads.delete(id)
      return Metric.update(open, uploads.size)
    })
  const touch = (upload: Upload) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      spooled += upload.size - (uploads.get(upload.id)?.size ?? 0)
      uploads.delete(upload.id)
      uploads.set(upload.id, { size: upload.size, touched: now })
      return Metric.update(open, uploads.size)
    })
  const expire = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    for (const [id, { touched }] of uploads) {
      if (now - touched < lifetime) return
      yield* forget(id)
    }
  })
  const full = new StorageError({ reason: "NoSpace", detail: "the open uploads have all the space there is for them" })

  return {
    ...storage,
    createUpload: Effect.fnUntraced(function*(repository, algorithm) {
      yield* expire
      if (uploads.size >= many) {
        return yield* new StorageError({ reason: "Busy", detail: `${many} uploads are open, and no more may be` })
      }
      if (spooled >= most) return yield* full
      return yield* Effect.tap(storage.createUpload(repository, algorithm), touch)
    }),
    upload: (repository, id) => Effect.tap(storage.upload(repository, id), touch),
    append: <E>(repository: string, id: string, at: number, bytes: Stream.Stream<Uint8Array, E>) => {
      let size = at
      const counted = Stream.mapArrayEffect(bytes, (chunks) => {
        const state = uploads.get(id)
        for (const chunk of chunks) size += chunk.length
        if (state === undefined) return Effect.succeed(chunks)
        spooled += size - state.size
        state.size = size
        return spooled > most ? Effect.fail(full) : Effect.succeed(chunks)
      })
      return storage.append(repository, id, at, counted).pipe(
        Effect.tap(touch),
        Effect.onError(() => Effect.ignore(Effect.tap(storage.upload(repository, id), touch)))
      )
    },
    commit: (repository, id, digest) => Effect.ensuring(storage.commit(repository, id, digest), forget(id)),
    cancel: (repository, id) => Effect.tap(storage.cancel(repository, id), () => forget(id))
  }
})
