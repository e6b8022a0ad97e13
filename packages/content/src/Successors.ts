/**
 * What a manifest or an index leads to.
 *
 * @since 1.0.0
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { ContentError, Invalid } from "./ContentError.ts"

/**
 * Whether content of this media type names other content, and so has to be read before it can be written.
 *
 * @category predicates
 * @since 1.0.0
 */
export const hasSuccessors = (mediaType: string): boolean =>
  MediaType.isManifest(mediaType) || MediaType.isIndex(mediaType)

/**
 * The descriptors that a document names and that have to be where it is: config and layers of a manifest, members of an
 * index.
 *
 * **Details**
 *
 * A `subject` is not among them: the specification lets a registry take a manifest before its subject. Media types that
 * are not known lead to nothing; they are copied as they are.
 *
 * @category reading
 * @since 1.0.0
 */
export const of = (
  descriptor: Descriptor.Descriptor,
  bytes: Uint8Array,
  location: string
): Result.Result<ReadonlyArray<Descriptor.Descriptor>, ContentError> => {
  if (!hasSuccessors(descriptor.mediaType)) return Result.succeed([])
  return Result.mapBoth(Document.parse(bytes, descriptor.mediaType), {
    onFailure: (cause) =>
      new ContentError({
        operation: "read",
        location,
        reason: new Invalid({ detail: `${descriptor.digest}: ${cause.message}` })
      }),
    onSuccess: Document.successors
  })
}

/**
 * A manifest as it stands in the list of its subject's referrers.
 *
 * @category models
 * @since 1.0.0
 */
export interface Referrer {
  readonly subject: Digest.Digest
  /**
   * With the artifact type and the annotations.
   */
  readonly descriptor: Descriptor.Descriptor
}

/**
 * What a document refers to: the image that a signature or an SBOM is about.
 *
 * @category reading
 * @since 1.0.0
 */
export const referrer = (
  { digest, mediaType, size }: Descriptor.Descriptor,
  bytes: Uint8Array
): Option.Option<Referrer> => {
  if (!hasSuccessors(mediaType)) return Option.none()
  const document = Result.getOrUndefined(Document.parse(bytes, mediaType))
  if (document === undefined || document._tag === "Opaque" || document.subject === undefined) return Option.none()
  // The specification: an image manifest without an artifact type is of its config's.
  const artifactType = document.artifactType ??
    (document._tag === "Manifest" ? document.config.mediaType : undefined)
  const { annotations } = document
  return Option.some({
    subject: document.subject.digest,
    descriptor: {
      mediaType,
      digest,
      size,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(Object.keys(annotations).length === 0 ? {} : { annotations })
    }
  })
}
