/**
 * One write of a graph: what it is, what must be there first, and the effect that does it.
 *
 * @since 1.0.0
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import type * as Tag from "@effect-oci/name/Tag"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Bytes from "./Bytes.ts"
import { ContentError, Unavailable } from "./ContentError.ts"
import * as CopyError from "./CopyError.ts"
import * as Hasher from "./Hasher.ts"
import * as Bodies from "./internal/bodies.ts"
import * as Sourced from "./internal/sourced.ts"
import type { Outcome, Source, Target } from "./Store.ts"
import * as Successors from "./Successors.ts"

/**
 * What kind of write a node is. A `referrer` puts a manifest into the list of its subject's referrers.
 *
 * @category models
 * @since 1.0.0
 */
export type Kind = "blob" | "manifest" | "tag" | "referrer"

/**
 * What a node leaves for those that depend on it.
 *
 * @category models
 * @since 1.0.0
 */
export interface Written {
  readonly outcome: Outcome
  /**
   * What is at the target now, with the digest and size that a streamed layer only has once it was sent.
   */
  readonly descriptor: Descriptor.Descriptor
  /**
   * A manifest's bytes, if this run has read them, and somebody that it knows of may need them.
   */
  readonly bytes: Option.Option<Uint8Array>
  /**
   * The digest of what a layer expands to, where it was compressed on the way.
   */
  readonly diffId?: Digest.Digest | undefined
}

/**
 * What a node is given when it writes.
 *
 * @category models
 * @since 1.0.0
 */
export interface Context {
  readonly target: Target
  /**
   * The results of what `discover` found to be needed, in that order.
   */
  readonly needs: ReadonlyArray<Written>
  /**
   * Repositories that have the same: some of those to which this run has written it or where it was found, and the node's
   * own.
   */
  readonly mountFrom: ReadonlyArray<Repository.Repository>
  /**
   * Other targets that want the same, where there are any: what one reads they read along.
   */
  readonly others: Others | undefined
  /**
   * To be told of bytes as they leave for the target.
   */
  readonly progress: (bytes: number) => void
}

/**
 * Other targets that want the same.
 *
 * @category models
 * @since 1.0.0
 */
export interface Others {
  /**
   * To be told when this one reads.
   */
  readonly arrive: () => void
  /**
   * Whether one of them has not come yet, and may.
   */
  readonly areExpected: () => boolean
  /**
   * What the run holds in memory for those, in bytes.
   */
  readonly held: { bytes: number }
}

/**
 * What a node leads to.
 *
 * @category models
 * @since 1.0.0
 */
export interface Discovered {
  /**
   * What has to be there before the node is written.
   */
  readonly needs: ReadonlyArray<WriteNode>
  /**
   * What is written after the node, and before anything that needs the node: a manifest's referrers.
   *
   * @default []
   */
  readonly follows?: ReadonlyArray<WriteNode> | undefined
}

/**
 * A write.
 *
 * **Details**
 *
 * A run asks `isPresent` first, with `ahead` where that is set, then `discover`, which may add nodes: an index adds its members once it has been read.
 * Where the node is present it mostly leads to nothing, and nothing is written. Else all its needs are written, and then
 * `write` runs with their results. One node may be written to many targets; at one target, nodes of one known digest are
 * one.
 *
 * @category models
 * @since 1.0.0
 */
export interface WriteNode {
  /**
   * The digest where it is known, else a name of the maker's choice.
   */
  readonly id: string
  readonly kind: Kind
  readonly label: string
  /**
   * Known before the write for whatever is copied.
   */
  readonly descriptor: Option.Option<Descriptor.Descriptor>
  /**
   * Where its bytes are read, if they are.
   */
  readonly source: Option.Option<Place>
  /**
   * Repositories that have it.
   */
  readonly mountFrom: ReadonlyArray<Repository.Repository>
  readonly isPresent: (target: Target) => Effect.Effect<boolean, CopyError.CopyError>
  /**
   * Reads what `discover` needs, to be begun with `isPresent`; set where the target will most likely turn out to lack it.
   */
  readonly ahead?: Effect.Effect<unknown, CopyError.CopyError> | undefined
  /**
   * Absent where there is nothing to be discovered, as with blobs of a known digest.
   */
  readonly discover: (
    target: Target,
    isPresent: boolean
  ) => Effect.Effect<Discovered, CopyError.CopyError> | undefined
  readonly write: (context: Context) => Effect.Effect<Written, CopyError.CopyError>
  /**
   * Lets go of what it has read, once it is at all its targets. What is needed of it once more is read anew.
   */
  readonly release?: (() => void) | undefined
}

