/**
 * What a registry keeps, and how: content by digest, and for each repository what of it belongs there.
 *
 * @since 1.0.0
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"

/**
 * A manifest as it was pushed.
 *
 * @category models
 * @since 1.0.0
 */
export interface Stored {
  readonly digest: Digest.Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
  /**
   * The same bytes once more from where they are kept, if there are too many to be held for a client that takes its time; under
   * `Lending` a chunk may be valid until the next one is pulled only.
   */
  readonly again?: Stream.Stream<Uint8Array, StorageError> | undefined
}

/**
 * What has to hold for a manifest to be put or deleted.
 *
 * @category models
 * @since 1.0.0
 */
export interface Condition {
  readonly identifier: Tag.Tag | Digest.Digest
  /**
   * Whether it holds, by the digest of the manifest that there is under the identifier.
   */
  readonly holds: (now: Option.Option<Digest.Digest>) => boolean
}

/**
 * An upload that has not been completed.
 *
 * @category models
 * @since 1.0.0
 */
export interface Upload {
  readonly id: string
  /**
   * How many bytes it has, all of them from the first on.
   */
  readonly size: number
}

/**
 * Storage that failed for a reason of its own.
 *
 * @category errors
 * @since 1.0.0
 */
export class StorageError extends Schema.Error<StorageError>("@effect-oci/registry/Storage/StorageError")({
  _tag: Schema.tag("StorageError"),
  reason: Schema.Literals([
    "Failed",
    "Upstream",
    "Busy",
    "NoSpace",
    "DigestMismatch",
    "NoBlob",
    "NoUpload",
    "OutOfOrder"
  ]),
  detail: Schema.String,
  /**
   * How long to wait, where it is known.
   */
  retryAfter: Schema.optionalKey(Schema.Duration)
}) {
  override get message(): string {
    return this.detail
  }
}

/**
 * How long an upload stays open after its last byte arrived; and how often a registry that is served collects what is of no
 * use any more.
 *
 * @category references
 * @since 1.0.0
 */
export const UploadLifetime = Context.Reference<Duration.Input>("@effect-oci/registry/Storage/UploadLifetime", {
  defaultValue: () => "1 hour"
})

/**
 * Whether whoever reads bytes needs each chunk only until the next one is pulled, so that whoever gives them may use its
 * memory again.
 *
 * @category references
 * @since 1.0.0
 */
export const Lending = Context.Reference<boolean>("@effect-oci/registry/Storage/Lending", {
  defaultValue: () => false
})

/**
 * Where a registry keeps its content. Repositories are named by their path.
 *
 * **Details**
 *
 * Blobs are kept once and linked to each repository that they were pushed to or mounted into; a repository shows no other.
 * A blob, manifest or tag is visible when it is complete, and never before.
 *
 * @category services
 * @since 1.0.0
 */
export class Storage extends Context.Service<Storage, {
  readonly repositories: Effect.Effect<ReadonlyArray<string>, StorageError>
  /**
   * The blobs of a repository, in the order of their digests.
   */
  readonly blobs: (repository: string) => Effect.Effect<ReadonlyArray<Digest.Digest>, StorageError>
  readonly blobSize: (repository: string, digest: Digest.Digest) => Effect.Effect<Option.Option<number>, StorageError>
  /**
   * Repositories that have the blob: a storage need not know of all.
   */
  readonly findBlob: (digest: Digest.Digest) => Effect.Effect<ReadonlyArray<string>, StorageError>
  /**
   * The bytes from `start` up to, not with, `end`, of a blob that the repository has by `blobSize`, once it is known that
   * there are any to be had; under `Lending` a chunk may be valid until the next one is pulled only.
   */
  readonly readBlob: (
    repository: string,
    digest: Digest.Digest,
    start: number,
    end: number
  ) => Effect.Effect<Stream.Stream<Uint8Array, StorageError>, StorageError>
  /**
   * Gives the repository a blob that `from` has; whether it has it.
   */
  readonly linkBlob: (
    repository: string,
    digest: Digest.Digest,
    from: string
  ) => Effect.Effect<boolean, StorageError>
  /**
   * Whether there was one.
   */
  readonly deleteBlob: (repository: string, digest: Digest.Digest) => Effect.Effect<boolean, StorageError>

