/**
 * Places that keep content: what can be read is a `Source`, what can be written a `Target`.
 *
 * A registry's repository, an OCI layout folder and a `Map` are all both. Whatever moves content knows these two
 * interfaces and nothing of the places behind them.
 *
 * @since 1.0.0
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import type * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { ContentError } from "./ContentError.ts"

/**
 * A place that content can be read from.
 *
 * @category models
 * @since 1.0.0
 */
export interface Source {
  /**
   * The place as it is named in messages, such as `ghcr.io/acme/app`.
   */
  readonly location: string
  /**
   * Set when a registry may be asked to mount blobs from here into another repository of its own.
   */
  readonly repository: Option.Option<Repository.Repository>
  /**
   * What a tag or digest stands for: a manifest's media type, digest and size.
   */
  readonly resolve: (identifier: Tag.Tag | Digest.Digest) => Effect.Effect<Descriptor.Descriptor, ContentError>
  /**
   * The bytes of a descriptor, a blob's or a manifest's.
   *
   * **Details**
   *
   * The stream fails unless size and digest hold, so whoever sees it end has seen the right bytes; it can be run again.
   * From an `offset` above 0 the bytes before it are left out, and only the size can be checked: the digest is the
   * business of whoever holds the first part. A size that a place was only told when it resolved a manifest is not held
   * against the bytes that have the digest.
   *
   * **Gotchas**
   *
   * A chunk is valid until the next one is pulled. Copy it to keep it.
   */
  readonly fetch: (
    descriptor: Descriptor.Descriptor,
    offset?: number | undefined
  ) => Stream.Stream<Uint8Array, ContentError>
  /**
   * All bytes of a blob that is no larger than `smallLimit`, as whole and right as `fetch` gives them. Absent where that would be no
   * less work than to run the stream.
   */
  readonly read?: ((descriptor: Descriptor.Descriptor) => Effect.Effect<Uint8Array, ContentError>) | undefined
  /**
   * The manifests there that name a manifest as their subject, where the place can tell.
   */
  readonly referrers?:
    | ((subject: Digest.Digest) => Stream.Stream<Descriptor.Descriptor, ContentError>)
    | undefined
}

/**
 * What became of a push.
 *
 * - `present`: the place had it
 * - `mounted`: the registry linked it from another repository of its own
 * - `sent`: its bytes were sent
 *
 * @category models
 * @since 1.0.0
 */
export type Outcome = "present" | "mounted" | "sent"

/**
 * The largest blob that is held in memory as a whole on its way, in bytes.
 *
 * @category constants
 * @since 1.0.0
 */
export const smallLimit = 64 * 1024

/**
 * The bytes to push, from an offset on. Called again when a push is tried again or resumed.
 *
 * @category models
 * @since 1.0.0
 */
export interface Body<E, R> {
  (offset: number): Stream.Stream<Uint8Array, E, R>
  /**
   * All of them, for a small blob whose source has it as a whole. Read once, however often it is asked for.
   */
  readonly whole?: Effect.Effect<Uint8Array, E, R> | undefined
}

/**
 * Content whose digest and size are known only once it has been sent.
 *
 * @category models
 * @since 1.0.0
 */
export interface Sent {
  readonly digest: Digest.Digest
  readonly size: number
}

/**
 * A place that content can be written to.
 *
 * **Details**
 *
 * A target may refuse a manifest before what it names is there, and a tag before its manifest; `WriteGraph` keeps
 * that order. Nothing that was not confirmed may be visible under its digest.
 *
 * @category models
 * @since 1.0.0
 */
export interface Target {
  /**
   * The place as it is named in messages.
   */
  readonly location: string
  /**
   * Set where the place is a repository of a registry, which may then be asked to mount blobs from others of its own.
   */
  readonly repository: Option.Option<Repository.Repository>
  /**
   * What a tag or digest stands for there now.
   */
  readonly resolve: (identifier: Tag.Tag | Digest.Digest) => Effect.Effect<Descriptor.Descriptor, ContentError>
  /**
   * Whether the place has the content, a blob's or a manifest's by its media type.
   */
  readonly exists: (descriptor: Descriptor.Descriptor) => Effect.Effect<boolean, ContentError>
  /**
   * Writes content of a known digest. The bytes are checked on their way; a failed push leaves nothing under the digest.
   *
   * **Details**
   *
   * `mountFrom` lists repositories that have the blob. A place that can link it from one of them need not run the body.
   */
  readonly push: <E, R>(
    descriptor: Descriptor.Descriptor,
    body: Body<E, R>,
    options?: { readonly mountFrom?: ReadonlyArray<Repository.Repository> | undefined } | undefined
  ) => Effect.Effect<Outcome, E | ContentError, R>
  /**
   * Writes a blob whose digest is not known yet.
   *
   * **Details**
   *
   * The stream is run once, unless it `isRepeatable`: then it is run anew where all that was sent of it got lost.
   */
  readonly pushStream: <E, R>(
    body: Stream.Stream<Uint8Array, E, R>,
    options?: { readonly isRepeatable?: boolean | undefined } | undefined
  ) => Effect.Effect<Sent, E | ContentError, R>
  /**
   * Gives a manifest that the place has a name there.
   *
   * **Details**
   *
   * `bytes` are the manifest's, for whoever has them at hand: a registry is told of a tag by sending them again.
   */
  readonly tag: (
    descriptor: Descriptor.Descriptor,
    tag: Tag.Tag,
    options?: { readonly bytes?: Uint8Array | undefined } | undefined
  ) => Effect.Effect<void, ContentError>
  /**
   * Sees to it that a manifest which the place has is found among its subject's referrers. Absent where a push is enough
   * for that.
   *
   * **Details**
   *
   * `referrer` carries the manifest's artifact type and annotations, as lists of referrers do. What is listed already is
   * `present`.
   */
  readonly refer?:
    | ((subject: Digest.Digest, referrer: Descriptor.Descriptor) => Effect.Effect<Outcome, ContentError>)
    | undefined
}

/**
 * A place that is read and written.
 *
 * @category models
 * @since 1.0.0
 */
export interface Store extends Source, Target {}
