/**
 * What an image is built on: another image, or nothing.
 *
 * @since 1.0.0
 */
import * as Bytes from "@effect-oci/content/Bytes"
import { ContentError, Invalid } from "@effect-oci/content/ContentError"
import type { Source } from "@effect-oci/content/Store"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as ImageConfig from "@effect-oci/spec/ImageConfig"
import type { JsonObject } from "@effect-oci/spec/Json"
import * as MediaType from "@effect-oci/spec/MediaType"
import type * as Platform from "@effect-oci/spec/Platform"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/**
 * An image to build on.
 *
 * @category models
 * @since 1.0.0
 */
export interface Base {
  /**
   * Where its layers are; nowhere if it has none.
   */
  readonly source: Option.Option<Source>
  /**
   * Of a manifest: OCI's or Docker's.
   */
  readonly mediaType: string
  readonly manifest: JsonObject
  readonly config: JsonObject
  readonly configType: string
  /**
   * Lowest first.
   */
  readonly layers: ReadonlyArray<Descriptor.Descriptor>
  readonly diffIds: ReadonlyArray<string>
}

/**
 * An image without layers.
 *
 * @category constructors
 * @since 1.0.0
 */
export const scratch = (platform: Platform.Platform): Base => ({
  source: Option.none(),
  mediaType: MediaType.ociManifest,
  manifest: { schemaVersion: 2, mediaType: MediaType.ociManifest },
  config: { ...platform },
  configType: MediaType.ociConfig,
  layers: [],
  diffIds: []
})

const invalid = (source: Source, detail: string) =>
  new ContentError({ operation: "read", location: source.location, reason: new Invalid({ detail }) })

/**
 * The image that a source has. Its manifest and config are read; its layers stay where they are.
 *
 * @category constructors
 * @since 1.0.0
 */
export const read = Effect.fn("Base.read")(function*(
  source: Source,
  descriptor: Descriptor.Descriptor
): Effect.fn.Return<Base, ContentError> {
  const bytesOf = (of: Descriptor.Descriptor) => Bytes.collect({ location: source.location })(source.fetch(of))
  const manifest = yield* Effect.mapError(
    Effect.fromResult(Document.parse(yield* bytesOf(descriptor), descriptor.mediaType)),
    (error) => invalid(source, `${descriptor.digest}: ${error.message}`)
  )
  if (manifest._tag !== "Manifest" || !MediaType.isConfig(manifest.config.mediaType)) {
    return yield* invalid(source, `${descriptor.digest} is no image`)
  }
  const config = yield* Effect.mapError(
    Effect.fromResult(ImageConfig.parse(yield* bytesOf(manifest.config))),
    (error) => invalid(source, `${manifest.config.digest}: ${error.message}`)
  )
  if (config.diffIds.length !== manifest.layers.length) {
    return yield* invalid(
      source,
      `${descriptor.digest} has ${manifest.layers.length} layers, its config ${config.diffIds.length}`
    )
  }
  return {
    source: Option.some(source),
    mediaType: manifest.mediaType,
    manifest: manifest.json,
    config: config.json,
    configType: manifest.config.mediaType,
    layers: manifest.layers,
    diffIds: config.diffIds
  }
})
