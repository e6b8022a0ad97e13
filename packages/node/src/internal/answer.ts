/**
 * An answer on its way to the client that has asked.
 */
import { Lending } from "@effect-oci/registry/Storage"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import { STATUS_CODES } from "node:http"
import { howOf } from "../NodeConnection.ts"
import type { Asked } from "./served.ts"
import { control, token } from "./wire.ts"

let date = ""
let dateUntil = 0

/** It is the same for a second. */
const now = (): string => {
  const time = Date.now()
  if (time >= dateUntil) {
    date = new Date(time).toUTCString()
    dateUntil = time - time % 1000 + 1000
  }
  return date
}

// Said by the framing itself.
const own = new Set(["connection", "keep-alive", "content-length", "transfer-encoding"])

/** The head of an answer; nothing where it could not be told from what follows. */
const headOf = (
  asked: Asked,
  { headers, status, statusText }: HttpServerResponse.HttpServerResponse,
  framing: string
) => {
  let head = `HTTP/1.1 ${status} ${statusText ?? STATUS_CODES[status] ?? ""}\r\n`
  for (const name in headers) {
    const value = headers[name]!
    if (own.has(name)) continue
    if (!token.test(name) || control.test(value)) return undefined
    head += `${name}: ${value}\r\n`
  }
  if (headers["date"] === undefined) head += `date: ${now()}\r\n`
  const kept = asked.isKept()
    ? `connection: keep-alive\r\nkeep-alive: timeout=${asked.keepAlive}\r\n`
    : "connection: close\r\n"
  return `${head}${kept}${framing}\r\n`
}

/** In milliseconds. */
const soon = 20

const hasNoBody = (asked: Asked, status: number): boolean =>
  asked.head.method === "HEAD" || status === 204 || status === 304

/** Sends an answer, and ends when the last of it was given to the connection. */
export const send = (asked: Asked, response: HttpServerResponse.HttpServerResponse): Effect.Effect<void> => {
  const { body, headers, status } = response
  if (headers["connection"]?.toLowerCase() === "close") asked.close()
  const said = headers["content-length"]
  const begin = (framing: string): string => {
    const head = headOf(asked, response, framing)
    if (head !== undefined) return head
    asked.close()
    return headOf(asked, HttpServerResponse.empty({ status: 500 }), "content-length: 0\r\n")!
  }
  const lengthOf = (length: number | string | undefined) => length === undefined ? "" : `content-length: ${length}\r\n`

  if (hasNoBody(asked, status)) {
    asked.send([begin(status === 204 ? "" : lengthOf(said))])
    return Effect.void
  }
  switch (body._tag) {
    case "Empty":
      asked.send([begin(lengthOf(0))])
      return Effect.void
    case "Uint8Array":
      asked.send([begin(lengthOf(body.body.length)), body.body])
      return Effect.void
    case "Stream":
      break
    default:
      return Effect.die(new Error(`a body of kind ${body._tag} is not served here`))
  }

  const isChunked = said === undefined && !asked.head.isOld
  if (said === undefined && asked.head.isOld) asked.close()
  let left = said === undefined ? Infinity : Number(said)
  // Goes out with the first bytes, where they are soon there: who waits for them longer knows what is to come.
  let head = [begin(isChunked ? "transfer-encoding: chunked\r\n" : lengthOf(said))]
  const early = setTimeout(() => {
    asked.send(head)
    head = []
  }, soon)
  const write = (chunks: ReadonlyArray<Uint8Array>): Effect.Effect<void> => {
    let size = 0
    for (const chunk of chunks) size += chunk.length
    if (size === 0) return Effect.void
    if (size > left) return Effect.die(new Error("the body is longer than was said"))
    left -= size
    clearTimeout(early)
    const parts = isChunked ? [...head, `${size.toString(16)}\r\n`, ...chunks, "\r\n"] : [...head, ...chunks]
    head = []
    return asked.write(parts)
  }
  return body.stream.pipe(
    Stream.runForEachArray(write),
    Effect.provideService(Lending, true),
    Effect.andThen(Effect.suspend(() => {
      if (Number.isFinite(left) && left > 0) return Effect.die(new Error("the body is shorter than was said"))
      if (isChunked) asked.send([...head, "0\r\n\r\n"])
      else if (head.length > 0) asked.send(head)
      return Effect.void
    })),
    // Not even the client could tell where a body ends that has failed; nor is it waited for that it reads on.
    Effect.interruptible,
    Effect.onError((cause) =>
      Effect.sync(() => asked.cut(Cause.hasFails(cause) ? howOf(Cause.squash(cause)) : "closed"))
    ),
    Effect.ensuring(Effect.sync(() => clearTimeout(early))),
    Effect.orDie
  )
}
