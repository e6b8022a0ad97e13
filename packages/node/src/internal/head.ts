/**
 * The head of an HTTP/1.1 reply (RFC 9112, sections 4, 5 and 6), read strictly and under a limit: where two readers could
 * disagree on where a reply ends, it is refused.
 */
import { malformed, WireError } from "./wire.ts"

export interface Head {
  readonly status: number
  /** By name in lower case; what came more than once is joined by commas. */
  readonly headers: Readonly<Record<string, string>>
  readonly cookies: ReadonlyArray<string>
  /** Whether the server will take another request on this connection. */
  readonly isKept: boolean
  /** In seconds, where the server says how long it keeps an idle connection. */
  readonly keepAlive: number | undefined
}

/** How many bytes a head may have, interim replies counted in. Signed locations of some registries pass 16 KiB. */
export const limit = 64 * 1024

const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
const name = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// eslint-disable-next-line no-control-regex
const value = /^[\t\x20-\x7e\x80-\xff]*$/

/** Reads a head, as latin1 and without the empty line that ends it. */
export const parse = (text: string): Head => {
  const lines = text.split("\r\n")
  const first = statusLine.exec(lines[0]!)
  if (first === null) throw malformed("no status line")
  const headers: Record<string, string> = Object.create(null)
  const cookies: Array<string> = []
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!
    const colon = line.indexOf(":")
    // A name that begins with a blank would be the folding that RFC 9112 has given up.
    if (colon < 1 || !name.test(line.slice(0, colon))) throw malformed("a header without a name")
    const said = line.slice(colon + 1)
    if (!value.test(said)) throw malformed("a header with control characters")
    const key = line.slice(0, colon).toLowerCase()
    const text = said.trim()
    const before = headers[key]
    if (before !== undefined && (key === "content-length" || key === "transfer-encoding")) {
      throw malformed(`${key} said twice`)
    }
    if (key === "set-cookie") cookies.push(text)
    headers[key] = before === undefined ? text : `${before}, ${text}`
  }
  const connection = (headers["connection"] ?? "").toLowerCase().split(",").map((token) => token.trim())
  const timeout = /(?:^|[,;\s])timeout=(\d{1,6})(?:$|[,;\s])/i.exec(headers["keep-alive"] ?? "")
  return {
    status: Number(first[2]),
    headers,
    cookies,
    isKept: first[1] === "1" ? !connection.includes("close") : connection.includes("keep-alive"),
    keepAlive: timeout === null ? undefined : Number(timeout[1])
  }
}

const end = Buffer.from("\r\n\r\n", "latin1")

/**
 * Collects bytes until a final head is whole, passing over interim replies (1xx). Gives the head and the bytes behind it,
 * which are a view of what was pushed last.
 */
export const collector = () => {
  // Only where a head comes in pieces.
  let held: Buffer | undefined
  let length = 0
  let total = 0

  const tooLong = () => new WireError("HPE_HEADER_OVERFLOW", `the head of the reply is larger than ${limit} bytes`)

  const hold = (bytes: Uint8Array): undefined => {
    held ??= Buffer.allocUnsafeSlow(limit)
    if (total + length + bytes.length > limit) throw tooLong()
    held.set(bytes, length)
    length += bytes.length
  }

  /** The text of one head, and how many of the bytes belong to it. */
  const take = (bytes: Uint8Array): { readonly text: string; readonly used: number } | undefined => {
    if (held === undefined || length === 0) {
      const view = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, limit + end.length - total))
      const at = view.indexOf(end)
      return at < 0 ? hold(bytes) : { text: view.toString("latin1", 0, at), used: at + end.length }
    }
    const before = length
    const part = bytes.subarray(0, limit - total - before)
    held.set(part, before)
    length += part.length
    const at = held.subarray(0, length).indexOf(end, Math.max(0, before - end.length + 1))
    if (at < 0) {
      if (part.length < bytes.length) throw tooLong()
      return undefined
    }
    const text = held.toString("latin1", 0, at)
    length = 0
    return { text, used: at + end.length - before }
  }

  return (bytes: Uint8Array): { readonly head: Head; readonly rest: Uint8Array } | undefined => {
    for (;;) {
      const taken = take(bytes)
      if (taken === undefined) return undefined
      total += taken.text.length + end.length
      if (total > limit) throw tooLong()
      const head = parse(taken.text)
      bytes = bytes.subarray(taken.used)
      if (head.status >= 200) return { head, rest: bytes }
      if (head.status === 101) throw malformed("a switch of protocols that nobody asked for")
      if (bytes.length === 0) return undefined
    }
  }
}