/**
 * A place, by its name and the repository that it may be.
 *
 * @category models
 * @since 1.0.0
 */
export type Place = Pick<Source & Target, "location" | "repository">

/**
 * Who answers for a place: the registry of a repository, else the place itself.
 *
 * @category getters
 * @since 1.0.0
 */
export const originOf = (place: Place): string =>
  Option.match(place.repository, { onNone: () => place.location, onSome: ({ registry }) => registry.name })

const nothing = () => undefined
const absent = () => Effect.succeed(false)

/**
 * Options for `content`.
 *
 * @category options
 * @since 1.0.0
 */
export interface ContentOptions {
  /**
   * Repositories that are known to have the blobs, besides the source's own.
   */
  readonly mountFrom?: ReadonlyArray<Repository.Repository> | undefined
  /**
   * Also writes layers that are meant to stay where their `urls` say ("foreign", "nondistributable").
   *
   * @default false
   */
  readonly foreign?: boolean | undefined
  /**
   * What else goes along with each manifest and index, such as its `referrers`. It is written after the manifest, looked
   * for also where the target has the manifest already, and before anything that needs the manifest.
   */
  readonly follow?: Follow | undefined
  /**
   * Whether the target has most likely nothing of it: then manifests are read while it is still asked for them.
   *
   * @default false
   */
  readonly isNew?: boolean | undefined
}

/**
 * Finds what goes along with a manifest.
 *
 * @category models
 * @since 1.0.0
 */
export type Follow = (
  source: Source,
  descriptor: Descriptor.Descriptor,
  options: ContentOptions
) => Effect.Effect<ReadonlyArray<WriteNode>, CopyError.CopyError>

/**
 * The signatures, SBOMs and whatever else names a manifest as its subject, and what refers to those.
 *
 * @category following
 * @since 1.0.0
 */
export const referrers: Follow = (source, descriptor, options) =>
  source.referrers === undefined ? Effect.succeed([]) : source.referrers(descriptor.digest).pipe(
    Stream.runCollect,
    Effect.mapError(CopyError.at("source", descriptor.digest)),
    Effect.map((found) =>
      found
        .filter(({ digest, mediaType }) => Successors.hasSuccessors(mediaType) && digest !== descriptor.digest)
        // As it stands in a list it has annotations that are the manifest's.
        .map(({ digest, mediaType, size }) => content(source, { digest, mediaType, size }, options))
    )
  )

/**
 * Content that a source has, with all that it leads to.
 *
 * @category constructors
 * @since 1.0.0
 */
export const content = (
  source: Source,
  descriptor: Descriptor.Descriptor,
  options?: ContentOptions | undefined
): WriteNode => Sourced.make(source, descriptor, options ?? {})

/**
 * Options for `stream`.
 *
 * @category options
 * @since 1.0.0
 */
export interface StreamOptions {
  readonly annotations?: Readonly<Record<string, string>> | undefined
  /**
   * Whether the stream can be run again, and gives the same bytes then, where a target has lost all of it.
   *
   * @default false
   */
  readonly isRepeatable?: boolean | undefined
}

/**
 * A blob whose digest is known only once it has been sent, such as a layer that is compressed on the way.
 *
 * **Details**
 *
 * What depends on it waits for its result; nothing else does. The stream is run once for each target, unless it
 * `isRepeatable`.
 *
 * @category constructors
 * @since 1.0.0
 */
