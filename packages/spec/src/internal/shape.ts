/**
 * Reads values of known types out of JSON, and says where one is not.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import { isObject, type JsonObject } from "../Json.ts"
import { SpecError } from "../SpecError.ts"

class Wrong extends Error {
  readonly path: string
  readonly reason: SpecError["reason"]
  constructor(path: string, message: string, reason: SpecError["reason"]) {
    super(message)
    this.path = path
    this.reason = reason
  }
}

// `null` is what Go writes for an empty list or map, so it is read as absent.
const optional = <A>(value: unknown, path: string, read: (value: unknown, path: string) => A): A | undefined =>
  value === undefined || value === null ? undefined : read(value, path)

const wrong = (path: string, message: string, reason: SpecError["reason"] = "Shape") => new Wrong(path, message, reason)

const object = (value: unknown, path: string): JsonObject => {
  if (!isObject(value)) throw wrong(path, "must be an object")
  return value
}

const string = (value: unknown, path: string): string => {
  if (typeof value !== "string") throw wrong(path, "must be a string")
  return value
}

const natural = (value: unknown, path: string): number => {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw wrong(path, "must be a whole number from 0 to 2^53 - 1")
  }
  return value
}

const array = <A>(
  value: unknown,
  path: string,
  read: (value: unknown, path: string) => A,
  limit = 100_000
): ReadonlyArray<A> => {
  if (!Array.isArray(value)) throw wrong(path, "must be a list")
  if (value.length > limit) throw wrong(path, `has ${value.length} entries, more than ${limit}`, "Limit")
  return value.map((item, index) => read(item, `${path}[${index}]`))
}

const strings = (value: unknown, path: string) => array(value, path, string)

const stringMap = (value: unknown, path: string): Readonly<Record<string, string>> => {
  // No prototype: keys come from strangers.
  const map: Record<string, string> = Object.create(null)
  for (const [key, item] of Object.entries(object(value, path))) {
    map[key] = string(item, `${path}[${JSON.stringify(key)}]`)
  }
  return map
}

const base64 = (value: unknown, path: string): Uint8Array => {
  const bytes = Base64.decode(string(value, path))
  if (Result.isFailure(bytes)) throw wrong(path, "must be base64")
  return bytes.success
}

export const toBase64 = (bytes: Uint8Array): string => Base64.encode(bytes)

export const shape = { optional, wrong, object, string, natural, array, strings, stringMap, base64 }

export type Shape = typeof shape

/** Runs a reader; what it finds wrong becomes the document's error. */
export const run = <A>(document: string, read: (shape: Shape) => A): Result.Result<A, SpecError> => {
  try {
    return Result.succeed(read(shape))
  } catch (error) {
    if (!(error instanceof Wrong)) throw error
    return Result.fail(
      new SpecError({ document, path: error.path.replace(/^\./, ""), reason: error.reason, detail: error.message })
    )
  }
}
