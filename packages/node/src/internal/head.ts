/**
 * The heads of HTTP/1.1 (RFC 9112, sections 3 to 6), read strictly and under a limit: where two readers could disagree on
 * where a message ends, it is refused.
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
const value = /^[\t\x20-\x7e\x80-\xff]*$/

/** Of these, what is said twice could be read either way. */
const single = new Set(["content-length", "transfer-encoding", "host"])

const isBlank = (text: string, at: number): boolean => {
  const code = text.charCodeAt(at)
  return code === 0x20 || code === 0x09
}

/** Only spaces and tabs are no part of a value: `trim` would take others away that another reader sees. */
const trimmed = (text: string): string => {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text, start)) start++
  while (end > start && isBlank(text, end - 1)) end--
  return text.slice(start, end)
}

/** The lines behind the first. */
const fieldsOf = (lines: ReadonlyArray<string>) => {
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
    const text = trimmed(said)
    const before = headers[key]
    if (before !== undefined && single.has(key)) throw malformed(`${key} said twice`)
    if (key === "set-cookie") cookies.push(text)
    headers[key] = before === undefined ? text : `${before}, ${text}`
  }
  return { headers, cookies }
}

/** Whether a connection is for another message; those of HTTP/1.0 are only where it is said. */
const isKept = (headers: Head["headers"], isOld: boolean): boolean => {
  const said = (headers["connection"] ?? "").toLowerCase().split(",").map(trimmed)
  return isOld ? said.includes("keep-alive") : !said.includes("close")
}

/** Reads the head of a reply, as latin1 and without the empty line that ends it. */
export const parse = (text: string): Head => {
  const lines = text.split("\r\n")
  const first = statusLine.exec(lines[0]!)
  if (first === null) throw malformed("no status line")
  const { cookies, headers } = fieldsOf(lines)
  const timeout = /(?:^|[,;\s])timeout=(\d{1,6})(?:$|[,;\s])/i.exec(headers["keep-alive"] ?? "")
  return {
    status: Number(first[2]),
    headers,
    cookies,
    isKept: isKept(headers, first[1] === "0"),
    keepAlive: timeout === null ? undefined : Number(timeout[1])
  }
}

export interface Request {
  readonly method: string
  /** Path and query as they were sent, or `*`. */
  readonly target: string
  readonly headers: Head["headers"]
  /** Whether it is of HTTP/1.0, which knows no chunks. */
  readonly isOld: boolean
  /** Whether the client may send another request on this connection. */
  readonly isKept: boolean
}

/** How many bytes the head of a request may have. */
export const requestLimit = 16 * 1024

const requestLine = /^([A-Z][A-Z-]{0,31}) (?:https?:\/\/([-.:_[\]0-9A-Za-z]+))?(|\*|[/?][\x21-\x7e]*) HTTP\/1\.([01])$/

/** Reads the head of a request, as latin1 and without the empty line that ends it. */
export const parseRequest = (text: string): Request => {
  // Behind a body some send a line more.
  const lines = (text.startsWith("\r\n") ? text.slice(2) : text).split("\r\n")
  const first = requestLine.exec(lines[0]!)
  if (first === null) throw malformed("no request line")
  const [, method = "", authority, target = "", minor] = first
  // A target is a path, a path behind an authority that may be left out, or an asterisk.
  if (authority === undefined ? target === "" || target[0] === "?" : target === "*") throw malformed("no target")
  const { headers } = fieldsOf(lines)
  const isOld = minor === "0"
  if (headers["host"] === undefined && !isOld) throw malformed("no host")
  return {
    method,
    target: target === "" || target[0] === "?" ? `/${target}` : target,
    // The host of a target goes before that of the header.
    headers: authority === undefined ? headers : Object.assign(headers, { host: authority }),
    isOld,
    isKept: isKept(headers, isOld)
  }
}

const end = Buffer.from("\r\n\r\n", "latin1")

/** Collects bytes until a head is whole that is not passed over. */
const collecting = <H>(limit: number, parse: (text: string) => H, isInterim: (head: H) => boolean) => {
  // Only where a head comes in pieces.
  let held: Buffer | undefined
  let length = 0
  let total = 0

  const tooLong = () => new WireError("HPE_HEADER_OVERFLOW", `the head is larger than ${limit} bytes`)

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

  return (bytes: Uint8Array): { readonly head: H; readonly rest: Uint8Array } | undefined => {
    for (;;) {
      const taken = take(bytes)
      if (taken === undefined) return undefined
      total += taken.text.length + end.length
      if (total > limit) throw tooLong()
      const head = parse(taken.text)
      bytes = bytes.subarray(taken.used)
      if (!isInterim(head)) return { head, rest: bytes }
      if (bytes.length === 0) return undefined
    }
  }
}

/**
 * Collects bytes until a final head is whole, passing over interim replies (1xx). Gives the head and the bytes behind it,
 * which are a view of what was pushed last.
 */
export const collector = () =>
  collecting(limit, parse, ({ status }) => {
    if (status === 101) throw malformed("a switch of protocols that nobody asked for")
    return status < 200
  })

/** Collects bytes until the head of a request is whole. */
export const requestCollector = () => collecting(requestLimit, parseRequest, () => false)
