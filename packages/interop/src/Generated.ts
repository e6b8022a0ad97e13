/**
 * Content of any size that is made while it is read.
 */
import * as Bytes from "@effect-oci/content/Bytes"
import { ContentError, NotFound } from "@effect-oci/content/ContentError"
import type { Source } from "@effect-oci/content/Store"
import * as Digest from "@effect-oci/name/Digest"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { createHash, randomBytes } from "node:crypto"
import { Readable } from "node:stream"
import { createGzip } from "node:zlib"

const chunkSize = 1024 * 1024
// The same bytes in every chunk but for its number: random enough to be a blob, and made in no time.
const pattern = randomBytes(chunkSize)

const chunkAt = (seed: number, at: number, size: number): Uint8Array => {
  const chunk = Buffer.from(pattern.subarray(0, Math.min(chunkSize, size - at)))
  if (chunk.length >= 16) {
    chunk.writeDoubleLE(seed, 0)
    chunk.writeDoubleLE(at, 8)
  }
  return chunk
}

/** The header of a tar with one file. */
const tarHeader = (name: string, size: number): Uint8Array => {
  const header = Buffer.alloc(512)
  const octal = (value: number, length: number) => value.toString(8).padStart(length - 1, "0") + "\0"
  header.write(name, 0)
  header.write(octal(0o644, 8), 100)
  header.write(octal(0, 8), 108)
  header.write(octal(0, 8), 116)
  header.write(octal(size, 12), 124)
  header.write(octal(0, 12), 136)
  header.write("        0", 148)
  header.write("ustar\u000000", 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(sum.toString(8).padStart(6, "0") + "\0 ", 148)
  return header
}

/** A tar with one file of `size` bytes. */
const tarOf = function*(seed: number, size: number): Generator<Uint8Array> {
  yield tarHeader(`file-${seed}`, size)
  for (let at = 0; at < size; at += chunkSize) yield chunkAt(seed, at, size)
  yield new Uint8Array((512 - size % 512) % 512 + 1024)
}

/** It, in gzip's clothes: not compressed, for that takes time and shows nothing. */
const layerOf = (seed: number, size: number): Readable =>
  Readable.from(tarOf(seed, size), { objectMode: false }).pipe(createGzip({ level: 0, chunkSize }))

/** What comes after the first bytes. */
const from = <E>(bytes: Stream.Stream<Uint8Array, E>, offset: number): Stream.Stream<Uint8Array, E> => {
  let skip = offset
  return Stream.flatMap(bytes, (chunk) => {
    const rest = chunk.subarray(Math.min(skip, chunk.length))
    skip -= chunk.length - rest.length
    return rest.length === 0 ? Stream.empty : Stream.succeed(rest)
  })
}

const digestOf = (text: string) => Digest.parseUnsafe(`sha256:${text}`)

export interface Generated extends Source {
  readonly layer: (
    size: number
  ) => Effect.Effect<{ readonly descriptor: Descriptor.Descriptor; readonly diffId: Digest.Digest }>
  readonly document: (mediaType: string, value: unknown) => Descriptor.Descriptor
  /** An image of layers of these sizes. */
  readonly image: (sizes: ReadonlyArray<number>, architecture?: string) => Effect.Effect<Descriptor.Descriptor>
  /** An index of images, one for each architecture. */
  readonly index: (images: ReadonlyArray<readonly [string, Descriptor.Descriptor]>) => Descriptor.Descriptor
}

export const make = (): Generated => {
  const contents = new Map<Digest.Digest, () => Stream.Stream<Uint8Array>>()
  let seeds = 0

  const layer: Generated["layer"] = (size) =>
    Effect.promise(async () => {
      const seed = ++seeds
      const diff = createHash("sha256")
      for (const chunk of tarOf(seed, size)) diff.update(chunk)
      const hash = createHash("sha256")
      let length = 0
      for await (const chunk of layerOf(seed, size)) {
        hash.update(chunk)
        length += chunk.length
      }
      const digest = digestOf(hash.digest("hex"))
      contents.set(digest, () =>
        Stream.orDie(NodeStream.fromReadable<Uint8Array>({ evaluate: () => layerOf(seed, size) })))
      return {
        descriptor: Descriptor.make({ mediaType: MediaType.ociLayerGzip, digest, size: length }),
        diffId: digestOf(diff.digest("hex"))
      }
    })
  const document: Generated["document"] = (mediaType, value) => {
    const bytes = new TextEncoder().encode(JSON.stringify(value))
    const digest = digestOf(createHash("sha256").update(bytes).digest("hex"))
    contents.set(digest, () => Bytes.body(bytes)(0))
    return Descriptor.make({ mediaType, digest, size: bytes.length })
  }
  const missing = (what: string) =>
    new ContentError({ operation: "read", location: "generated", reason: new NotFound({ what }) })

  return {
    location: "generated",
    repository: Option.none(),
    resolve: (identifier) => Effect.fail(missing(identifier)),
    fetch: (descriptor, offset = 0) =>
      Stream.suspend(() => {
        const bytes = contents.get(descriptor.digest)?.() ?? Stream.fail(missing(descriptor.digest))
        return offset === 0 ? bytes : from(bytes, offset)
      }),
    layer,
    document,
    image: Effect.fnUntraced(function*(sizes, architecture = "amd64") {
      const layers = yield* Effect.forEach(sizes, layer)
      const config = document(MediaType.ociConfig, {
        os: "linux",
        architecture,
        rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) }
      })
      return document(MediaType.ociManifest, {
        schemaVersion: 2,
        mediaType: MediaType.ociManifest,
        config,
        layers: layers.map(({ descriptor }) => descriptor)
      })
    }),
    index: (images) =>
      document(MediaType.ociIndex, {
        schemaVersion: 2,
        mediaType: MediaType.ociIndex,
        manifests: images.map(([architecture, image]) => ({ ...image, platform: { os: "linux", architecture } }))
      })
  }
}
