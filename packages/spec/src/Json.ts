/**
 * JSON as documents from strangers have to be read: strictly, so that no two readers see different documents.
 *
 * @since 1.0.0
 */
import * as Result from "effect/Result"
import { quote } from "./internal/quote.ts"
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
 * Whether a text begins as one of an object does: what nobody reads any further is no manifest unless it does.
 *
 * @category predicates
 * @since 1.0.0
 */
export const beginsObject = (bytes: Uint8Array): boolean => bytes[bytes.findIndex((byte) => !space.has(byte))] === 0x7b

const space = new Set([0x20, 0x09, 0x0a, 0x0d])

/**
 * Parses strict JSON.
 *
 * **Details**
 *
 * Refused besides what JSON refuses: bytes that are not UTF-8, a byte order mark, lone surrogates, an object with the
 * same key twice, integers beyond 2^53 - 1 (which JavaScript would round), numbers beyond what a double holds, nesting
 * deeper than `maxDepth`. Takes time in proportion to the bytes, and never throws.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (bytes: Uint8Array, document: string): Result.Result<unknown, SpecError> => {
  const fail = (reason: SpecError["reason"], detail: string, path = "") =>
    Result.fail(new SpecError({ document, path, reason, detail }))
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    return fail("Syntax", "begins with a byte order mark")
  }
  let text: string
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return fail("Syntax", "is not UTF-8")
  }
  try {
    return Result.succeed(new Reader(text).document())
  } catch (error) {
    // The reader throws nothing else: its recursion is bounded by maxDepth.
    return error instanceof Refusal ? fail(error.reason, error.message, error.path) : fail("Syntax", "is not JSON")
  }
}

/**
 * Writes JSON as bytes.
 *
 * @category encoding
 * @since 1.0.0
 */
export const format = (value: unknown): Uint8Array => encoder.encode(JSON.stringify(value))

const encoder = new TextEncoder()

class Refusal extends Error {
  readonly reason: SpecError["reason"]
  path = ""
  constructor(reason: SpecError["reason"], message: string) {
    super(message)
    this.reason = reason
  }

  /** The same, seen from one level further out. */
  within(member: string): Refusal {
    this.path = this.path === "" || this.path.startsWith("[") ? member + this.path : `${member}.${this.path}`
    return this
  }
}

const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const backslash = 0x5c
const colon = 0x3a
const comma = 0x2c
const closeBrace = 0x7d
const closeBracket = 0x5d
const openBrace = 0x7b
const openBracket = 0x5b
const quotation = 0x22

// JSON.parse tells neither of duplicate keys nor of rounded numbers, so the values are read here, by character code: for
// each of thousands of manifests in a copy this runs once.
class Reader {
  readonly text: string
  at = 0
  depth = 0
  constructor(text: string) {
    this.text = text
  }

  document(): unknown {
    const value = this.value()
    if (this.skip() === this.text.length) return value
    throw this.unexpected()
  }

  private value(): unknown {
    switch (this.text.charCodeAt(this.skip())) {
      case openBrace:
        return this.object()
      case openBracket:
        return this.array()
      case quotation:
        return this.string()
      default:
        return this.scalar()
    }
  }

  private object(): JsonObject {
    // No prototype: keys come from strangers.
    const object: Record<string, unknown> = Object.create(null)
    this.enter()
    for (let first = true; !this.leaves(first, closeBrace); first = false) {
      if (this.text.charCodeAt(this.at) !== quotation) throw this.unexpected()
      const key = this.string()
      if (key in object) throw new Refusal("Syntax", `has the key ${quote(key)} twice`)
      if (this.text.charCodeAt(this.skip()) !== colon) throw this.unexpected()
      this.at++
      try {
        object[key] = this.value()
      } catch (error) {
        throw error instanceof Refusal ? error.within(/^[\w$.-]{1,64}$/.test(key) ? key : `[${quote(key)}]`) : error
      }
    }
    return object
  }

  private array(): Array<unknown> {
    const names = this.names()
    if (names !== undefined) return names
    const array: Array<unknown> = []
    this.enter()
    for (let first = true; !this.leaves(first, closeBracket); first = false) {
      try {
        array.push(this.value())
      } catch (error) {
        throw error instanceof Refusal ? error.within(`[${array.length}]`) : error
      }
    }
    return array
  }

  /**
   * A list of plain strings, such as a page of tags. Where there is neither an escape nor another array or object in it,
   * JSON.parse, which is faster, takes and refuses what is taken and refused here; what it refuses is read again, to say where.
   */
  private names(): Array<unknown> | undefined {
    if (this.text.charCodeAt(this.at + 1) !== quotation || this.depth === maxDepth) return undefined
    const end = this.text.indexOf("]", this.at) + 1
    const text = this.text.slice(this.at, end)
    if (text.includes("\\") || text.includes("{") || text.includes("[", 1)) return undefined
    try {
      const names: Array<unknown> = JSON.parse(text)
      if (!names.every((name) => typeof name === "string")) return undefined
      this.at = end
      return names
    } catch {
      return undefined
    }
  }

  private enter(): void {
    if (++this.depth > maxDepth) throw new Refusal("Limit", `is nested deeper than ${maxDepth} levels`)
    this.at++
  }

  /** Steps over what separates members; true at the end. */
  private leaves(first: boolean, end: number): boolean {
    if (this.text.charCodeAt(this.skip()) === end) {
      this.at++
      this.depth--
      return true
    }
    if (first) return false
    if (this.text.charCodeAt(this.at) !== comma) throw this.unexpected()
    this.at++
    if (this.text.charCodeAt(this.skip()) === end) throw this.unexpected()
    return false
  }

  private string(): string {
    const start = this.at
    let isPlain = true
    for (;;) {
      const code = this.text.charCodeAt(++this.at)
      if (code === quotation) break
      if (code === backslash) {
        isPlain = false
        this.at++
      } else if (!(code >= 0x20)) throw this.unexpected() // NaN is the end
    }
    this.at++
    // A longer slice would be a view that keeps all of the text in memory for as long as one digest out of it is kept;
    // JSON.parse copies.
    return isPlain && this.at - start < 15 ? this.text.slice(start + 1, this.at - 1) : this.copied(start)
  }

  private copied(start: number): string {
    let string: string
    try {
      string = JSON.parse(this.text.slice(start, this.at))
    } catch {
      throw new Refusal("Syntax", `has an escape that JSON does not know in the string at character ${start}`)
    }
    if (!string.isWellFormed()) throw new Refusal("Syntax", "holds half of a surrogate pair")
    return string
  }

  private scalar(): unknown {
    if (this.takes("true")) return true
    if (this.takes("false")) return false
    if (this.takes("null")) return null
    number.lastIndex = this.at
    const digits = number.exec(this.text)
    if (digits === null) throw this.unexpected()
    this.at = number.lastIndex
    const value = Number(digits[0])
    const isInteger = digits[1] === undefined && digits[2] === undefined
    if (isInteger ? !Number.isSafeInteger(value) : !Number.isFinite(value)) {
      throw new Refusal("Limit", `holds the number ${digits[0].slice(0, 40)}, beyond 2^53 - 1`)
    }
    return value
  }

  private takes(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false
    this.at += word.length
    return true
  }

  /** Steps over whitespace. */
  private skip(): number {
    for (;; this.at++) {
      const code = this.text.charCodeAt(this.at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return this.at
    }
  }

  private unexpected(): Refusal {
    return new Refusal(
      "Syntax",
      this.at >= this.text.length
        ? "ends too early"
        : `does not go on with ${quote(this.text[this.at]!)} at character ${this.at}`
    )
  }
}
