/**
 * Images and indexes as they lie at a registry: read when they are asked for, and once.
 *
 * @since 1.0.0
 */
import * as Bytes from "@effect-oci/content/Bytes"
import { ContentError, Invalid, NotFound } from "@effect-oci/content/ContentError"
import type { Store } from "@effect-oci/content/Store"
import * as Verify from "@effect-oci/content/Verify"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as ImageConfig from "@effect-oci/spec/ImageConfig"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Platform from "@effect-oci/spec/Platform"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"

/**
 * A layer of an image. Nothing is fetched before its bytes are asked for.
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
   * Fetched and verified once, however often it is asked for.
   */
  readonly config: Effect.Effect<ImageConfig.ImageConfig, ContentError>
  /**
   * Lowest first.
   */
  readonly layers: ReadonlyArray<ImageLayer>
}

/**
 * An index: its members are fetched when they are asked for.
 *
 * @category models
 * @since 1.0.0
 */
export interface Index {
  readonly store: Store
  readonly descriptor: Descriptor.Descriptor
  readonly index: Document.ImageIndex
}

/**
 * A document of a store, and its interpretation.
 *
 * @category models
 * @since 1.0.0
 */
export interface Fetched {
  readonly descriptor: Descriptor.Descriptor
  readonly document: Document.Document
}

const failure = (store: Store, reason: Invalid | NotFound) =>
  new ContentError({ operation: "read", location: store.location, reason })

/**
 * Reads what a descriptor names and interprets it as far as it is known.
 *
 * @category reading
 * @since 1.0.0
 */
export const document = Effect.fnUntraced(function*(
  store: Store,
  descriptor: Descriptor.Descriptor
): Effect.fn.Return<Fetched, ContentError> {
  const bytes = yield* content(store, descriptor)
  const document = yield* Effect.mapError(
    Effect.fromResult(Document.parse(bytes, descriptor.mediaType)),
    (error) => failure(store, new Invalid({ detail: `${descriptor.digest}: ${error.message}` }))
  )
  return { descriptor, document }
})

/** Content that is small enough to hold: inline where the descriptor brings it, verified either way. */
const content = (store: Store, descriptor: Descriptor.Descriptor): Effect.Effect<Uint8Array, ContentError> =>
  descriptor.data === undefined
    ? Bytes.collect({ location: store.location })(store.fetch(descriptor))
    : Verify.bytes(descriptor, descriptor.data, { location: store.location })

/**
 * The image that a document is, or that its index offers for a platform.
 *
 * **Details**
 *
 * Members that are indexes themselves are searched as well, and the search goes on where one offers nothing that fits.
 *
 * @category reading
 * @since 1.0.0
 */
export const image = Effect.fnUntraced(function*(
  store: Store,
  fetched: Fetched,
  platform: Platform.Platform
): Effect.fn.Return<Image, ContentError> {
  const found = yield* choose(store, fetched, platform, 0)
  if (found !== undefined) return found
  return yield* failure(
    store,
    new NotFound({ what: `an image for ${Platform.format(platform)} in ${fetched.descriptor.digest}` })
  )
})

const choose = (
  store: Store,
  { descriptor, document: found }: Fetched,
  platform: Platform.Platform,
  depth: number
): Effect.Effect<Image | undefined, ContentError> =>
  Effect.gen(function*() {
    if (found._tag === "Manifest") return yield* fromManifest(store, descriptor, found)
    if (found._tag === "Opaque") {
      return yield* failure(store, new Invalid({ detail: `${descriptor.mediaType} cannot be read as an image` }))
    }
    if (depth >= 8) return yield* failure(store, new Invalid({ detail: "indexes are nested deeper than 8 levels" }))
    const candidates = [...found.manifests]
    for (;;) {
      const best = Platform.best(platform, candidates.map((member) => member.platform))
      if (best === undefined) break
      const [member] = candidates.splice(best, 1)
      const image = yield* choose(store, yield* document(store, member!), platform, depth + 1)
      if (image !== undefined) return image
    }
    for (const member of candidates) {
      if (!MediaType.isIndex(member.mediaType) || member.platform !== undefined) continue
      const image = yield* choose(store, yield* document(store, member), platform, depth + 1)
      if (image !== undefined) return image
    }
    return undefined
  })

const fromManifest = Effect.fnUntraced(function*(
  store: Store,
  descriptor: Descriptor.Descriptor,
  manifest: Document.Manifest
): Effect.fn.Return<Image, ContentError> {
  const config = yield* Effect.cached(
    Effect.flatMap(content(store, manifest.config), (bytes) =>
      Effect.mapError(
        Effect.fromResult(ImageConfig.parse(bytes)),
        (error) => failure(store, new Invalid({ detail: `${manifest.config.digest}: ${error.message}` }))
      ))
  )
  return {
    store,
    descriptor,
    manifest,
    config,
    layers: manifest.layers.map((layer) => ({ descriptor: layer, compressed: store.fetch(layer) }))
  }
})

/**
 * The index that a document is.
 *
 * @category reading
 * @since 1.0.0
 */
export const index = (store: Store, { descriptor, document: found }: Fetched): Effect.Effect<Index, ContentError> =>
  found._tag === "ImageIndex"
    ? Effect.succeed({ store, descriptor, index: found })
    : Effect.fail(failure(store, new Invalid({ detail: `${descriptor.mediaType} is not an index` })))