  /**
   * Opens an upload; `algorithm` is that of the digest it will have, if it is known by now. Unless it is given an id, it has
   * one that nobody can guess.
   */
  readonly createUpload: (
    repository: string,
    algorithm?: Digest.Algorithm | undefined,
    id?: string | undefined
  ) => Effect.Effect<Upload, StorageError>
  readonly upload: (repository: string, id: string) => Effect.Effect<Upload, StorageError>
  /**
   * Adds bytes at `at`, which has to be the upload's size; a chunk is valid until the next one is pulled. What arrived before a failure is kept. The latest to add is the
   * only one: whoever was adding before, over a connection that may be dead, fails with `OutOfOrder`.
   */
  readonly append: <E>(
    repository: string,
    id: string,
    at: number,
    bytes: Stream.Stream<Uint8Array, E>
  ) => Effect.Effect<Upload, E | StorageError>
  /**
   * Turns an upload into a blob of the repository, if the digest holds. If it does not, the upload is gone.
   */
  readonly commit: (repository: string, id: string, digest: Digest.Digest) => Effect.Effect<void, StorageError>
  readonly cancel: (repository: string, id: string) => Effect.Effect<void, StorageError>

  readonly manifest: (
    repository: string,
    identifier: Tag.Tag | Digest.Digest
  ) => Effect.Effect<Option.Option<Stored>, StorageError>
  /**
   * Those of a repository that can be read, in no order; read as they are pulled.
   */
  readonly manifests: (repository: string) => Stream.Stream<Stored, StorageError>
  /**
   * Whether it was put: not if its condition does not hold. No other change of this process comes between the two.
   */
  readonly putManifest: (
    repository: string,
    manifest: Stored,
    options: {
      readonly tags: ReadonlyArray<Tag.Tag>
      readonly subject: Option.Option<{ readonly digest: Digest.Digest; readonly referrer: Descriptor.Descriptor }>
      readonly condition?: Condition | undefined
    }
  ) => Effect.Effect<boolean, StorageError>
  /**
   * Whether there was one, and its condition held. By digest, its tags go with it.
   */
  readonly deleteManifest: (
    repository: string,
    identifier: Tag.Tag | Digest.Digest,
    holds?: Condition["holds"] | undefined
  ) => Effect.Effect<boolean, StorageError>
  /**
   * In the order of their characters; `None` where there is no such repository.
   */
  readonly tags: (repository: string) => Effect.Effect<Option.Option<ReadonlyArray<string>>, StorageError>
  /**
   * In the order of their digests, those after `after`; read as they are pulled.
   */
  readonly referrers: (
    repository: string,
    subject: Digest.Digest,
    after?: string | undefined
  ) => Stream.Stream<Descriptor.Descriptor, StorageError>
  /**
   * Whether `referrers` has those that clients list under a tag, as they do at registries which list none themselves.
   *
   * @default no storage does
   */
  readonly hasTaggedReferrers?: ((repository: string) => Effect.Effect<boolean>) | undefined

  /**
   * Gives back the room of what nobody can reach any more: uploads that are too old, and content of no repository. What is
   * being written, or was linked a moment ago, stays; and so do all manifests, whether something is tagged with them or not.
   */
  readonly collect: Effect.Effect<void, StorageError>
}>()("@effect-oci/registry/Storage") {}

/**
 * Collects at once and then again and again, as often as `UploadLifetime` says. What fails is logged and tried the next time.
 *
 * @category collecting
 * @since 1.0.0
 */
export const collecting = (storage: Storage["Service"]): Effect.Effect<never> =>
  Effect.gen(function*() {
    const lifetime = yield* UploadLifetime
    yield* Effect.ignore(storage.collect, { log: "Warn" })
    yield* Effect.sleep(lifetime)
  }).pipe(Effect.forever)
