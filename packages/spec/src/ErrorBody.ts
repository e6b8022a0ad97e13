/**
 * The error body of registries, and its codes.
 *
 * OCI distribution specification 1.1, "Error Codes".
 *
 * @since 1.0.0
 */
import * as Result from "effect/Result"
import { format, isObject, parse as parseJson } from "./Json.ts"

/**
 * The codes that the specification names.
 *
 * @category constants
 * @since 1.0.0
 */
export const codes = [
  "BLOB_UNKNOWN",
  "BLOB_UPLOAD_INVALID",
  "BLOB_UPLOAD_UNKNOWN",
  "DIGEST_INVALID",
  "MANIFEST_BLOB_UNKNOWN",
  "MANIFEST_INVALID",
  "MANIFEST_UNKNOWN",
  "NAME_INVALID",
  "NAME_UNKNOWN",
  "SIZE_INVALID",
  "UNAUTHORIZED",
  "DENIED",
  "UNSUPPORTED",
  "TOOMANYREQUESTS"
] as const

/**
 * A code that the specification names.
 *
 * @category models
 * @since 1.0.0
 */
export type Code = (typeof codes)[number]

/**
 * One error of a body.
 *
 * @category models
 * @since 1.0.0
 */
export interface Entry {
  readonly code: string
  readonly message: string
  readonly detail: unknown
}

/**
 * Reads an error body as far as it is one; anything else has no entries, and of many the first 100 are read. Never fails:
 * it is read when something has gone wrong already. Where it is JSON that this library would refuse in a document, `detail`
 * is left out, for it may be nested without end.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (bytes: Uint8Array): ReadonlyArray<Entry> => {
  const strict = parseJson(bytes, "error body")
  const json = Result.isSuccess(strict) ? strict.success : parseLeniently(bytes)
  const errors = isObject(json) ? json["errors"] : undefined
  if (!Array.isArray(errors)) return []
  return errors.filter(isObject).slice(0, 100).map((error) => ({
    code: typeof error["code"] === "string" ? error["code"] : "UNKNOWN",
    message: typeof error["message"] === "string" ? error["message"] : "",
    detail: Result.isSuccess(strict) ? error["detail"] : undefined
  }))
}

const parseLeniently = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}

/**
 * Writes an error body.
 *
 * @category encoding
 * @since 1.0.0
 */
export const encode = (entries: ReadonlyArray<Entry>): Uint8Array => format({ errors: entries })
