/**
 * What a manifest or an index leads to.
 *
 * @since 1.0.0
 */
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as MediaType from "@effect-oci/spec/MediaType"
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
