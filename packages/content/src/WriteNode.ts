/**
 * One write of a graph: what it is, what must be there first, and the effect that does it.
 *
 * @since 1.0.0
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import type * as Tag from "@effect-oci/name/Tag"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Bytes from "./Bytes.ts"
import { ContentError, Unavailable } from "./ContentError.ts"
import * as CopyError from "./CopyError.ts"
import * as Hasher from "./Hasher.ts"
import type { Body, Outcome, Source, Target } from "./Store.ts"
import * as Successors from "./Successors.ts"

/**
 * What kind of write a node is.
 *
 * @category models
 * @since 1.0.0
 */
export type Kind = "blob" | "manifest" | "tag"

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
   * A manifest's bytes, if this run has read them.
   */
  readonly bytes: Option.Option<Uint8Array>
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
   * The results of `needs` and of what `discover` found, in that order.
   */
  readonly needs: ReadonlyArray<Written>
  /**
   * To be told of bytes as they leave for the target.
   */
  readonly progress: (bytes: number) => void
}

/**
 * A write.
 *
 * **Details**
 *
 * A run asks `isPresent` first, and where it holds asks nothing more, neither of the node nor of what it leads to. Then
 * `discover` may add nodes (an index adds its members once it has been read), all `needs` are written, and `write` runs
 * with their results. Nodes of one `id` are one node.
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
  readonly needs: ReadonlyArray<WriteNode>
  readonly isPresent: (target: Target) => Effect.Effect<boolean, CopyError.CopyError>
  readonly discover: Effect.Effect<ReadonlyArray<WriteNode>, CopyError.CopyError>
  readonly write: (context: Context) => Effect.Effect<Written, CopyError.CopyError>
}

const nothing: Effect.Effect<ReadonlyArray<WriteNode>> = Effect.succeed([])
const absent = () => Effect.succeed(false)

/** Tells of the bytes of a body; those that are sent again are taken back first, so that the sum is what is there. */
const counted = <E, R>(body: Body<E, R>, progress: (bytes: number) => void): Body<E, R> => {
  let at = 0
  return (offset) =>
    Stream.suspend(() => {
      if (offset !== at) progress(offset - at)
      at = offset
      return Stream.mapArray(body(offset), (chunks) => {
        for (const chunk of chunks) {
          at += chunk.length
          progress(chunk.length)
        }
        return chunks
      })
    })
}

/** Bytes that arrived wrong may have been changed on the way: they are fetched once more, and that is all. */
const refetched = <A>(self: Effect.Effect<A, CopyError.CopyError>): Effect.Effect<A, CopyError.CopyError> =>
  Effect.retry(self, {
    times: 1,
    while: ({ reason, side }) =>
      side === "source" && (reason.reason._tag === "DigestMismatch" || reason.reason._tag === "SizeMismatch")
  })

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
}

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
): WriteNode =>
  Successors.hasSuccessors(descriptor.mediaType)
    ? document(source, descriptor, options)
    : blob(source, descriptor, options)

const isPresent = (descriptor: Descriptor.Descriptor) => (target: Target) =>
  Effect.mapError(target.exists(descriptor), CopyError.at("target", descriptor.digest))

const blob = (source: Source, descriptor: Descriptor.Descriptor, options?: ContentOptions): WriteNode => ({
  id: descriptor.digest,
  kind: MediaType.isSchema1(descriptor.mediaType) ? "manifest" : "blob",
  label: descriptor.mediaType,
  descriptor: Option.some(descriptor),
  needs: [],
  isPresent: isPresent(descriptor),
  discover: nothing,
  write: ({ target, progress }) =>
    target.push(
      descriptor,
      // Named on its way out of the source, so that the target's own failures cannot be taken for it.
      counted(
        (offset) => Stream.mapError(source.fetch(descriptor, offset), CopyError.at("source", descriptor.digest)),
        progress
      ),
      { mountFrom: [...Option.toArray(source.repository), ...(options?.mountFrom ?? [])] }
    ).pipe(
      Effect.catchTag("ContentError", (error) => Effect.fail(CopyError.at("target", descriptor.digest)(error))),
      refetched,
      Effect.map((outcome) => ({ outcome, descriptor, bytes: Option.none() }))
    )
})

