/**
 * Artifacts on their way to a manifest that they are about: an SBOM, a signature, a report.
 *
 * OCI image specification 1.1, "Guidelines for Artifact Usage".
 *
 * @since 1.0.0
 */
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as WriteNode from "@effect-oci/content/WriteNode"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Json from "@effect-oci/spec/Json"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"

/**
 * One of the things that an artifact holds.
 *
 * @category models
 * @since 1.0.0
 */
export interface Blob {
  readonly mediaType: string
  /**
   * A stream is sent as it flows, and run once.
   */
  readonly bytes: Uint8Array | Stream.Stream<Uint8Array, unknown>
  readonly annotations?: Readonly<Record<string, string>> | undefined
}

/**
 * An artifact to be written.
 *
 * @category models
 * @since 1.0.0
 */
export interface Attachment {
  /**
   * What kind of thing it is, such as `application/spdx+json`.
   */
  readonly artifactType: string
  readonly blobs?: ReadonlyArray<Blob> | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
  /**
   * What it is about.
   */
  readonly subject?: Descriptor.Descriptor | undefined
}

/**
 * What has to be written for an artifact, for a graph.
 *
 * @category constructors
 * @since 1.0.0
 */
export const node = Effect.fnUntraced(function*(
  { annotations, artifactType, blobs = [], subject }: Attachment
): Effect.fn.Return<WriteNode.WriteNode> {
  const store = MemoryStore.make("attachment")
  const empty = yield* store.add(MediaType.ociEmpty, Json.format({}))
  const config = WriteNode.content(store, empty)
  const layers = yield* Effect.forEach(blobs, ({ annotations, bytes, mediaType }, at) =>
    bytes instanceof Uint8Array
      ? Effect.map(store.add(mediaType, bytes), (descriptor) =>
        WriteNode.content(store, annotations === undefined ? descriptor : { ...descriptor, annotations }))
      : Effect.succeed(WriteNode.stream(`blob ${at + 1}`, mediaType, bytes, { annotations })))
  const about = subject && { mediaType: subject.mediaType, digest: subject.digest, size: subject.size }
  // The specification: what holds nothing has the empty descriptor for a layer.
  const needs = layers.length === 0 ? [config] : [config, ...layers]
  return WriteNode.computed("artifact", MediaType.ociManifest, needs, ([first, ...rest]) =>
    Json.format({
      schemaVersion: 2,
      mediaType: MediaType.ociManifest,
      artifactType,
      config: Descriptor.toJson(first!.descriptor),
      layers: (layers.length === 0 ? [first!] : rest).map(({ descriptor }) => Descriptor.toJson(descriptor)),
      subject: about,
      annotations
    }))
})
