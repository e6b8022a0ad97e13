/**
 * JSON as documents from strangers have to be read: strictly, so that no two readers see different documents.
 *
 * @since 1.0.0
 */
import * as Result from "effect/Result"
import { SpecError } from "./SpecError.ts"

/**
 * How deep arrays and objects may be nested.
 *
 * @category constants
 * @since 1.0.0
 */
export const maxDepth = 64

/**
 * A JSON object. It has no prototype, so `__proto__` is a key like any other.
 *
 * @category models
 * @since 1.0.0
 */
export type JsonObject = { readonly [key: string]: unknown }

/**
 * Whether a value is a JSON object.
 *
 * @category guards
 * @since 1.0.0
 */
export const isObject = (u: unknown): u is JsonObject => typeof u === "object" && u !== null && !Array.isArray(u)

/**
 * Parses strict JSON.
 *
 * **Details**
 *
 * Refused besides what JSON refuses: bytes that are not UTF-8, a byte order mark, lone surrogates, an object with the
 * same key twice, integers beyond 2^53 - 1 (which JavaScript would round), nesting deeper than `maxDepth`. Takes one pass
 * over the bytes before the platform's own parser.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (bytes: Uint8Array, document: string): Result.Result<unknown, SpecError> => {
  const fail = (reason: SpecError["reason"], detail: string, path = "") =>
    Result.fail(new SpecError({ document, path, reason, detail }))
  if (depthOf(bytes) > maxDepth) return fail("Limit", `nested deeper than ${maxDepth} levels`)
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    return fail("Syntax", "begins with a byte order mark")
  }
  let text: string
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return fail("Syntax", "is not UTF-8")
  }
  const reader = new Reader(text)
  try {
    const value = reader.document()
    return Result.succeed(value)
  } catch (error) {
    // The reader throws nothing else; the recursion is bounded by the depth that was checked.
    return error instanceof Refusal ? fail(error.reason, error.message, error.path) : fail("Syntax", "is not JSON")
  }
}

const depthOf = (bytes: Uint8Array): number => {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (inString) {
      if (byte === 0x5c) i++
      else if (byte === 0x22) inString = false
    } else if (byte === 0x22) inString = true
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > deepest) deepest = depth
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
  return deepest
}

class Refusal extends Error {
  readonly reason: SpecError["reason"]
  readonly path: string
  constructor(reason: SpecError["reason"], message: string, path = "") {
    super(message)
    this.reason = reason
    this.path = path
  }
}

const whitespace = /[ \t\n\r]*/y
// The strings that need nothing done to them, which are nearly all.
const plainString = /"([^"\\\u0000-\u001f]*)"/y
const anyString = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const word = /true|false|null/y
const words = new Map<string, boolean | null>([["true", true], ["false", false], ["null", null]])

class Reader {
  readonly text: string
  at = 0
  constructor(text: string) {
    this.text = text
  }

  document(): unknown {
    const value = this.value()
    this.take(whitespace)
    if (this.at !== this.text.length) throw this.unexpected()
    return value
  }

  private value(): unknown {
    this.take(whitespace)
    switch (this.text[this.at]) {
      case "{":
        return this.object()
      case "[":
        return this.array()
      case "\"":
        return this.string()
      default:
        return this.scalar()
    }
  }

  private object(): JsonObject {
    // No prototype: keys come from strangers.
    const object: Record<string, unknown> = Object.create(null)
    this.at++
    for (let first = true;; first = false) {
      if (this.next(first, "}")) return object
      if (this.text[this.at] !== "\"") throw this.unexpected()
      const key = this.string()
      if (key in object) throw new Refusal("Syntax", `has the key ${JSON.stringify(key)} twice`)
      this.take(whitespace)
      if (this.text[this.at] !== ":") throw this.unexpected()
      this.at++
      object[key] = this.value()
    }
  }

  private array(): Array<unknown> {
    const array: Array<unknown> = []
    this.at++
    for (let first = true;; first = false) {
      if (this.next(first, "]")) return array
      array.push(this.value())
    }
  }

  /** Steps over what separates members; true at the end. */
  private next(first: boolean, end: string): boolean {
    this.take(whitespace)
    if (this.text[this.at] === end) {
      this.at++
      return true
    }
    if (!first) {
      if (this.text[this.at] !== ",") throw this.unexpected()
      this.at++
      this.take(whitespace)
      if (this.text[this.at] === end) throw this.unexpected()
    }
    return false
  }

  private string(): string {
    const plain = this.take(plainString)
    if (plain !== null) return plain[1]!
    const escaped = this.take(anyString)
    if (escaped === null) throw this.unexpected()
    const string: string = JSON.parse(escaped[0])
    if (!string.isWellFormed()) throw new Refusal("Syntax", "holds half of a surrogate pair")
    return string
  }

  private scalar(): unknown {
    const digits = this.take(number)
    if (digits !== null) {
      const value = Number(digits[0])
      const isInteger = digits[1] === undefined && digits[2] === undefined
      if (isInteger && !Number.isSafeInteger(value)) {
        throw new Refusal("Limit", `holds the number ${digits[0].slice(0, 40)}, beyond 2^53 - 1`)
      }
      return value
    }
    const name = this.take(word)
    if (name === null) throw this.unexpected()
    return words.get(name[0])
  }

  private take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (match !== null) this.at = pattern.lastIndex
    return match
  }

  private unexpected(): Refusal {
    return new Refusal(
      "Syntax",
      this.at >= this.text.length
        ? "ends too early"
        : `does not go on with ${JSON.stringify(this.text[this.at])} at character ${this.at}`
    )
  }
}
