/**
 * Reads values of known types out of JSON, and says where one is not.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import { isObject, type JsonObject } from "../Json.ts"
import { SpecError } from "../SpecError.ts"
import { quote } from "./quote.ts"

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

export interface Keys {
  readonly exact: ReadonlySet<string>
  readonly folded: ReadonlyMap<string, string>
}

/**
 * The keys that an object of a specification has.
 */
export const keys = (...names: ReadonlyArray<string>): Keys => ({
  exact: new Set(names),
  folded: new Map(names.map((name) => [name.toLowerCase(), name]))
})

// Go's clients match keys without regard to case, the last one winning. An object that they would read otherwise than
// this library does is refused; both steps of the folding are needed for U+017F and U+212A, which Go takes for s and k.
const exactKeys = (object: JsonObject, path: string, keys: Keys): void => {
  for (const key in object) {
    if (keys.exact.has(key) || key.length > 32) continue
    const name = keys.folded.get(key.toUpperCase().toLowerCase())
    if (name !== undefined) throw wrong(path, `has the key ${quote(key)}, which is not ${quote(name)}`)
  }
}

const string = (value: unknown, path: string): string => {
  if (typeof value !== "string") throw wrong(path, "must be a string")
  return value
}

const boolean = (value: unknown, path: string): boolean => {
  if (typeof value !== "boolean") throw wrong(path, "must be true or false")
  return value
}

const natural = (value: unknown, path: string): number => {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw wrong(path, "must be a whole number from 0 to 2^53 - 1")
  }
  // -0 is 0, and is compared as such.
  return value + 0
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
    map[key] = string(item, `${path}[${quote(key)}]`)
  }
  return map
}

const base64 = (value: unknown, path: string): Uint8Array => {
  const bytes = Base64.decode(string(value, path))
  if (Result.isFailure(bytes)) throw wrong(path, "must be base64")
  return bytes.success
}

export const toBase64 = (bytes: Uint8Array): string => Base64.encode(bytes)

export const shape = { optional, wrong, object, exactKeys, string, boolean, natural, array, strings, stringMap, base64 }

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