export const stream = <E>(
  id: string,
  mediaType: string,
  bytes: Stream.Stream<Uint8Array, E>,
  options?: StreamOptions | undefined
): WriteNode => ({
  id,
  kind: "blob",
  label: mediaType,
  descriptor: Option.none(),
  source: Option.none(),
  mountFrom: [],
  isPresent: absent,
  discover: nothing,
  write: ({ target, progress }) =>
    target.pushStream(
      Bodies.counted(
        () => Stream.mapError(bytes, (cause) => CopyError.at("source", id)(streamFailed(id, cause))),
        progress
      )(0),
      { isRepeatable: options?.isRepeatable }
    ).pipe(
      Effect.catchTag("ContentError", (error) => Effect.fail(CopyError.at("target", id)(error))),
      Effect.map(({ digest, size }): Written => ({
        outcome: "sent",
        descriptor: Descriptor.make({
          mediaType,
          digest,
          size,
          ...(options?.annotations === undefined ? {} : { annotations: options.annotations })
        }),
        bytes: Option.none()
      }))
    )
})

const streamFailed = (id: string, cause: unknown): ContentError =>
  isContentError(cause)
    ? cause
    : new ContentError({
      operation: "read",
      location: id,
      reason: new Unavailable({ detail: `stream ${id} failed` }),
      cause
    })

const isContentError = Schema.is(ContentError)

/**
 * Content computed from the results of others: a config that lists what was streamed, the manifest of streamed layers,
 * an index of images that were just built.
 *
 * @category constructors
 * @since 1.0.0
 */
export const computed = (
  id: string,
  mediaType: string,
  needs: ReadonlyArray<WriteNode>,
  make: (needs: ReadonlyArray<Written>) => Uint8Array
): WriteNode => {
  const put = Effect.fnUntraced(function*(
    { progress, target }: Context,
    bytes: Uint8Array
  ): Effect.fn.Return<Written, CopyError.CopyError> {
    const digest = Hasher.digestOf(yield* Hasher.Hashing, bytes)
    const descriptor = Descriptor.make({ mediaType, digest, size: bytes.length })
    const atTarget = CopyError.at("target", id)
    const outcome: Outcome = (yield* Effect.mapError(target.exists(descriptor), atTarget))
      ? "present"
      : yield* Effect.mapError(target.push(descriptor, Bytes.body(bytes)), atTarget)
    if (outcome === "sent") progress(bytes.length)
    return { outcome, descriptor, bytes: Option.some(bytes) }
  })
  return {
    id,
    kind: Successors.hasSuccessors(mediaType) ? "manifest" : "blob",
    label: mediaType,
    descriptor: Option.none(),
    source: Option.none(),
    mountFrom: [],
    isPresent: absent,
    discover: () => Effect.succeed({ needs }),
    write: (context) => put(context, make(context.needs))
  }
}

/**
 * A tag, written once its manifest is there.
 *
 * **Details**
 *
 * Where the target's tag already stands for the digest there is nothing to do, for the tag and for all below it, unless
 * something may go along with it that is to be looked for.
 *
 * @category constructors
 * @since 1.0.0
 */
export const tag = (
  of: WriteNode,
  name: Tag.Tag,
  options?: Pick<ContentOptions, "follow"> | undefined
): WriteNode => ({
  id: `tag:${name}`,
  kind: "tag",
  label: name,
  descriptor: of.descriptor,
  source: Option.none(),
  mountFrom: [],
  isPresent: (target) =>
    Option.match(of.descriptor, {
      onNone: absent,
      onSome: (descriptor) =>
        // A registry has what it has a tag of; a folder may have lost it.
        Option.isNone(target.repository)
          ? Effect.zipWith(
            isTagged(target, name, descriptor.digest),
            Sourced.isPresent(descriptor)(target),
            (isTagged, isPresent) => isTagged && isPresent
          )
          : isTagged(target, name, descriptor.digest)
    }),
  discover: (_, isPresent) => isPresent && options?.follow === undefined ? undefined : Effect.succeed({ needs: [of] }),
  write: Effect.fnUntraced(function*({ target, needs: [manifest] }) {
    const { descriptor, bytes } = manifest!
    yield* Effect.mapError(
      target.tag(descriptor, name, { bytes: Option.getOrUndefined(bytes) }),
      CopyError.at("target", `tag ${name}`)
    )
    return { outcome: "sent", descriptor, bytes }
  })
})

const isTagged = (target: Target, name: Tag.Tag, digest: Digest.Digest) =>
  target.resolve(name).pipe(
    Effect.map((found) => found.digest === digest),
    Effect.catchIf((error) => error.reason._tag === "NotFound", () => Effect.succeed(false)),
    Effect.mapError(CopyError.at("target", `tag ${name}`))
  )
