/**
 * A registry's content in memory: for tests, and for content that memory holds.
 *
 * @since 1.0.0
 */
import * as Hasher from "@effect-oci/content/Hasher"
import * as Digest from "@effect-oci/name/Digest"
import type * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Spool from "./internal/spool.ts"
import { Storage, StorageError, type Stored, UploadLifetime } from "./Storage.ts"

interface RepositoryState {
  readonly blobs: Set<Digest.Digest>
  readonly manifests: Map<Digest.Digest, Stored>
  readonly tags: Map<string, Digest.Digest>
  readonly referrers: Map<Digest.Digest, Map<Digest.Digest, Descriptor.Descriptor>>
}

interface UploadState {
  readonly repository: string
  readonly algorithm: Digest.Algorithm
  readonly hasher: Hasher.Hasher
  readonly spool: Spool.Spool
  /**
   * Who is adding bytes: the latest that began to.
   */
  writer: object | undefined
  touched: number
}

const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

/** For a digest of another algorithm than the upload was opened for. */
const digestOfSpool = (start: Hasher.Start, spool: Spool.Spool, wanted: Digest.Digest): Digest.Digest => {
  const hasher = start(Digest.algorithm(wanted))
  for (const block of Spool.read(spool)) hasher.update(block)
  return hasher.digest()
}

