/**
 * Content to seed a registry with: images, indexes and artifacts, the same bytes for the same seed.
 *
 * @since 1.0.0
 */
import * as Hasher from "@effect-oci/content/Hasher"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Json from "@effect-oci/spec/Json"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Platform from "@effect-oci/spec/Platform"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Tar from "effect/encoding/Tar"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Random from "./internal/random.ts"

/**
 * Bytes and what they are called.
 *
 * @category models
 * @since 1.0.0
 */
export interface Part {
  readonly descriptor: Descriptor.Descriptor
  readonly bytes: Uint8Array
}

/**
 * All that a registry has to have for `root` to be whole.
 *
 * @category models
 * @since 1.0.0
 */
export interface Content {
  readonly root: Descriptor.Descriptor
  readonly blobs: ReadonlyArray<Part>
  /**
   * What a manifest names is before it, so `root` is last.
   */
  readonly manifests: ReadonlyArray<Part>
}

/**
 * Options for `image`.
 *
 * @category options
 * @since 1.0.0
 */
export interface ImageOptions {
  /**
   * How many layers there are.
   *
   * @default 1
   */
  readonly layers?: number | undefined
  /**
   * How large the one file of each layer is, in bytes.
   *
   * @default 1024
   */
  readonly size?: number | undefined
  /**
   * @default "linux/amd64"
   */
  readonly platform?: string | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
  /**
   * What the content is made from: other seeds give other bytes.
   *
   * @default "0"
   */
  readonly seed?: string | undefined
}

const part = Effect.fnUntraced(function*(
  mediaType: string,
  bytes: Uint8Array,
  rest: Partial<Descriptor.Descriptor> = {}
): Effect.fn.Return<Part> {
  const digest = Hasher.digestOf(yield* Hasher.Hashing, bytes)
  return { descriptor: { mediaType, digest, size: bytes.length, ...rest }, bytes }
})

const layer = Effect.fnUntraced(function*(seed: string, size: number) {
  const file = Tar.file(`files/${seed}`, Random.bytes(seed, size))
  // The names are short and the size is right, so there is nothing to refuse.
  const bytes = yield* Stream.make(file).pipe(
    Stream.pipeThroughChannel(Tar.encode()),
    Stream.mkUint8Array,
    Effect.orDie
  )
  return yield* part(MediaType.ociLayer, bytes)
})

/**
 * An image of one platform. Each layer is a tar, not compressed, with one file.
 *
 * @category constructors
 * @since 1.0.0
 */
export const image = Effect.fnUntraced(function*(options: ImageOptions = {}): Effect.fn.Return<Content> {
  const platform = Result.getOrThrow(Platform.parse(options.platform ?? "linux/amd64"))
  const seed = options.seed ?? "0"
  const layers: Array<Part> = []
  for (let i = 0; i < (options.layers ?? 1); i++) layers.push(yield* layer(`${seed}-${i}`, options.size ?? 1024))
  const created = "1970-01-01T00:00:00Z"
  const config = yield* part(
    MediaType.ociConfig,
    Json.format({
      created,
      ...platform,
      config: { Env: ["PATH=/bin"], Cmd: ["/bin/app"], Labels: { seed } },
      rootfs: { type: "layers", diff_ids: layers.map(({ descriptor }) => descriptor.digest) },
      history: layers.map((_, at) => ({ created, created_by: `layer ${at}` }))
    })
  )
  const manifest = yield* part(
    MediaType.ociManifest,
    Json.format({
      schemaVersion: 2,
      mediaType: MediaType.ociManifest,
      config: config.descriptor,
      layers: layers.map(({ descriptor }) => descriptor),
      annotations: options.annotations
    }),
    { platform }
  )
  return { root: manifest.descriptor, blobs: [...layers, config], manifests: [manifest] }
})

/**
 * An index with an image for each platform.
 *
 * @category constructors
 * @since 1.0.0
 */
export const index = Effect.fnUntraced(function*(
  options: Omit<ImageOptions, "platform"> & {
    /**
     * @default ["linux/amd64", "linux/arm64"]
     */
    readonly platforms?: ReadonlyArray<string> | undefined
  } = {}
): Effect.fn.Return<Content> {
  const { annotations, platforms = ["linux/amd64", "linux/arm64"], ...rest } = options
  const images = yield* Effect.forEach(
    platforms,
    (platform) => image({ ...rest, platform, seed: `${options.seed ?? "0"}-${platform.replaceAll("/", "-")}` })
  )
  return yield* indexOf(images, { annotations })
})

