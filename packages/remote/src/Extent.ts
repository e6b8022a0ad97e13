/**
 * How much goes along with what is copied: only some platforms of it, its referrers, the tags that sign it.
 *
 * @since 1.0.0
 */
import type { ContentError } from "@effect-oci/content/ContentError"
import type * as Copy from "@effect-oci/content/Copy"
import * as CopyError from "@effect-oci/content/CopyError"
import type { Source } from "@effect-oci/content/Store"
import * as WriteNode from "@effect-oci/content/WriteNode"
import * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import * as MediaType from "@effect-oci/spec/MediaType"
import type * as Platform from "@effect-oci/spec/Platform"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Documents from "./Documents.ts"
import * as PlatformInput from "./internal/platform.ts"
import * as Schema1 from "./internal/schema1.ts"
import * as Shared from "./internal/shared.ts"
import type { RemoteStore } from "./RemoteStore.ts"
import * as Subset from "./Subset.ts"

/**
 * How much is copied.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options extends Copy.Options {
  /**
   * Only these platforms of an index, which is made anew with only them in it and so gets another digest. All unless told.
   */
  readonly platforms?: ReadonlyArray<string | Platform.Platform> | undefined
  /**
   * Also what refers to it, to each of its members, and to those again: signatures, SBOMs and the like.
   *
   * @default false
   */
  readonly referrers?: boolean | undefined
  /**
   * Also what is tagged with its digest or a member's, as cosign does: `sha256-….sig`, `.att`, `.sbom`.
   *
   * @default false
   */
  readonly digestTags?: boolean | undefined
}

/**
 * A tag that is made of a digest: of a list of referrers, or of what signs the digest.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isDigestTag = (tag: string): boolean => /^sha(?:256-[0-9a-f]{64}|512-[0-9a-f]{64,121})(?:\.|$)/.test(tag)

const isRemote = (source: Source): source is RemoteStore => "tags" in source && "sizeOf" in source

/** Finds the tags that are made of a manifest's digest; the source is asked for its tags once. */
const tagged = Effect.fnUntraced(function*(source: Source): Effect.fn.Return<WriteNode.Follow> {
  const byDigest = yield* Shared.once(Effect.suspend(() => {
    const found = new Map<string, Array<Tag.Tag>>()
    return Effect.as(
      Stream.runForEach(isRemote(source) ? source.tags : Stream.empty, (name) =>
        Effect.sync(() => {
          const tag = Tag.parse(name)
          const dot = name.indexOf(".")
          // Without a suffix it is a list of referrers, which is kept up where it is needed.
          if (Result.isFailure(tag) || dot === -1 || !isDigestTag(name)) return
          const of = name.slice(0, dot)
          found.set(of, [...(found.get(of) ?? []), tag.success])
        })),
      found
    )
  }))
  return Effect.fnUntraced(function*(source, descriptor, options) {
    const at = CopyError.at("source", descriptor.digest)
    const { digest } = descriptor
    const tags = (yield* Effect.mapError(byDigest, at)).get(`${Digest.algorithm(digest)}-${Digest.hex(digest)}`) ?? []
    return yield* Effect.forEach(tags, (tag) =>
      Effect.map(
        Effect.mapError(source.resolve(tag), at),
        (found) => WriteNode.tag(WriteNode.content(source, found, options), tag, options)
      ))
  })
})

const both = (all: ReadonlyArray<WriteNode.Follow>): WriteNode.Follow => (source, descriptor, options) =>
  Effect.map(Effect.forEach(all, (follow) => follow(source, descriptor, options)), (nodes) => nodes.flat())

/** A schema 1 manifest needs layers of which it does not say the size. */
const schema1 = Effect.fnUntraced(function*(
  { descriptor, store }: Subset.Placed,
  options: Options | undefined
): Effect.fn.Return<WriteNode.WriteNode, ContentError> {
  if (!isRemote(store)) return WriteNode.content(store, descriptor, options)
  const bytes = yield* Documents.content(store, descriptor)
  const layers = yield* Effect.forEach(
    Schema1.layers(bytes),
    (digest) =>
      Effect.map(
        store.sizeOf(digest),
        (size) => WriteNode.content(store, { mediaType: MediaType.dockerLayerGzip, digest, size }, options)
      ),
    { concurrency: 8 }
  )
  return {
    ...WriteNode.content(store, descriptor, options),
    discover: (_, isPresent) => isPresent ? undefined : Effect.succeed({ needs: layers })
  }
})

/**
 * What has to be written, for a graph: everything that the options say goes along.
 *
 * @category constructors
 * @since 1.0.0
 */
export const of = Effect.fn("Extent.of")(function*(
  placed: Subset.Placed,
  options?: Options | undefined
): Effect.fn.Return<
  Subset.Placed & { readonly roots: ReadonlyArray<WriteNode.WriteNode> },
  ContentError
> {
  const follows = [
    ...(options?.follow === undefined ? [] : [options.follow]),
    ...(options?.referrers === true ? [WriteNode.referrers] : []),
    ...(options?.digestTags === true ? [yield* tagged(placed.store)] : [])
  ]
  const content: Options = { ...options, follow: follows.length === 0 ? undefined : both(follows) }
  const { descriptor, store } = options?.platforms === undefined || options.platforms.length === 0
    ? placed
    : yield* Subset.of(placed, yield* Effect.forEach(options.platforms, PlatformInput.of))
  const root = MediaType.isSchema1(descriptor.mediaType)
    ? yield* schema1({ descriptor, store }, content)
    : WriteNode.content(store, descriptor, content)
  const tags = options?.tags ?? []
  const roots = tags.length === 0 ? [root] : tags.map((tag) => WriteNode.tag(root, tag, content))
  return { store, descriptor, roots }
})
