/**
 * Manifests and indexes: what a registry keeps under a tag, with the bytes it came as.
 *
 * OCI image specification 1.1, "Image Manifest" and "Image Index"; Docker's schema 2.
 *
 * @since 1.0.0
 */
import * as Result from "effect/Result"
import * as Descriptor from "./Descriptor.ts"
import * as Shape from "./internal/shape.ts"
import { isObject, type JsonObject, parse as parseJson } from "./Json.ts"
import * as MediaType from "./MediaType.ts"
import { SpecError } from "./SpecError.ts"

interface Bytes {
  /**
   * As they were received. A digest is of these; nothing is ever encoded again to be hashed.
   */
  readonly bytes: Uint8Array
  readonly mediaType: string
}

interface Common extends Bytes {
  readonly artifactType: string | undefined
  /**
   * What this is about: a signature's image, an SBOM's image.
   */
  readonly subject: Descriptor.Descriptor | undefined
  readonly annotations: Readonly<Record<string, string>>
  /**
   * All of the document, with the keys that no specification knows.
   */
  readonly json: JsonObject
}

/**
 * An image manifest, or any artifact that uses its form.
 *
 * @category models
 * @since 1.0.0
 */
export interface Manifest extends Common {
  readonly _tag: "Manifest"
  readonly config: Descriptor.Descriptor
  /**
   * Lowest first.
   */
  readonly layers: ReadonlyArray<Descriptor.Descriptor>
}

/**
 * An image index, or Docker's manifest list.
 *
 * @category models
 * @since 1.0.0
 */
export interface ImageIndex extends Common {
  readonly _tag: "ImageIndex"
  /**
   * Any content: images, further indexes, and whatever else has a digest.
   */
  readonly manifests: ReadonlyArray<Descriptor.Descriptor>
}

/**
 * Something that is passed on as it is: Docker's schema 1, or a media type that this library does not know.
 *
 * @category models
 * @since 1.0.0
 */
export interface Opaque extends Bytes {
  readonly _tag: "Opaque"
}

/**
 * What a registry keeps under a tag.
 *
 * @category models
 * @since 1.0.0
 */
export type Document = Manifest | ImageIndex | Opaque

/**
 * Reads a document.
 *
 * **Details**
 *
 * `contentType` is what it was served as, or its descriptor's media type; parameters do not count. Where it, the
 * document's own `mediaType` and its shape disagree, two clients could see two different documents in the same bytes
 * (CVE-2021-41190), so it is refused. At most 4,096 layers and 10,000 members are read.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (bytes: Uint8Array, contentType?: string | undefined): Result.Result<Document, SpecError> => {
  const served = contentType === undefined ? undefined : MediaType.withoutParameters(contentType)
  if (served !== undefined && !MediaType.isManifest(served) && !MediaType.isIndex(served)) {
    if (!isGeneric(served)) return Result.succeed({ _tag: "Opaque", bytes, mediaType: served })
  }
  return Result.flatMap(parseJson(bytes, "manifest"), (json) => fromJson(bytes, json, served))
}

// What registries and files say that keep no media type of their own: the document has to say it.
const isGeneric = (mediaType: string): boolean =>
  mediaType === "" || mediaType === "application/json" || mediaType === "application/octet-stream" ||
  mediaType === "text/plain"

const fromJson = (
  bytes: Uint8Array,
  json: unknown,
  served: string | undefined
): Result.Result<Document, SpecError> => {
  const fail = (reason: SpecError["reason"], detail: string, path = "") =>
    Result.fail(new SpecError({ document: "manifest", path, reason, detail }))
  if (!isObject(json)) return fail("Shape", "must be an object")
  const declared = json["mediaType"]
  if (declared !== undefined && typeof declared !== "string") return fail("Shape", "must be a string", "mediaType")
  const named = served === undefined || isGeneric(served) ? undefined : served
  if (named !== undefined && declared !== undefined && declared !== named) {
    return fail("MediaType", `was served as ${named} but says it is ${declared}`, "mediaType")
  }
  const hasManifests = "manifests" in json
  const hasLayers = "layers" in json || "config" in json
  if (hasManifests && hasLayers) return fail("MediaType", "has both manifests and layers")
  const mediaType = named ?? declared ??
    (json["schemaVersion"] !== 2
      ? undefined
      : hasManifests
      ? MediaType.ociIndex
      : hasLayers
      ? MediaType.ociManifest
      : undefined)
  if (mediaType === undefined) return fail("MediaType", "does not say what it is")
  if (MediaType.isIndex(mediaType)) {
    if (hasLayers) return fail("MediaType", `says it is ${mediaType} but has the form of an image manifest`)
    return schemaVersion2(json) ?? Shape.run("index", (shape) => index(shape, bytes, mediaType, json))
  }
  if (MediaType.isManifest(mediaType)) {
    if (hasManifests) return fail("MediaType", `says it is ${mediaType} but has the form of an index`)
    return schemaVersion2(json) ?? Shape.run("manifest", (shape) => manifest(shape, bytes, mediaType, json))
  }
  return Result.succeed({ _tag: "Opaque", bytes, mediaType })
}

const schemaVersion2 = (json: JsonObject) =>
  json["schemaVersion"] === 2 ? undefined : Result.fail(
    new SpecError({ document: "manifest", path: "schemaVersion", reason: "Shape", detail: "must be 2" })
  )

const common = (shape: Shape.Shape, json: JsonObject) => ({
  artifactType: shape.optional(json["artifactType"], "artifactType", shape.string),
  subject: shape.optional(json["subject"], "subject", (value, path) => Descriptor.read(shape, value, path)),
  annotations: shape.optional(json["annotations"], "annotations", shape.stringMap) ?? {},
  json
})

const descriptors = (shape: Shape.Shape, value: unknown, path: string, limit: number) =>
  shape.optional(
    value,
    path,
    (list) => shape.array(list, path, (item, at) => Descriptor.read(shape, item, at), limit)
  ) ?? []

const manifest = (shape: Shape.Shape, bytes: Uint8Array, mediaType: string, json: JsonObject): Manifest => ({
  _tag: "Manifest",
  bytes,
  mediaType,
  config: Descriptor.read(shape, json["config"], "config"),
  layers: descriptors(shape, json["layers"], "layers", 4096),
  ...common(shape, json)
})

const index = (shape: Shape.Shape, bytes: Uint8Array, mediaType: string, json: JsonObject): ImageIndex => ({
  _tag: "ImageIndex",
  bytes,
  mediaType,
  manifests: descriptors(shape, json["manifests"], "manifests", 10_000),
  ...common(shape, json)
})

/**
 * What has to be where the document is: config and layers, or members. Not its subject.
 *
 * @category getters
 * @since 1.0.0
 */
export const successors = (document: Document): ReadonlyArray<Descriptor.Descriptor> => {
  switch (document._tag) {
    case "Manifest":
      return [document.config, ...document.layers]
    case "ImageIndex":
      return document.manifests
    case "Opaque":
      return []
  }
}