/**
 * Makes an empty storage.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make: Effect.Effect<Storage["Service"]> = Effect.gen(function*() {
  const start = yield* Hasher.Hashing
  const lifetime = Duration.toMillis(Duration.fromInputUnsafe(yield* UploadLifetime))
  const blobs = new Map<Digest.Digest, Spool.Spool>()
  const repositories = new Map<string, RepositoryState>()
  const uploads = new Map<string, UploadState>()

  const open = (name: string): RepositoryState => {
    let state = repositories.get(name)
    if (state === undefined) {
      state = { blobs: new Set(), manifests: new Map(), tags: new Map(), referrers: new Map() }
      repositories.set(name, state)
    }
    return state
  }

  const noUpload = new StorageError({ reason: "NoUpload", detail: "no such upload" })
  const outOfOrder = (detail: string) => new StorageError({ reason: "OutOfOrder", detail })

  // An id is of use in its own repository only, so that knowing one is not enough.
  const uploadOf = (repository: string, id: string): Effect.Effect<UploadState, StorageError> =>
    Effect.clockWith((clock) => {
      const state = uploads.get(id)
      if (state?.repository !== repository) return Effect.fail(noUpload)
      if (clock.currentTimeMillisUnsafe() - state.touched < lifetime) return Effect.succeed(state)
      uploads.delete(id)
      return Effect.fail(noUpload)
    })

  /** Gives what time it is. */
  const expire = Effect.map(Clock.currentTimeMillis, (now) => {
    for (const [id, { touched }] of uploads) if (now - touched >= lifetime) uploads.delete(id)
    return now
  })

  const linked = (digest: Digest.Digest) =>
    [...repositories].flatMap(([name, { blobs }]) => blobs.has(digest) ? [name] : [])

  const digestOf = (repository: RepositoryState | undefined, identifier: Tag.Tag | Digest.Digest) =>
    // A tag has no colon and a digest always has, so neither is found as the other.
    repository?.tags.get(identifier) ?? identifier as Digest.Digest

  const stored = (repository: string, identifier: Tag.Tag | Digest.Digest) => {
    const state = repositories.get(repository)
    return Option.fromUndefinedOr(state?.manifests.get(digestOf(state, identifier)))
  }

  return Storage.of({
    repositories: Effect.sync(() => [...repositories.keys()].sort(compare)),
    blobs: (repository) => Effect.sync(() => [...(repositories.get(repository)?.blobs ?? [])].sort(compare)),
    blobSize: (repository, digest) =>
      Effect.sync(() =>
        repositories.get(repository)?.blobs.has(digest) === true
          ? Option.map(Option.fromUndefinedOr(blobs.get(digest)), ({ size }) => size)
          : Option.none()
      ),
    findBlob: (digest) => Effect.sync(() => linked(digest)),
    readBlob: (_, digest, start, end) =>
      Effect.succeed(Stream.suspend(() => {
        const spool = blobs.get(digest)
        // One block at a time, so that a reader who stops holds nothing.
        return spool === undefined ? Stream.empty : Stream.fromIterable(Spool.read(spool, start, end), { chunkSize: 1 })
      })),
    linkBlob: (repository, digest, from) =>
      Effect.sync(() => {
        if (repositories.get(from)?.blobs.has(digest) !== true) return false
        open(repository).blobs.add(digest)
        return true
      }),
    deleteBlob: (repository, digest) =>
      Effect.sync(() => {
        const had = repositories.get(repository)?.blobs.delete(digest) ?? false
        if (linked(digest).length === 0) blobs.delete(digest)
        return had
      }),

    createUpload: (repository, algorithm = "sha256", id = crypto.randomUUID()) =>
      Effect.map(expire, (now) => {
        uploads.set(id, {
          repository,
          algorithm,
          hasher: start(algorithm),
          spool: Spool.make(),
          writer: undefined,
          touched: now
        })
        return { id, size: 0 }
      }),
    upload: (repository, id) => Effect.map(uploadOf(repository, id), ({ spool }) => ({ id, size: spool.size })),
    append: (repository, id, at, bytes) =>
      Effect.flatMap(uploadOf(repository, id), (state) => {
        if (state.spool.size !== at) {
          return Effect.fail(outOfOrder(`the upload has ${state.spool.size} bytes, not ${at}`))
        }
        const writer = {}
        state.writer = writer
        const add = (chunks: ReadonlyArray<Uint8Array>) =>
          Effect.clockWith((clock) => {
            if (uploads.get(id) !== state) return Effect.fail(noUpload)
            if (state.writer !== writer) return Effect.fail(outOfOrder("another request goes on with the upload"))
            state.touched = clock.currentTimeMillisUnsafe()
            for (const chunk of chunks) {
              state.hasher.update(chunk)
              Spool.add(state.spool, chunk)
            }
            return Effect.void
          })
        return Effect.map(Stream.runForEachArray(bytes, add), () => ({ id, size: state.spool.size }))
      }),
    commit: (repository, id, digest) =>
      Effect.flatMap(uploadOf(repository, id), ({ algorithm, hasher, spool }) => {
        uploads.delete(id)
        const actual = algorithm === Digest.algorithm(digest)
          ? hasher.digest()
          : digestOfSpool(start, spool, digest)
        if (actual !== digest) {
          return Effect.fail(
            new StorageError({ reason: "DigestMismatch", detail: `the bytes have digest ${actual}` })
          )
        }
        Spool.close(spool)
        blobs.set(digest, spool)
        open(repository).blobs.add(digest)
        return Effect.void
      }),
    cancel: (repository, id) => Effect.map(uploadOf(repository, id), () => void uploads.delete(id)),

    manifest: (repository, identifier) => Effect.sync(() => stored(repository, identifier)),
    manifests: (repository) =>
      Stream.suspend(() => Stream.fromIterable([...repositories.get(repository)?.manifests.values() ?? []])),
    putManifest: (repository, manifest, { condition, subject, tags }) =>
      Effect.sync(() => {
        if (condition !== undefined) {
          const now = stored(repository, condition.identifier)
          if (!condition.holds(Option.map(now, ({ digest }) => digest))) return false
        }
        const state = open(repository)
        state.manifests.set(manifest.digest, manifest)
        for (const tag of tags) state.tags.set(tag, manifest.digest)
        if (Option.isSome(subject)) {
          const referrers = state.referrers.get(subject.value.digest) ?? new Map()
          referrers.set(manifest.digest, subject.value.referrer)
          state.referrers.set(subject.value.digest, referrers)
        }
        return true
      }),
    deleteManifest: (repository, identifier, holds) =>
      Effect.sync(() => {
        const state = repositories.get(repository)
        if (state === undefined) return false
        if (holds?.(Option.map(stored(repository, identifier), ({ digest }) => digest)) === false) return false
        if (!Digest.isDigest(identifier)) return state.tags.delete(identifier)
        const digest = digestOf(state, identifier)
        for (const [tag, target] of state.tags) if (target === digest) state.tags.delete(tag)
        for (const referrers of state.referrers.values()) referrers.delete(digest)
        return state.manifests.delete(digest)
      }),
    tags: (repository) =>
      Effect.sync(() =>
        Option.map(Option.fromUndefinedOr(repositories.get(repository)), ({ tags }) => [...tags.keys()].sort(compare))
      ),
    referrers: (repository, subject, after = "") =>
      Stream.suspend(() => {
        const all = [...(repositories.get(repository)?.referrers.get(subject)?.values() ?? [])]
        return Stream.fromIterable(
          all.filter(({ digest }) => digest > after).sort((a, b) => compare(a.digest, b.digest))
        )
      }),

    collect: Effect.asVoid(expire)
  })
})

/**
 * An empty storage.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<Storage> = Layer.effect(Storage, make)
