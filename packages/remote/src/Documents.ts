/**
 * The documents of a place: read, verified and interpreted once, however many ask for them.
 *
 * @since 1.0.0
 */
import * as Bytes from "@effect-oci/content/Bytes"
import { ContentError, Invalid, type NotFound, Unsupported } from "@effect-oci/content/ContentError"
import type { Source } from "@effect-oci/content/Store"
import * as Verify from "@effect-oci/content/Verify"
import type * as Digest from "@effect-oci/name/Digest"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as Shared from "./internal/shared.ts"

/**
 * A document that was read.
 *
 * @category models
 * @since 1.0.0
 */
export interface Read {
  readonly descriptor: Descriptor.Descriptor
  readonly document: Document.Document
}

/**
 * Documents of a place.
 *
 * @category models
 * @since 1.0.0
 */
export interface Documents<S extends Source = Source> {
  readonly source: S
  /**
   * What a descriptor names. Inline `data` is used, once it is verified; asked for twice, it is fetched once.
   */
  readonly read: (descriptor: Descriptor.Descriptor) => Effect.Effect<Read, ContentError>
}

/** @internal */
export const failure = (source: Source, reason: Invalid | NotFound | Unsupported) =>
  new ContentError({ operation: "read", location: source.location, reason })

/** @internal */
export const unsupported = (source: Source, detail: string) => failure(source, new Unsupported({ detail }))

/**
 * What bytes are, as far as it is known.
 *
 * @category reading
 * @since 1.0.0
 */
export const interpret = (
  source: Source,
  { bytes, descriptor }: { readonly bytes: Uint8Array; readonly descriptor: Descriptor.Descriptor }
): Effect.Effect<Read, ContentError> =>
  Effect.fromResult(Document.parse(bytes, descriptor.mediaType)).pipe(
    Effect.mapBoth({
      onFailure: (error) => failure(source, new Invalid({ detail: `${descriptor.digest}: ${error.message}` })),
      onSuccess: (document) => ({ descriptor, document })
    })
  )

/**
 * Content that is small enough to hold: inline where the descriptor brings it, verified either way.
 *
 * @category reading
 * @since 1.0.0
 */
export const content = (
  source: Source,
  descriptor: Descriptor.Descriptor
): Effect.Effect<Uint8Array, ContentError> => {
  if (descriptor.size > Bytes.documentLimit) {
    // Asked for nothing: what claims to be a document and is a layer is not worth a request.
    return Effect.fail(
      failure(source, new Invalid({ detail: `${descriptor.digest} is too large for a ${descriptor.mediaType}` }))
    )
  }
  return descriptor.data === undefined
    ? Bytes.collect({ location: source.location })(source.fetch(descriptor))
    : Verify.bytes(descriptor, descriptor.data, { location: source.location })
}

/**
 * The documents of a source; those that are known are not read again.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = Effect.fnUntraced(function*<S extends Source>(
  source: S,
  ...known: ReadonlyArray<Read>
): Effect.fn.Return<Documents<S>> {
  const descriptors = new Map<Digest.Digest, Descriptor.Descriptor>()
  const read: Cache.Cache<Digest.Digest, Read, ContentError> = yield* Shared.keyed((digest: Digest.Digest) =>
    Effect.suspend(() => {
      const descriptor = descriptors.get(digest)!
      const at = known.find((read) => read.descriptor.digest === digest)
      return at !== undefined
        ? Effect.succeed({ ...at, descriptor })
        : Effect.flatMap(content(source, descriptor), (bytes) => interpret(source, { bytes, descriptor }))
    })
  )
  return {
    source,
    read: (descriptor) =>
      Effect.suspend(() => {
        if (!descriptors.has(descriptor.digest)) descriptors.set(descriptor.digest, descriptor)
        return Effect.map(Cache.get(read, descriptor.digest), (found) => ({ ...found, descriptor }))
      })
  }
})
