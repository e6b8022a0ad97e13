/**
 * References: a repository with a tag, a digest, or both.
 *
 * @since 1.0.0
 */
import type * as Equal from "effect/Equal"
import * as Order_ from "effect/Order"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Digest from "./Digest.ts"
import { fromResult } from "./internal/codec.ts"
import * as Proto from "./internal/proto.ts"
import { NameError } from "./NameError.ts"
import * as Repository from "./Repository.ts"
import * as Tag from "./Tag.ts"

const TypeId = "~@effect-oci/name/Reference"

/**
 * A reference. Equal by its canonical text.
 *
 * @category models
 * @since 1.0.0
 */
export interface Reference extends Equal.Equal {
  readonly [TypeId]: typeof TypeId
  readonly repository: Repository.Repository
  readonly tag: Tag.Tag | undefined
  /**
   * Where both are given, this is what is meant and the tag is for people.
   */
  readonly digest: Digest.Digest | undefined
}

/**
 * Options for `parse`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options extends Repository.Options {
  /**
   * The tag of a reference that says neither tag nor digest. An empty one is none: then such a reference stands for the
   * repository.
   *
   * @default "latest"
   */
  readonly defaultTag?: string | undefined
}

const proto = Proto.make(TypeId, (self: Reference) => format(self))

/**
 * Returns `true` when a value is a `Reference`.
 *
 * @category guards
 * @since 1.0.0
 */
export const isReference = (u: unknown): u is Reference => hasProperty(u, TypeId)

/**
 * Makes a reference of its parts.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = (
  repository: Repository.Repository,
  options: { readonly tag?: Tag.Tag | undefined; readonly digest?: Digest.Digest | undefined }
): Reference => Object.assign(Object.create(proto), { repository, tag: options.tag, digest: options.digest })

/**
 * Parses `[registry/]path[:tag][@digest]`.
 *
 * **Details**
 *
 * Without a tag and a digest the default tag is taken; with both, both are kept.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (input: string, options?: Options | undefined): Result.Result<Reference, NameError> => {
  const at = input.indexOf("@")
  const named = at === -1 ? input : input.slice(0, at)
  // A colon before the last slash belongs to the registry's port.
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1)
  const hasScheme = /^[a-z]+:\/\//i.test(named)
  const name = colon === -1 ? named : named.slice(0, colon)
  const tagText = colon === -1
    ? at === -1 && options?.defaultTag !== "" ? options?.defaultTag ?? "latest" : undefined
    : named.slice(colon + 1)
  if (!hasScheme && name.length > 1024) {
    return Result.fail(new NameError({ kind: "Reference", input, detail: "the name is too long" }))
  }
  return Result.gen(function*() {
    const repository = yield* explain(Repository.parse(name, options), input, name)
    const tag = tagText === undefined ? undefined : yield* explain(Tag.parse(tagText), input, tagText)
    const digest = at === -1 ? undefined : yield* explain(Digest.parse(input.slice(at + 1)), input, input.slice(at + 1))
    return make(repository, { tag, digest })
  })
}

/** Keeps the part's own error, but lets the suggestion be one for the whole input. */
const explain = <A>(
  result: Result.Result<A, NameError>,
  input: string,
  part: string
): Result.Result<A, NameError> =>
  Result.mapError(result, (error) =>
    error.suggestion === undefined || input === part || error.input !== part
      ? error
      : new NameError({ ...error, suggestion: input.replace(part, () => error.suggestion!) }))

/**
 * Parses a trusted reference, throwing `NameError` on failure.
 *
 * @category unsafe
 * @since 1.0.0
 */
export const parseUnsafe = (input: string, options?: Options | undefined): Reference =>
  Result.getOrThrow(parse(input, options))

/**
 * The canonical text; the inverse of `parse`.
 *
 * @category encoding
 * @since 1.0.0
 */
export const format = ({ digest, repository, tag }: Reference): string =>
  `${repository.name}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`

/**
 * What to ask the registry for: the digest, or else the tag.
 *
 * @category getters
 * @since 1.0.0
 */
export const identifier = (reference: Reference): Tag.Tag | Digest.Digest | undefined =>
  reference.digest ?? reference.tag

/**
 * Orders references by canonical text.
 *
 * @category ordering
 * @since 1.0.0
 */
export const Order: Order_.Order<Reference> = Order_.mapInput(Order_.String, format)

/**
 * A reference that was already parsed.
 *
 * @category schemas
 * @since 1.0.0
 */
export const Reference = Schema.declare(isReference, { identifier: "Reference" })

/**
 * A reference as text.
 *
 * @category schemas
 * @since 1.0.0
 */
export const ReferenceFromString = Schema.String.pipe(
  Schema.decodeTo(Reference, SchemaTransformation.transformEffect(fromResult((input: string) => parse(input), format)))
)