/**
 * An index of content at hand, of any kind.
 *
 * @category constructors
 * @since 1.0.0
 */
export const indexOf = Effect.fnUntraced(function*(
  members: ReadonlyArray<Content>,
  options: { readonly annotations?: Readonly<Record<string, string>> | undefined } = {}
): Effect.fn.Return<Content> {
  const root = yield* part(
    MediaType.ociIndex,
    Json.format({
      schemaVersion: 2,
      mediaType: MediaType.ociIndex,
      manifests: members.map((member) => Descriptor.toJson(member.root)),
      annotations: options.annotations
    })
  )
  return {
    root: root.descriptor,
    blobs: members.flatMap(({ blobs }) => blobs),
    manifests: [...members.flatMap(({ manifests }) => manifests), root]
  }
})

/**
 * An artifact: a manifest with no image in it, such as a signature or an SBOM of its `subject`.
 *
 * @category constructors
 * @since 1.0.0
 */
export const artifact = Effect.fnUntraced(function*(options: {
  readonly artifactType: string
  readonly subject?: Descriptor.Descriptor | Content | undefined
  /**
   * What it holds.
   *
   * @default `{}`
   */
  readonly bytes?: Uint8Array | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
}): Effect.fn.Return<Content> {
  const config = yield* part(MediaType.ociEmpty, Json.format({}))
  const payload = yield* part(
    options.bytes === undefined ? MediaType.ociEmpty : "application/octet-stream",
    options.bytes ?? Json.format({})
  )
  const of = options.subject
  const about = of !== undefined && "root" in of ? of.root : of
  const subject = about && { mediaType: about.mediaType, digest: about.digest, size: about.size }
  const root = yield* part(
    MediaType.ociManifest,
    Json.format({
      schemaVersion: 2,
      mediaType: MediaType.ociManifest,
      artifactType: options.artifactType,
      config: config.descriptor,
      layers: [payload.descriptor],
      subject,
      annotations: options.annotations
    }),
    { artifactType: options.artifactType }
  )
  return { root: root.descriptor, blobs: [config, payload], manifests: [root] }
})

/**
 * A manifest of any kind, byte for byte, with the blobs and manifests that it names.
 *
 * @category constructors
 * @since 1.0.0
 */
export const raw = Effect.fnUntraced(function*(
  mediaType: string,
  bytes: Uint8Array | string,
  parts: Partial<Pick<Content, "blobs" | "manifests">> = {}
): Effect.fn.Return<Content> {
  const root = yield* part(mediaType, typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes)
  return { root: root.descriptor, blobs: parts.blobs ?? [], manifests: [...parts.manifests ?? [], root] }
})

/**
 * Bytes to name in a manifest.
 *
 * @category constructors
 * @since 1.0.0
 */
export const blob = (bytes: Uint8Array | string, mediaType = "application/octet-stream"): Effect.Effect<Part> =>
  part(mediaType, typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes)

/**
 * An image in the form that Docker had before 2016: schema 1, laid out as a signed one is, with a signature that is none.
 *
 * @category constructors
 * @since 1.0.0
 */
export const schema1 = Effect.fnUntraced(function*(
  options: {
    readonly name?: string | undefined
    readonly tag?: string | undefined
    readonly seed?: string | undefined
  } = {}
): Effect.fn.Return<Content> {
  const layerPart = yield* layer(options.seed ?? "0", 1024)
  const text = JSON.stringify(
    {
      schemaVersion: 1,
      name: options.name ?? "app",
      tag: options.tag ?? "1",
      architecture: "amd64",
      fsLayers: [{ blobSum: layerPart.descriptor.digest }],
      history: [{ v1Compatibility: JSON.stringify({ id: "0".repeat(64), architecture: "amd64", os: "linux" }) }]
    },
    null,
    3
  )
  // As libtrust signs: the payload is what was before the signatures, and what comes after them.
  const header = Base64Url.encode(
    JSON.stringify({ formatLength: text.length - 2, formatTail: Base64Url.encode("\n}"), time: "1970-01-01T00:00:00Z" })
  )
  const signature = { header: { alg: "ES256" }, signature: Base64Url.encode("none"), protected: header }
  const signed = `${text.slice(0, -2)},\n   "signatures": ${JSON.stringify([signature])}\n}`
  return yield* raw(MediaType.dockerSchema1Signed, signed, { blobs: [layerPart] })
})
