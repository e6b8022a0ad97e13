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
import * as Shape from "./internal/shape.ts"
import type { JsonObject } from "./Json.ts"
import type { Platform } from "./Platform.ts"
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
  readonly platform?: Platform | undefined
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
 * passed on.
 *
 * @category decoding
 * @since 1.0.0
 */
export const decode = (value: unknown, path = "", document = "descriptor"): Result.Result<Descriptor, SpecError> =>
  Shape.run(document, (shape) => read(shape, value, path))

/** @internal */
export const read = (shape: Shape.Shape, value: unknown, path: string): Descriptor => {
  const object = shape.object(value, path)
  const digest = Digest.parse(shape.string(object["digest"], `${path}.digest`))
  if (Result.isFailure(digest)) throw shape.wrong(`${path}.digest`, digest.failure.detail)
  const data = shape.optional(object["data"], `${path}.data`, shape.base64)
  const urls = shape.optional(object["urls"], `${path}.urls`, shape.strings)
  const annotations = shape.optional(object["annotations"], `${path}.annotations`, shape.stringMap)
  const artifactType = shape.optional(object["artifactType"], `${path}.artifactType`, shape.string)
  const platform = shape.optional(object["platform"], `${path}.platform`, (value, at) => readPlatform(shape, value, at))
  return {
    mediaType: shape.string(object["mediaType"], `${path}.mediaType`),
    digest: digest.success,
    size: shape.natural(object["size"], `${path}.size`),
    ...(urls === undefined ? {} : { urls }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(data === undefined ? {} : { data }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(platform === undefined ? {} : { platform })
  }
}

const readPlatform = (shape: Shape.Shape, value: unknown, path: string): Platform => {
  const object = shape.object(value, path)
  const text = (key: string) => shape.optional(object[key], `${path}.${key}`, shape.string)
  const variant = text("variant")
  const version = text("os.version")
  const features = shape.optional(object["os.features"], `${path}.os.features`, shape.strings)
  return {
    os: text("os") ?? "",
    architecture: text("architecture") ?? "",
    ...(variant === undefined ? {} : { variant }),
    ...(version === undefined ? {} : { "os.version": version }),
    ...(features === undefined ? {} : { "os.features": features })
  }
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
 * A descriptor that was already read.
 *
 * @category schemas
 * @since 1.0.0
 */
export const Descriptor = Schema.declare(
  (u: unknown): u is Descriptor => Result.isSuccess(decode(u)),
  { identifier: "Descriptor" }
)
