/**
 * Indexes as they lie at a registry: their members are read when they are asked for, and once.
 *
 * @since 1.0.0
 */
import type { ContentError } from "@effect-oci/content/ContentError"
import type { Store } from "@effect-oci/content/Store"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import type * as Document from "@effect-oci/spec/Document"
import type * as Platform from "@effect-oci/spec/Platform"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import * as Documents from "./Documents.ts"
import * as Image from "./Image.ts"

/**
 * An index.
 *
 * @category models
 * @since 1.0.0
 */
export interface ImageIndex {
  readonly store: Store
  readonly descriptor: Descriptor.Descriptor
  readonly index: Document.ImageIndex
  /**
   * The image that it offers for a platform.
   */
  readonly image: (platform: Platform.Platform) => Effect.Effect<Image.Image, ContentError>
  /**
   * A member that is an index itself.
   */
  readonly nested: (member: Descriptor.Descriptor) => Effect.Effect<ImageIndex, ContentError>
  /**
   * The bytes of a member of any kind, verified.
   */
  readonly member: (member: Descriptor.Descriptor) => Stream.Stream<Uint8Array, ContentError>
}

/**
 * The index that a document is.
 *
 * @category reading
 * @since 1.0.0
 */
export const read = (
  documents: Documents.Documents<Store>,
  { descriptor, document: found }: Documents.Read
): Effect.Effect<ImageIndex, ContentError> => {
  const { source } = documents
  return found._tag !== "ImageIndex"
    ? Effect.fail(Documents.unsupported(source, `${descriptor.digest} is a ${descriptor.mediaType}, not an index`))
    : Effect.succeed({
      store: source,
      descriptor,
      index: found,
      image: (platform) => Image.read(documents, { descriptor, document: found }, platform),
      nested: (member) => Effect.flatMap(documents.read(member), (nested) => read(documents, nested)),
      member: (member) => source.fetch(member)
    })
}
