/**
 * A registry's content in memory: for tests, and for content that memory holds.
 *
 * @since 1.0.0
 */
import * as Hasher from "@effect-oci/content/Hasher"
import * as DigestModule from "@effect-oci/name/Digest"
import type * as Digest from "@effect-oci/name/Digest"
import type * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Storage, StorageError, type Stored } from "./Storage.ts"

interface RepositoryState {
  readonly blobs: Set<Digest.Digest>
  readonly manifests: Map<Digest.Digest, Stored>
  readonly tags: Map<string, Digest.Digest>
  readonly referrers: Map<Digest.Digest, Map<Digest.Digest, Descriptor.Descriptor>>
}

interface UploadState {
  readonly repository: string
  readonly parts: Array<Uint8Array>
  size: number
}

const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

/**
 * Makes an empty storage.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make: Effect.Effect<Storage["Service"]> = Effect.gen(function*() {
  const start = yield* Hasher.Hashing
  const blobs = new Map<Digest.Digest, Uint8Array>()
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

  // An id is of use in its own repository only, so that knowing one is not enough.
  const uploadOf = (repository: string, id: string): Effect.Effect<UploadState, StorageError> =>
    Effect.suspend(() => {
      const state = uploads.get(id)
      return state?.repository === repository
        ? Effect.succeed(state)
        : Effect.fail(new StorageError({ reason: "NoUpload", detail: "no such upload" }))
    })

  const digestOf = (repository: RepositoryState | undefined, identifier: Tag.Tag | Digest.Digest) =>
    // A tag has no colon and a digest always has, so neither is found as the other.
    repository?.tags.get(identifier) ?? identifier as Digest.Digest

  return Storage.of({
    repositories: Effect.sync(() => [...repositories.keys()].sort(compare)),
    blobSize: (repository, digest) =>
      Effect.sync(() =>
        repositories.get(repository)?.blobs.has(digest) === true
          ? Option.map(Option.fromUndefinedOr(blobs.get(digest)), (bytes) => bytes.length)
          : Option.none()
      ),
    findBlob: (digest) =>
      Effect.sync(() =>
        Option.map(
          Option.fromUndefinedOr([...repositories].find(([, state]) => state.blobs.has(digest))),
          ([name]) => name
        )
      ),
    readBlob: (digest, from, to) =>
      Stream.suspend(() => {
        const bytes = blobs.get(digest)
        return bytes === undefined || from >= to ? Stream.empty : Stream.succeed(bytes.subarray(from, to))
      }),
    linkBlob: (repository, digest) => Effect.sync(() => void open(repository).blobs.add(digest)),
    deleteBlob: (repository, digest) => Effect.sync(() => repositories.get(repository)?.blobs.delete(digest) ?? false),

    createUpload: (repository) =>
      Effect.sync(() => {
        const id = crypto.randomUUID()
        uploads.set(id, { repository, parts: [], size: 0 })
        return { id, size: 0 }
      }),
    upload: (repository, id) => Effect.map(uploadOf(repository, id), ({ size }) => ({ id, size })),
    append: Effect.fnUntraced(function*(repository, id, at, bytes) {
      const state = yield* uploadOf(repository, id)
      if (state.size !== at) {
        return yield* new StorageError({
          reason: "OutOfOrder",
          detail: `the upload has ${state.size} bytes, not ${at}`
        })
      }
      yield* Stream.runForEachArray(bytes, (chunks) =>
        Effect.sync(() => {
          for (const chunk of chunks) {
            state.parts.push(chunk.slice())
            state.size += chunk.length
          }
        }))
      return { id, size: state.size }
    }),
    commit: Effect.fnUntraced(function*(repository, id, digest) {
      const state = yield* uploadOf(repository, id)
      const bytes = new Uint8Array(state.size)
      let at = 0
      for (const part of state.parts) {
        bytes.set(part, at)
        at += part.length
      }
      const actual = Hasher.digestOf(start, bytes, DigestModule.algorithm(digest))
      uploads.delete(id)
      if (actual !== digest) {
        return yield* new StorageError({ reason: "DigestMismatch", detail: `the bytes have digest ${actual}` })
      }
      blobs.set(digest, bytes)
      open(repository).blobs.add(digest)
    }),
    cancel: (repository, id) => Effect.map(uploadOf(repository, id), () => void uploads.delete(id)),

    manifest: (repository, identifier) =>
      Effect.sync(() => {
        const state = repositories.get(repository)
        return Option.fromUndefinedOr(state?.manifests.get(digestOf(state, identifier)))
      }),
    putManifest: (repository, manifest, { subject, tags }) =>
      Effect.sync(() => {
        const state = open(repository)
        state.manifests.set(manifest.digest, manifest)
        for (const tag of tags) state.tags.set(tag, manifest.digest)
        if (Option.isSome(subject)) {
          const referrers = state.referrers.get(subject.value.digest) ?? new Map()
          referrers.set(manifest.digest, subject.value.referrer)
          state.referrers.set(subject.value.digest, referrers)
        }
      }),
    deleteManifest: (repository, identifier) =>
      Effect.sync(() => {
        const state = repositories.get(repository)
        if (state === undefined) return false
        if (!identifier.includes(":")) return state.tags.delete(identifier)
        const digest = digestOf(state, identifier)
        for (const [tag, target] of state.tags) if (target === digest) state.tags.delete(tag)
        for (const referrers of state.referrers.values()) referrers.delete(digest)
        return state.manifests.delete(digest)
      }),
    tags: (repository) =>
      Effect.sync(() =>
        Option.map(Option.fromUndefinedOr(repositories.get(repository)), ({ tags }) => [...tags.keys()].sort(compare))
      ),
    referrers: (repository, subject) =>
      Effect.sync(() => [...(repositories.get(repository)?.referrers.get(subject)?.values() ?? [])])
  })
})

/**
 * An empty storage.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<Storage> = Layer.effect(Storage, make)
