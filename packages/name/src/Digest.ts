/**
 * Content digests: an algorithm and the hex of a hash, as in `sha256:…`.
 *
 * Implements the registered algorithms of the OCI image specification 1.1, "Descriptors: Digests".
 *
 * @since 1.0.0
 */
import * as Order_ from "effect/Order"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { NameError } from "./NameError.ts"
import type * as Tag from "./Tag.ts"

/**
 * The hash algorithms that a digest may use.
 *
 * @category models
 * @since 1.0.0
 */
export type Algorithm = "sha256" | "sha512"

const hexLength = new Map<string, number>([["sha256", 64], ["sha512", 128]])

const isValid = (input: string): boolean => {
  const colon = input.indexOf(":")
  const length = hexLength.get(input.slice(0, Math.max(colon, 0)))
  return length !== undefined && input.length === colon + 1 + length && /^[a-f0-9]+$/.test(input.slice(colon + 1))
}

/**
 * A digest, checked on decoding.
 *
 * @category schemas
 * @since 1.0.0
 */
export const Digest = Schema.String.pipe(
  Schema.check(Schema.makeFilter(isValid, { expected: "a sha256 or sha512 digest in lowercase hex" })),
  Schema.brand("@effect-oci/name/Digest")
).annotate({ identifier: "Digest" })

/**
 * A validated digest. There is no other way to make one than through this module.
 *
 * @category models
 * @since 1.0.0
 */
export type Digest = typeof Digest.Type

/**
 * Parses `algorithm:hex`. Only sha256 and sha512 are taken, in lower-case hex of their exact length.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (input: string): Result.Result<Digest, NameError> => {
  // Checked right here: this is the boundary at which text becomes a digest.
  if (isValid(input)) return Result.succeed(input as Digest)
  const colon = input.indexOf(":")
  const algorithm = input.slice(0, Math.max(colon, 0))
  const length = hexLength.get(algorithm)
  const lower = input.length <= 256 ? input.trim().toLowerCase() : ""
  return Result.fail(
    new NameError({
      kind: "Digest",
      input,
      detail: length === undefined
        ? "must start with sha256: or sha512:"
        : `${algorithm} takes exactly ${length} lowercase hex characters`,
      ...(isValid(lower) ? { suggestion: lower } : {})
    })
  )
}

/**
 * Parses a trusted digest, throwing `NameError` on failure.
 *
 * @category unsafe
 * @since 1.0.0
 */
export const parseUnsafe = (input: string): Digest => Result.getOrThrow(parse(input))

/**
 * Makes a digest of its parts.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = (algorithm: Algorithm, hex: string): Result.Result<Digest, NameError> =>
  parse(`${algorithm}:${hex}`)

/**
 * The algorithm of a digest.
 *
 * @category getters
 * @since 1.0.0
 */
export const algorithm = (digest: Digest): Algorithm => digest.startsWith("sha256:") ? "sha256" : "sha512"

/**
 * The hex of a digest, without the algorithm.
 *
 * @category getters
 * @since 1.0.0
 */
export const hex = (digest: Digest): string => digest.slice(7)

/**
 * Which of the two an identifier is: a tag has no colon and a digest always has.
 *
 * @category guards
 * @since 1.0.0
 */
export const isDigest = (identifier: Tag.Tag | Digest): identifier is Digest => identifier.includes(":")

/**
 * Orders digests as text.
 *
 * @category ordering
 * @since 1.0.0
 */
export const Order: Order_.Order<Digest> = Order_.String
