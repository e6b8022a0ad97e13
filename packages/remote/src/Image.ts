/**
 * Images as they lie at a registry: read when they are asked for, and once.
 *
 * @since 1.0.0
 */
import * as Bytes from "@effect-oci/content/Bytes"
import * as Compression from "@effect-oci/content/Compression"
import { ContentError, DigestMismatch, Invalid, NotFound } from "@effect-oci/content/ContentError"
import * as Hasher from "@effect-oci/content/Hasher"
import type { Store } from "@effect-oci/content/Store"
import * as Digest from "@effect-oci/name/Digest"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import type * as Document from "@effect-oci/spec/Document"
import * as ImageConfig from "@effect-oci/spec/ImageConfig"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Platform from "@effect-oci/spec/Platform"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Documents from "./Documents.ts"
import * as Shared from "./internal/shared.ts"

/**
 * A layer. Nothing is fetched before its bytes are asked for.
 *
 * @category models
 * @since 1.0.0
 */
export interface ImageLayer {
  readonly descriptor: Descriptor.Descriptor
  /**
   * The bytes as they are kept, mostly compressed; verified.
   */
  readonly compressed: Stream.Stream<Uint8Array, ContentError>
  /**
   * The bytes without their compression: gzip, zstd or none, of which the first bytes tell and not the media type. What goes
   * in is verified, and where an image's config says what has to come out, that as well: the stream fails instead of ending.
   */
  readonly uncompressed: Stream.Stream<Uint8Array, ContentError>
}

/**
 * A layer of an image.
 *
 * @category models
 * @since 1.0.0
 */
export interface OfImage extends ImageLayer {
  /**
   * The digest of the uncompressed bytes, as the config has it.
   */
  readonly diffId: Effect.Effect<Digest.Digest, ContentError>
}

/**
 * An image: its manifest is here, its config and layers are fetched when they are asked for.
 *
 * @category models
 * @since 1.0.0
 */
export interface Image {
  readonly store: Store
  readonly descriptor: Descriptor.Descriptor
  readonly manifest: Document.Manifest
  /**
   * Fetched and verified once, however often and by however many it is asked for.
   */
  readonly config: Effect.Effect<ImageConfig.ImageConfig, ContentError>
  /**
   * Lowest first.
   */
  readonly layers: ReadonlyArray<OfImage>
}

/**
 * A layer of which only the blob is known.
 *
 * @category constructors
 * @since 1.0.0
 */
export const layer = (store: Store, descriptor: Descriptor.Descriptor): ImageLayer => {
  const compressed = store.fetch(descriptor)
  return {
    descriptor,
    compressed: Bytes.owned(compressed),
    uncompressed: Compression.uncompressed({ location: store.location })(compressed)
  }
}

/** Fails in place of ending where the bytes are not those of the digest. */
const ending = (location: string, expected: Digest.Digest) =>
<E, R>(
  self: Stream.Stream<Uint8Array, E, R>
): Stream.Stream<Uint8Array, E | ContentError, R> =>
  Stream.unwrap(Effect.map(Hasher.Hashing, (start) => {
    const hasher = start(Digest.algorithm(expected))
    const check = Effect.suspend(() => {
      const actual = hasher.digest()
      return actual === expected ? Effect.void : Effect.fail(
        new ContentError({ operation: "read", location, reason: new DigestMismatch({ expected, actual }) })
      )
    })
    return self.pipe(
      Stream.mapArray((chunks) => {
        for (const chunk of chunks) hasher.update(chunk)
        return chunks
      }),
      Stream.concat(Stream.drain(Stream.fromEffect(check)))
    )
  }))

const fromManifest = Effect.fnUntraced(function*(
  store: Store,
  descriptor: Descriptor.Descriptor,
  manifest: Document.Manifest
): Effect.fn.Return<Image, ContentError> {
  const { mediaType } = manifest.config
  if (!MediaType.isConfig(mediaType)) {
    const type = manifest.artifactType ?? mediaType
    return yield* Documents.unsupported(store, `${descriptor.digest} is an artifact of type ${type}, not an image`)
  }
  const invalid = (detail: string) => Documents.failure(store, new Invalid({ detail }))
  const config = yield* Shared.once(
    Effect.flatMap(Documents.content(store, manifest.config), (bytes) =>
      Effect.mapError(
        Effect.fromResult(ImageConfig.parse(bytes)),
        (error) => invalid(`${manifest.config.digest}: ${error.message}`)
      ))
  )
  return {
    store,
    descriptor,
    manifest,
    config,
    layers: manifest.layers.map((of, at): OfImage => {
      const plain = layer(store, of)
      const diffId = Effect.flatMap(config, ({ diffIds }) =>
        diffIds.length === manifest.layers.length
          ? Effect.succeed(diffIds[at]!)
          : Effect.fail(invalid(`the config has ${diffIds.length} diff_ids for ${manifest.layers.length} layers`)))
      return {
        ...plain,
        diffId,
        uncompressed: Stream.unwrap(
          Effect.map(diffId, (expected) => ending(store.location, expected)(plain.uncompressed))
        )
      }
    })
  }
})

