/**
 * Manifests and indexes: what a registry keeps under a tag, with the bytes it came as.
 *
 * OCI image specification 1.1, "Image Manifest" and "Image Index"; Docker's schema 2.
 *
 * @since 1.0.0
 */
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Descriptor from "./Descriptor.ts"
import * as Codec from "./internal/codec.ts"
import { quote } from "./internal/quote.ts"
import * as Shape from "./internal/shape.ts"
import { beginsObject, isObject, type JsonObject, parse as parseJson } from "./Json.ts"
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
 * (CVE-2021-41190), so it is refused; so is a key of the specification in another case, such as `Layers`. At most 4,096
 * layers and 10,000 members are read. What is of another type is not read, but it is no document unless it begins as an object.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (bytes: Uint8Array, contentType?: string | undefined): Result.Result<Document, SpecError> => {
  const served = contentType === undefined ? undefined : MediaType.withoutParameters(contentType)
  if (served !== undefined && !MediaType.isManifest(served) && !MediaType.isIndex(served)) {
    if (!isGeneric(served)) return opaque(bytes, served)
  }
  return Result.flatMap(parseJson(bytes, "manifest"), (json) => fromJson(bytes, json, served))
}

const invalid = (reason: SpecError["reason"], detail: string, path = "") =>
  Result.fail(new SpecError({ document: "manifest", path, reason, detail }))

// Nothing is read of it but whether it can be a document at all, and whether it claims to be something that others would read.
const opaque = (bytes: Uint8Array, served: string): Result.Result<Opaque, SpecError> => {
  if (!beginsObject(bytes)) return invalid("Shape", "must be an object")
  const json = Result.getOrElse(parseJson(bytes, "manifest"), () => undefined)
  const declared = isObject(json) ? json["mediaType"] : undefined
  return typeof declared === "string" && (MediaType.isManifest(declared) || MediaType.isIndex(declared))
    ? invalid("MediaType", `was served as ${quote(served, 255)} but says it is ${declared}`, "mediaType")
    : Result.succeed({ _tag: "Opaque", bytes, mediaType: served })
}

const known = Shape.keys(
  "schemaVersion",
  "mediaType",
  "config",
  "layers",
  "manifests",
  "subject",
  "artifactType",
  "annotations"
)

// What registries and files say that keep no media type of their own: the document has to say it.
const isGeneric = (mediaType: string): boolean =>
  mediaType === "" || mediaType === "application/json" || mediaType === "application/octet-stream" ||
  mediaType === "text/plain"

const fromJson = (
  bytes: Uint8Array,
  json: unknown,
  served: string | undefined
): Result.Result<Document, SpecError> => {
  if (!isObject(json)) return invalid("Shape", "must be an object")
  const declared = json["mediaType"]
  if (declared !== undefined && typeof declared !== "string") return invalid("Shape", "must be a string", "mediaType")
  const named = served === undefined || isGeneric(served) ? undefined : served
  if (named !== undefined && declared !== undefined && declared !== named) {
    return invalid("MediaType", `was served as ${named} but says it is ${quote(declared, 255)}`, "mediaType")
  }
  const hasManifests = "manifests" in json
  const hasLayers = "layers" in json || "config" in json
  if (hasManifests && hasLayers) return invalid("MediaType", "has both manifests and layers")
  const mediaType = named ?? declared ??
    (json["schemaVersion"] !== 2
      ? undefined
      : hasManifests
      ? MediaType.ociIndex
      : hasLayers
      ? MediaType.ociManifest
      : undefined)
  if (mediaType === undefined) return invalid("MediaType", "does not say what it is")
  if (MediaType.isIndex(mediaType)) {
    if (hasLayers) return invalid("MediaType", `says it is ${mediaType} but has the form of an image manifest`)
    return schemaVersion2(json) ?? run("index", json, (shape) => index(shape, bytes, mediaType, json))
  }
  if (MediaType.isManifest(mediaType)) {
    if (hasManifests) return invalid("MediaType", `says it is ${mediaType} but has the form of an index`)
    return schemaVersion2(json) ?? run("manifest", json, (shape) => manifest(shape, bytes, mediaType, json))
  }
  return Result.succeed({ _tag: "Opaque", bytes, mediaType })
}

const schemaVersion2 = (json: JsonObject) =>
  json["schemaVersion"] === 2 ? undefined : invalid("Shape", "must be 2", "schemaVersion")

const run = <A>(document: string, json: JsonObject, read: (shape: Shape.Shape) => A) =>
  Shape.run(document, (shape) => {
    shape.exactKeys(json, "", known)
    return read(shape)
  })

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

/**
 * Whether a value is a document that was read.
 *
 * @category guards
 * @since 1.0.0
 */
export const isDocument = (u: unknown): u is Document =>
  hasProperty(u, "bytes") && u.bytes instanceof Uint8Array && hasProperty(u, "_tag") &&
  (u._tag === "Manifest" || u._tag === "ImageIndex" || u._tag === "Opaque")

/**
 * A document that was read.
 *
 * @category schemas
 * @since 1.0.0
 */
export const Document = Schema.declare(isDocument, { identifier: "Document" })

/**
 * A document and its bytes: decoding is `parse`, encoding gives back the bytes as they were.
 *
 * @category schemas
 * @since 1.0.0
 */
export const DocumentFromBytes = Schema.Uint8Array.pipe(
  Schema.decodeTo(
    Document,
    Codec.fromResult((bytes: Uint8Array) => parse(bytes), (document: Document) => document.bytes)
  )
)