const document = (source: Source, descriptor: Descriptor.Descriptor, options?: ContentOptions): WriteNode => {
  const atSource = CopyError.at("source", descriptor.digest)
  // Read once for discovery, and written from the same bytes.
  let bytes: Uint8Array | undefined
  const read = Effect.suspend(() =>
    bytes !== undefined ? Effect.succeed(bytes) : source.fetch(descriptor).pipe(
      Bytes.collect({ location: source.location }),
      Effect.tap((all) => Effect.sync(() => bytes = all)),
      Effect.mapError(atSource),
      refetched
    )
  )
  return {
    id: descriptor.digest,
    kind: "manifest",
    label: descriptor.mediaType,
    descriptor: Option.some(descriptor),
    needs: [],
    isPresent: isPresent(descriptor),
    discover: Effect.flatMap(read, (all) =>
      Effect.fromResult(Successors.of(descriptor, all, source.location)).pipe(
        Effect.mapError(atSource),
        Effect.map((members) =>
          members
            .filter((member) => options?.foreign === true || !MediaType.isForeign(member.mediaType))
            .map((member) => content(source, member, options))
        )
      )),
    write: ({ target, progress }) =>
      Effect.flatMap(read, (all) =>
        target.push(descriptor, Bytes.body(all)).pipe(
          Effect.mapError(CopyError.at("target", descriptor.digest)),
          Effect.map((outcome): Written => {
            progress(all.length)
            return { outcome, descriptor, bytes: Option.some(all) }
          })
        ))
  }
}

/**
 * A blob whose digest is known only once it has been sent, such as a layer that is compressed on the way.
 *
 * **Details**
 *
 * What depends on it waits for its result; nothing else does. The stream is run once for each time the node is
 * written, and again only by whoever runs the graph again.
 *
 * @category constructors
 * @since 1.0.0
 */
export const stream = <E>(
  id: string,
  mediaType: string,
  bytes: Stream.Stream<Uint8Array, E>,
  options?: { readonly annotations?: Readonly<Record<string, string>> | undefined } | undefined
): WriteNode => ({
  id,
  kind: "blob",
  label: mediaType,
  descriptor: Option.none(),
  needs: [],
  isPresent: absent,
  discover: nothing,
  write: ({ target, progress }) =>
    target.pushStream(
      counted(
        () =>
          Stream.mapError(bytes, (cause) =>
            CopyError.at("source", id)(
              new ContentError({
                operation: "read",
                location: id,
                reason: new Unavailable({ detail: `stream ${id} failed` }),
                cause
              })
            )),
        progress
      )(0)
    ).pipe(
      Effect.catchTag("ContentError", (error) => Effect.fail(CopyError.at("target", id)(error))),
      Effect.map(({ digest, size }): Written => ({
        outcome: "sent",
        descriptor: Descriptor.make({ mediaType, digest, size, ...annotationsOf(options) }),
        bytes: Option.none()
      }))
    )
})

const annotationsOf = (options?: { readonly annotations?: Readonly<Record<string, string>> | undefined }) =>
  options?.annotations === undefined ? {} : { annotations: options.annotations }

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
  make: (needs: ReadonlyArray<Descriptor.Descriptor>) => Uint8Array
): WriteNode => ({
  id,
  kind: Successors.hasSuccessors(mediaType) ? "manifest" : "blob",
  label: mediaType,
  descriptor: Option.none(),
  needs,
  isPresent: absent,
  discover: nothing,
  write: Effect.fnUntraced(function*({ target, needs, progress }) {
    const bytes = make(needs.map((written) => written.descriptor))
    const digest = Hasher.digestOf(yield* Hasher.Hashing, bytes)
    const descriptor = Descriptor.make({ mediaType, digest, size: bytes.length })
    const atTarget = CopyError.at("target", id)
    const outcome: Outcome = (yield* Effect.mapError(target.exists(descriptor), atTarget))
      ? "present"
      : yield* Effect.mapError(target.push(descriptor, Bytes.body(bytes)), atTarget)
    progress(bytes.length)
    return { outcome, descriptor, bytes: Option.some(bytes) }
  })
})

/**
 * A tag, written once its manifest is there.
 *
 * **Details**
 *
 * Where the target's tag already stands for the digest there is nothing to do, for the tag and for all below it.
 *
 * @category constructors
 * @since 1.0.0
 */
export const tag = (of: WriteNode, name: Tag.Tag): WriteNode => ({
  id: `tag:${name}`,
  kind: "tag",
  label: name,
  descriptor: of.descriptor,
  needs: [of],
  isPresent: (target) =>
    Option.match(of.descriptor, {
      onNone: absent,
      onSome: (descriptor) => isTagged(target, name, descriptor.digest)
    }),
  discover: nothing,
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
