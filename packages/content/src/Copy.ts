/**
 * Moves content from a source to a target: the write graph of what is already complete somewhere.
 *
 * @since 1.0.0
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Effect from "effect/Effect"
import * as CopyError from "./CopyError.ts"
import type { Source, Target } from "./Store.ts"
import * as WriteGraph from "./WriteGraph.ts"
import * as WriteNode from "./WriteNode.ts"

/**
 * Options for a copy.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options extends WriteGraph.Options, WriteNode.ContentOptions {
  /**
   * Names that the content gets at the target.
   *
   * @default []
   */
  readonly tags?: ReadonlyArray<Tag.Tag> | undefined
}

/**
 * The roots of a copy, for a graph that has more to write than this.
 *
 * @category constructors
 * @since 1.0.0
 */
export const roots = (
  source: Source,
  descriptor: Descriptor.Descriptor,
  options?: Options | undefined
): ReadonlyArray<WriteNode.WriteNode> => {
  const content = WriteNode.content(source, descriptor, options)
  const tags = options?.tags ?? []
  return tags.length === 0 ? [content] : tags.map((tag) => WriteNode.tag(content, tag, options))
}

/**
 * Copies what an identifier or descriptor stands for at the source, with all that it leads to.
 *
 * **Details**
 *
 * A tag is resolved once; the digest is what is copied, however the tag moves meanwhile.
 *
 * @category copying
 * @since 1.0.0
 */
export const copy = Effect.fn("Copy.copy")(function*(
  source: Source,
  target: Target,
  what: Descriptor.Descriptor | Tag.Tag | Digest.Digest,
  options?: Options | undefined
): Effect.fn.Return<WriteGraph.Report & { readonly descriptor: Descriptor.Descriptor }, CopyError.CopyError> {
  const descriptor = typeof what === "string"
    ? yield* Effect.mapError(source.resolve(what), CopyError.at("source", what))
    : what
  const report = yield* WriteGraph.run(WriteGraph.to(target, roots(source, descriptor, options)), options)
  // All roots are of one manifest.
  return { ...report, descriptor: report.roots[0]! }
})
