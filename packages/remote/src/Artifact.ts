/**
 * Artifacts: manifests that hold anything, such as a chart, a signature or an SBOM.
 *
 * OCI image specification 1.1, "Guidelines for Artifact Usage".
 *
 * @since 1.0.0
 */
import type { ContentError } from "@effect-oci/content/ContentError"
import type { Store } from "@effect-oci/content/Store"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import type * as Document from "@effect-oci/spec/Document"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import * as Documents from "./Documents.ts"

/**
 * One of the things that an artifact holds. Nothing is fetched before its bytes are asked for.
 *
 * @category models
 * @since 1.0.0
 */
export interface ArtifactBlob {
  readonly descriptor: Descriptor.Descriptor
  /**
   * Verified.
   */
  readonly bytes: Stream.Stream<Uint8Array, ContentError>
}

/**
 * An artifact: its manifest is here, what it holds is fetched when it is asked for.
 *
 * @category models
 * @since 1.0.0
 */
export interface Artifact {
  readonly store: Store
  readonly descriptor: Descriptor.Descriptor
  readonly manifest: Document.Manifest
  /**
   * Where a manifest has none, the type of its config says what it is.
   */
  readonly artifactType: string
  /**
   * What it is about, if it is about something.
   */
  readonly subject: Descriptor.Descriptor | undefined
  readonly blobs: ReadonlyArray<ArtifactBlob>
}

/**
 * The artifact that a document is; an image is one as well.
 *
 * @category reading
 * @since 1.0.0
 */
export const read = (
  { source }: Documents.Documents<Store>,
  { descriptor, document: found }: Documents.Read
): Effect.Effect<Artifact, ContentError> =>
  found._tag !== "Manifest"
    ? Effect.fail(Documents.unsupported(source, `${descriptor.digest} is a ${descriptor.mediaType}, not an artifact`))
    : Effect.succeed({
      store: source,
      descriptor,
      manifest: found,
      artifactType: found.artifactType ?? found.config.mediaType,
      subject: found.subject,
      blobs: found.layers.map((blob) => ({ descriptor: blob, bytes: source.fetch(blob) }))
    })