/**
 * The image that a manifest is, or that an index offers for a platform.
 *
 * **Details**
 *
 * Members that are indexes themselves are searched as well, and the search goes on where one offers nothing that fits.
 * Attestations are no offers.
 *
 * @category reading
 * @since 1.0.0
 */
export const read = Effect.fnUntraced(function*(
  documents: Documents.Documents<Store>,
  from: Documents.Read,
  platform: Platform.Platform
): Effect.fn.Return<Image, ContentError> {
  const found = yield* choose(documents, from, platform, 0)
  if (found !== undefined) return found
  return yield* Documents.failure(
    documents.source,
    new NotFound({ what: `an image for ${Platform.format(platform)} in ${from.descriptor.digest}` })
  )
})

/** How deep indexes are searched. */
const maxDepth = 8

/**
 * Whether a member of an index is about another one, by BuildKit's mark, whatever its platform says.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isAttestation = (member: Descriptor.Descriptor): boolean =>
  member.annotations?.["vnd.docker.reference.type"] !== undefined

const choose = (
  documents: Documents.Documents<Store>,
  { descriptor, document: found }: Documents.Read,
  platform: Platform.Platform,
  depth: number
): Effect.Effect<Image | undefined, ContentError> =>
  Effect.gen(function*() {
    const { source } = documents
    if (found._tag === "Manifest") return yield* fromManifest(source, descriptor, found)
    if (found._tag === "Opaque") {
      return yield* Documents.unsupported(source, `${descriptor.mediaType} cannot be read as an image`)
    }
    if (depth >= maxDepth) {
      return yield* Documents.failure(
        source,
        new Invalid({ detail: `indexes are nested deeper than ${maxDepth} levels` })
      )
    }
    const look = (member: Descriptor.Descriptor) =>
      Effect.flatMap(documents.read(member), (next) => choose(documents, next, platform, depth + 1))
    const candidates = found.manifests.filter((member) =>
      !isAttestation(member) && (MediaType.isManifest(member.mediaType) || MediaType.isIndex(member.mediaType))
    )
    for (;;) {
      const best = Platform.best(platform, candidates.map((member) => member.platform))
      if (best === undefined) break
      const image = yield* look(candidates.splice(best, 1)[0]!)
      if (image !== undefined) return image
    }
    for (const member of candidates) {
      if (!MediaType.isIndex(member.mediaType) || member.platform !== undefined) continue
      const image = yield* look(member)
      if (image !== undefined) return image
    }
    return undefined
  })

/**
 * The images for several platforms, in their order. What they share is read once.
 *
 * **Details**
 *
 * One image alone is the image for those platforms that its config runs on; the others are a failure, as they are in an
 * index that offers nothing for them.
 *
 * @category reading
 * @since 1.0.0
 */
export const all = Effect.fnUntraced(function*(
  documents: Documents.Documents<Store>,
  from: Documents.Read,
  platforms: ReadonlyArray<Platform.Platform>
): Effect.fn.Return<ReadonlyArray<Image>, ContentError> {
  if (from.document._tag !== "Manifest") {
    return yield* Effect.forEach(platforms, (platform) => read(documents, from, platform), { concurrency: 8 })
  }
  const image = yield* fromManifest(documents.source, from.descriptor, from.document)
  const { platform: offer } = yield* image.config
  const wrong = platforms.find((platform) => !Platform.matches(platform, offer))
  if (wrong === undefined) return platforms.map(() => image)
  return yield* Documents.failure(
    documents.source,
    new NotFound({
      what: `an image for ${Platform.format(wrong)}: ${from.descriptor.digest} is for ${Platform.format(offer)} and`
    })
  )
})
