/**
 * Layers that come into being while they are sent: a tar is compressed and hashed as it flows, once, and never held.
 *
 * OCI image specification 1.1, "Image Layer Filesystem Changeset".
 *
 * @since 1.0.0
 */
import * as Compression from "@effect-oci/content/Compression"
import { ContentError, Invalid } from "@effect-oci/content/ContentError"
import * as Hasher from "@effect-oci/content/Hasher"
import * as WriteNode from "@effect-oci/content/WriteNode"
import type * as Digest from "@effect-oci/name/Digest"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Effect from "effect/Effect"
import * as Tar from "effect/encoding/Tar"
import * as Stream from "effect/Stream"

/**
 * A layer whose digest is known only once it has been sent.
 *
 * @category models
 * @since 1.0.0
 */
export interface LayerStream {
  readonly mediaType: string
  /**
   * How it came to be, for the image's history.
   */
  readonly createdBy: string | undefined
  /**
   * What a graph writes. Its result has the digest of what was sent, and that of the tar as its `diffId`.
   */
  readonly node: WriteNode.WriteNode
}

/**
 * Options for `make` and `fromEntries`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * A name for messages and pictures, until the digest is known.
   *
   * @default "layer"
   */
  readonly name?: string | undefined
  /**
   * @default "gzip"
   */
  readonly compression?: Compression.Algorithm | "none" | undefined
  /**
   * The algorithm's own: 1 to 9 for gzip, 1 to 22 for zstd.
   */
  readonly level?: number | undefined
  /**
   * How the layer came to be, for the image's history.
   */
  readonly createdBy?: string | undefined
  /**
   * For the layer's descriptor in the manifest.
   */
  readonly annotations?: Readonly<Record<string, string>> | undefined
  /**
   * Whether the stream can be run again, and gives the same bytes then, where a target has lost all of it.
   *
   * @default false
   */
  readonly isRepeatable?: boolean | undefined
}

const mediaTypes = {
  none: MediaType.ociLayer,
  gzip: MediaType.ociLayerGzip,
  zstd: MediaType.ociLayerZstd
}

/**
 * A layer of the bytes of a tar.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = <E>(tar: Stream.Stream<Uint8Array, E>, options?: Options | undefined): LayerStream => {
  const name = options?.name ?? "layer"
  const compression = options?.compression ?? "gzip"
  const mediaType = mediaTypes[compression]
  return {
    mediaType,
    createdBy: options?.createdBy,
    node: {
      ...WriteNode.stream(name, mediaType, Stream.empty),
      write: (context) =>
        Effect.suspend(() => {
          // Of the run that has come to its end.
          let diffId: Digest.Digest | undefined
          const hashed = hashing(tar, (digest) => diffId = digest)
          const bytes = compression === "none"
            ? hashed
            : Compression.compress(compression, { location: name, level: options?.level })(hashed)
          return Effect.map(
            WriteNode.stream(name, mediaType, bytes, options).write(context),
            (written): WriteNode.Written => ({ ...written, diffId })
          )
        })
    }
  }
}

const hashing = <E>(tar: Stream.Stream<Uint8Array, E>, ended: (digest: Digest.Digest) => void) =>
  Stream.unwrap(Effect.map(Hasher.Hashing, (start) => {
    const hasher = start("sha256")
    return Stream.mapArray(tar, (chunks) => {
      for (const chunk of chunks) hasher.update(chunk)
      return chunks
    }).pipe(Stream.concat(Stream.suspend(() => {
      ended(hasher.digest())
      return Stream.empty
    })))
  }))

/**
 * A layer of files and folders, in the order in which they come. A file's bytes may be a stream of their own.
 *
 * @category constructors
 * @since 1.0.0
 */
export const fromEntries = <E, E2 = never>(
  entries: Stream.Stream<Tar.Entry<E2>, E>,
  options?: Options | undefined
): LayerStream =>
  make(
    entries.pipe(
      Stream.pipeThroughChannelOrFail(Tar.encode<E, unknown, Tar.Entry<E2>>()),
      Stream.catchIf(Tar.isTarError, (error) =>
        Stream.fail(
          new ContentError({
            operation: "read",
            location: options?.name ?? "layer",
            reason: new Invalid({ detail: error.message }),
            cause: error
          })
        ))
    ),
    options
  )
