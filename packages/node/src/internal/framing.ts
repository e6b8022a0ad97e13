/**
 * Where the body of a message ends (RFC 9112, sections 6 and 7), found out while its bytes pass.
 */
import type { Head, Request } from "./head.ts"
import { closed, malformed, type WireError } from "./wire.ts"

/** The framing of one body. */
export interface Framing {
  /** How many bytes the body has, where that is known before they come. */
  readonly size: number | undefined
  /** Whether all of it has come. */
  readonly isDone: () => boolean
  /** Takes bytes off the connection and adds those of the body to `out`, as views; gives how many were taken. */
  readonly next: (bytes: Uint8Array, out: Array<Uint8Array>) => number
  /** What it means that the connection has ended here. */
  readonly ended: () => WireError | undefined
}

const early = () => closed("the connection was closed before the body ended")

const counted = (size: number): Framing => {
  let left = size
  return {
    size,
    isDone: () => left === 0,
    next: (bytes, out) => {
      const taken = Math.min(left, bytes.length)
      left -= taken
      if (taken > 0) out.push(taken === bytes.length ? bytes : bytes.subarray(0, taken))
      return taken
    },
    ended: () => left === 0 ? undefined : early()
  }
}

const untilClosed = (): Framing => {
  let done = false
  return {
    size: undefined,
    isDone: () => done,
    next: (bytes, out) => {
      if (bytes.length > 0) out.push(bytes)
      return bytes.length
    },
    ended: () => {
      done = true
      return undefined
    }
  }
}

const lineFeed = 10
const carriageReturn = 13
const longestLine = 4 * 1024
const longestTrailers = 16 * 1024
const sizeLine = /^([0-9A-Fa-f]{1,13})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?$/

const chunked = (): Framing => {
  let state: "size" | "data" | "dataEnd" | "trailers" | "done" = "size"
  let left = 0
  let line = ""
  let trailers = 0

  const lineEnded = (): void => {
    switch (state) {
      case "size": {
        const size = sizeLine.exec(line)
        if (size === null) throw malformed("a chunk without a size")
        left = parseInt(size[1]!, 16)
        state = left === 0 ? "trailers" : "data"
        break
      }
      case "dataEnd":
        if (line !== "") throw malformed("a chunk longer than its size")
        state = "size"
        break
      case "trailers":
        trailers += line.length
        if (trailers > longestTrailers) throw malformed("endless trailers")
        if (line === "") state = "done"
    }
    line = ""
  }

  return {
    size: undefined,
    isDone: () => state === "done",
    next: (bytes, out) => {
      let at = 0
      while (at < bytes.length && state !== "done") {
        if (state === "data") {
          const taken = Math.min(left, bytes.length - at)
          out.push(bytes.subarray(at, at + taken))
          at += taken
          left -= taken
          if (left === 0) state = "dataEnd"
          continue
        }
        const feed = bytes.indexOf(lineFeed, at)
        const until = feed < 0 ? bytes.length : feed
        if (line.length + until - at > longestLine) throw malformed("a chunk with an endless size")
        for (; at < until; at++) line += String.fromCharCode(bytes[at]!)
        if (feed < 0) break
        at++
        if (line.charCodeAt(line.length - 1) !== carriageReturn) throw malformed("a bare line feed in a chunked body")
        line = line.slice(0, -1)
        if (line.includes("\r")) throw malformed("a bare carriage return in a chunked body")
        lineEnded()
      }
      return at
    },
    ended: () => state === "done" ? undefined : early()
  }
}

/** What a head says of the body, where no two readers could take it differently. */
const announced = (headers: Head["headers"]) => {
  const coding = headers["transfer-encoding"]
  const length = headers["content-length"]
  if (coding !== undefined && length !== undefined) throw malformed("both a length and a transfer coding")
  if (coding !== undefined && coding.toLowerCase() !== "chunked") throw malformed("an unknown transfer coding")
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw malformed("a length that is no number")
  return { isChunked: coding !== undefined, length: length === undefined ? undefined : Number(length) }
}

/** The framing that the head of a reply announces. */
export const of = (method: string, { headers, status }: Head): Framing => {
  const { isChunked, length } = announced(headers)
  if (method === "HEAD" || status === 204 || status === 304) return counted(0)
  if (isChunked) return chunked()
  return length === undefined ? untilClosed() : counted(length)
}

/** The framing that the head of a request announces: where it says nothing there is no body. */
export const ofRequest = ({ headers, isOld }: Request): Framing => {
  const { isChunked, length = 0 } = announced(headers)
  if (isChunked && isOld) throw malformed("a transfer coding of HTTP/1.0")
  return isChunked ? chunked() : counted(length)
}
