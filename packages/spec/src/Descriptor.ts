/**
 * Descriptors: a media type, a digest and a size, which together name content.
 *
 * OCI image specification 1.1, "Content Descriptors".
 *
 * @since 1.0.0
 */
import * as Digest from "@effect-oci/name/Digest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Codec from "./internal/codec.ts"
import * as Shape from "./internal/shape.ts"
import type { JsonObject } from "./Json.ts"
import * as Platform from "./Platform.ts"
import type { SpecError } from "./SpecError.ts"

/**
 * A descriptor.
 *
 * @category models
 * @since 1.0.0
 */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest.Digest
  /**
   * In bytes.
   */
  readonly size: number
  readonly urls?: ReadonlyArray<string> | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
  /**
   * The content itself, decoded. It is not verified yet.
   */
  readonly data?: Uint8Array | undefined
  readonly artifactType?: string | undefined
  readonly platform?: Platform.Platform | undefined
}

/**
 * Makes a descriptor.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = (descriptor: Descriptor): Descriptor => descriptor

/**
 * Reads a descriptor out of a JSON value. `path` is where it stood, for the error.
 *
 * **Details**
 *
 * Written by hand and not as a Schema, for an index may hold thousands of them and each is read on the way to a copy. Keys
 * that are not of the specification are not part of the value; they are in the document's bytes, which are what is
 * passed on. `null` is read as absent. A key of the specification in another case, such as `Digest`, is refused: clients
 * written in Go would take it for the key itself.
 *
 * @category decoding
 * @since 1.0.0
 */
export const decode = (value: unknown, path = "", document = "descriptor"): Result.Result<Descriptor, SpecError> =>
  Shape.run(document, (shape) => read(shape, value, path))

const known = Shape.keys(
  "mediaType",
  "digest",
  "size",
  "urls",
  "annotations",
  "data",
  "artifactType",
  "platform"
)

/** @internal */
export const read = (shape: Shape.Shape, value: unknown, path: string): Descriptor => {
  const object = shape.object(value, path)
  shape.exactKeys(object, path, known)
  const digest = Digest.parse(shape.string(object["digest"], `${path}.digest`))
  if (Result.isFailure(digest)) throw shape.wrong(`${path}.digest`, digest.failure.detail)
  const descriptor: { -readonly [K in keyof Descriptor]: Descriptor[K] } = {
    mediaType: shape.string(object["mediaType"], `${path}.mediaType`),
    digest: digest.success,
    size: shape.natural(object["size"], `${path}.size`)
  }
  const urls = shape.optional(object["urls"], `${path}.urls`, shape.strings)
  if (urls !== undefined) descriptor.urls = urls
  const annotations = shape.optional(object["annotations"], `${path}.annotations`, shape.stringMap)
  if (annotations !== undefined) descriptor.annotations = annotations
  const data = shape.optional(object["data"], `${path}.data`, shape.base64)
  if (data !== undefined) descriptor.data = data
  const artifactType = shape.optional(object["artifactType"], `${path}.artifactType`, shape.string)
  if (artifactType !== undefined) descriptor.artifactType = artifactType
  const platform = object["platform"]
  if (platform !== undefined && platform !== null) {
    descriptor.platform = Platform.read(shape, shape.object(platform, `${path}.platform`), `${path}.platform`)
  }
  return descriptor
}

/**
 * A descriptor as plain JSON.
 *
 * @category encoding
 * @since 1.0.0
 */
export const toJson = (descriptor: Descriptor): JsonObject => ({
  ...descriptor,
  ...(descriptor.data === undefined ? {} : { data: Shape.toBase64(descriptor.data) })
})

/**
 * A descriptor. `Schema.toCodecJson` of it is its JSON, strictly: `DescriptorFromJson` is the one for what others wrote.
 *
 * @category schemas
 * @since 1.0.0
 */
export const Descriptor: Schema.Codec<Descriptor, unknown> = Schema.Struct({
  mediaType: Schema.String,
  digest: Digest.Digest,
  size: Schema.Natural,
  urls: Schema.optional(Schema.Array(Schema.String)),
  annotations: Schema.optional(Schema.Record(Schema.String, Schema.String)),
  data: Schema.optional(Schema.Uint8Array),
  artifactType: Schema.optional(Schema.String),
  platform: Schema.optional(Platform.Platform)
}).annotate({ identifier: "Descriptor" })

/**
 * A descriptor as JSON of any origin, read as `decode` reads it.
 *
 * @category schemas
 * @since 1.0.0
 */
export const DescriptorFromJson = Schema.Unknown.pipe(
  Schema.decodeTo(Schema.toType(Descriptor), Codec.fromResult<Descriptor, unknown>((value) => decode(value), toJson))
)

/**
 * Whether a value is a descriptor that was read or made.
 *
 * @category guards
 * @since 1.0.0
 */
export const isDescriptor: (u: unknown) => u is Descriptor = Schema.is(Descriptor)
