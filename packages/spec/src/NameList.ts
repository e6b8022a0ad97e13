/**
 * Lists of names: the tags of a repository, the repositories of a registry.
 *
 * OCI distribution specification 1.1, "Listing Tags"; the catalog is Docker's.
 *
 * @since 1.0.0
 */
import * as Result from "effect/Result"
import * as Shape from "./internal/shape.ts"
import { parse as parseJson } from "./Json.ts"
import type { SpecError } from "./SpecError.ts"

const parse = (key: string, document: string) => (bytes: Uint8Array): Result.Result<ReadonlyArray<string>, SpecError> =>
  Result.flatMap(
    parseJson(bytes, document),
    (json) => Shape.run(document, (shape) => shape.optional(shape.object(json, "")[key], key, shape.strings) ?? [])
  )

/**
 * Reads a page of tags. `null` is an empty page.
 *
 * @category decoding
 * @since 1.0.0
 */
export const tags = parse("tags", "tag list")

/**
 * Reads a page of repositories. `null` is an empty page.
 *
 * @category decoding
 * @since 1.0.0
 */
export const repositories = parse("repositories", "catalog")
