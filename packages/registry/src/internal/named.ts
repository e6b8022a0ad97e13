/**
 * The blobs that manifests of a repository name, and so the only ones that may be asked for.
 *
 * As many as are worth their memory are remembered. All others, those from before this process began among them, are looked
 * for in the manifests that are kept: nothing else has to be, nor can be at odds with them.
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { Storage, StorageError, Stored } from "../Storage.ts"
import { remember } from "./remember.ts"

export interface Named {
  /** Remembers what a manifest names. */
  readonly note: (repository: string, stored: Stored) => Stored
  /** What is remembered of a blob. */
  readonly get: (repository: string, digest: Digest.Digest) => Descriptor.Descriptor | undefined
  /** What is remembered of it now, if it was named ever. */
  readonly find: (
    repository: string,
    digest: Digest.Digest
  ) => Effect.Effect<Descriptor.Descriptor | undefined, StorageError>
}

interface Search {
  /** What it has not found yet. */
  readonly wanted: Set<Digest.Digest>
  readonly done: Deferred.Deferred<void, StorageError>
}

const blobsOf = ({ bytes, mediaType }: Stored): ReadonlyArray<Descriptor.Descriptor> => {
  const document = Result.getOrElse(Document.parse(bytes, mediaType), () => undefined)
  return document === undefined ?
    [] :
    Document.successors(document).filter(({ mediaType }) =>
      !MediaType.isDocument(mediaType) && !MediaType.isForeign(mediaType)
    )
}

export const make = Effect.fnUntraced(function*(
  manifests: Storage["Service"]["manifests"]
): Effect.fn.Return<Named, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const turn = yield* Semaphore.make(1)
  const named = new Map<string, Descriptor.Descriptor>()
  /** By repository, the one that has not begun: all who ask until then share it. */
  const next = new Map<string, Search>()

  // What one repository says of a digest is nothing to another.
  const keyOf = (repository: string, digest: Digest.Digest) => `${repository}@${digest}`

  const noteAll = (repository: string, blobs: ReadonlyArray<Descriptor.Descriptor>): void => {
    for (const { digest, size } of blobs) {
      // No more of it than is needed: the rest may be as large as a manifest.
      remember(named, keyOf(repository, digest), { mediaType: "application/octet-stream", digest, size })
    }
  }

  const run = (repository: string, { wanted }: Search): Effect.Effect<void, StorageError> =>
    Effect.suspend(() => {
      next.delete(repository)
      return Stream.runForEachWhile(manifests(repository), (stored) =>
        Effect.sync(() => {
          const blobs = blobsOf(stored)
          // The others of an image are asked for as well.
          if (blobs.some(({ digest }) => wanted.has(digest))) noteAll(repository, blobs)
          for (const { digest } of blobs) wanted.delete(digest)
          return wanted.size > 0
        }))
    })

  /** One at a time, whatever is asked for and by how many: it may be made up, and each search reads many files. */
  const begin = (repository: string, digest: Digest.Digest): Effect.Effect<Search> =>
    Effect.suspend(() => {
      const search: Search = { wanted: new Set([digest]), done: Deferred.makeUnsafe() }
      next.set(repository, search)
      return turn.withPermit(run(repository, search)).pipe(
        Deferred.into(search.done),
        Effect.forkIn(scope),
        Effect.as(search)
      )
      // Nobody is to wait for what never began.
    }).pipe(Effect.uninterruptible)

  const get: Named["get"] = (repository, digest) => named.get(keyOf(repository, digest))

  return {
    get,

    note: (repository, stored) => {
      noteAll(repository, blobsOf(stored))
      return stored
    },

    find: Effect.fnUntraced(function*(repository, digest) {
      const known = get(repository, digest)
      if (known !== undefined) return known
      const shared = next.get(repository)
      shared?.wanted.add(digest)
      yield* Deferred.await((shared ?? (yield* begin(repository, digest))).done)
      return get(repository, digest)
    })
  }
})
