/**
 * One request and the head of its reply, over one connection.
 */
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as Effect from "effect/Effect"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Stream from "effect/Stream"
import type { Connection } from "./connection.ts"
import * as Framing from "./framing.ts"
import * as Head from "./head.ts"
import * as Paced from "./paced.ts"
import { closed, control, token, WireError } from "./wire.ts"

/** A head and what it announces, the bytes that came with it, and whether all of the request had been sent by then. */
export interface Answered {
  readonly head: Head.Head
  readonly framing: Framing.Framing
  readonly rest: Uint8Array
  readonly isSent: boolean
}

/** A failure, and whether it is that of a connection which the server had closed already, as far as one can tell. */
export class Broken {
  readonly error: HttpClientError.HttpClientError
  readonly isStale: boolean
  constructor(error: HttpClientError.HttpClientError, isStale: boolean) {
    this.error = error
    this.isStale = isStale
  }
}

// Said by the framing itself.
const own = new Set(["host", "connection", "content-length", "transfer-encoding"])

export type Sendable = HttpClientRequest.HttpClientRequest & {
  readonly body: Extract<
    HttpClientRequest.HttpClientRequest["body"],
    { readonly _tag: "Empty" | "Uint8Array" | "Stream" }
  >
}

/** Whether a request is one that `run` can send. */
export const canSend = (request: HttpClientRequest.HttpClientRequest): request is Sendable =>
  (request.body._tag === "Empty" || request.body._tag === "Uint8Array" || request.body._tag === "Stream") &&
  request.headers["expect"] === undefined && request.headers["upgrade"] === undefined && request.method !== "CONNECT"

const lengthOf = ({ body, method }: Sendable): number | undefined => {
  switch (body._tag) {
    case "Empty":
      return method === "POST" || method === "PUT" || method === "PATCH" ? 0 : undefined
    case "Uint8Array":
      return body.body.length
    case "Stream":
      return body.contentLength
  }
}

/** The head of a request; nothing where it could not be told from what follows. */
const headOf = (request: Sendable, url: URL): string | undefined => {
  let head = `${request.method} ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${
    request.headers["host"] ?? url.host
  }\r\n`
  for (const name in request.headers) {
    const value = request.headers[name]!
    if (own.has(name)) continue
    if (!token.test(name) || control.test(value)) return undefined
    head += `${name}: ${value}\r\n`
  }
  if (!token.test(request.method) || control.test(request.headers["host"] ?? "")) return undefined
  const length = lengthOf(request)
  if (length !== undefined) return `${head}content-length: ${length}\r\n\r\n`
  return request.body._tag === "Stream" ? `${head}transfer-encoding: chunked\r\n\r\n` : `${head}\r\n`
}

export const failed = (request: HttpClientRequest.HttpClientRequest, cause: unknown) =>
  new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) })

const unencodable = (request: HttpClientRequest.HttpClientRequest, cause: unknown) =>
  new HttpClientError.HttpClientError({ reason: new HttpClientError.EncodeError({ request, cause }) })

/** Reads the head of the reply. */
const readHead = (
  connection: Connection,
  request: HttpClientRequest.HttpClientRequest,
  isSent: () => boolean
): Effect.Effect<Answered, Broken> =>
  Effect.callback<Answered, Broken>((resume) => {
    const collect = Head.collector()
    let isSilent = true
    const fail = (error: Error) =>
      resume(Effect.fail(
        new Broken(
          failed(request, error),
          isSilent && !connection.isFresh() && !(error instanceof WireError && error.code.startsWith("HPE_"))
        )
      ))
    connection.read(function tell(event) {
      if (!(event instanceof Uint8Array)) return fail(event ?? closed("the connection was closed before a reply came"))
      isSilent = false
      try {
        const found = collect(event)
        if (found === undefined) connection.read(tell)
        else {
          const framing = Framing.of(request.method, found.head)
          resume(Effect.succeed({ ...found, framing, isSent: isSent() }))
        }
      } catch (error) {
        fail(error as Error)
      }
    })
    return Effect.sync(connection.unread)
  })

/** What goes with the head in one go. */
const small = 64 * 1024

/** Sends a request and waits for the head of its reply, which may come before all of the body was sent. */
export const run = (connection: Connection, request: Sendable, url: URL): Effect.Effect<Answered, Broken> => {
  const head = headOf(request, url)
  if (head === undefined) {
    return Effect.fail(new Broken(unencodable(request, new Error("a header cannot be sent as it is")), false))
  }
  const { body } = request
  // Whoever reads hears of what goes wrong.
  const ignore = () => {}
  if (body._tag === "Empty" || body._tag === "Uint8Array" && body.body.length <= small) {
    return Effect.suspend(() => {
      connection.write(body._tag === "Empty" || body.body.length === 0 ? [head] : [head, body.body], ignore)
      return readHead(connection, request, () => true)
    })
  }
  const bytes = body._tag === "Stream" ? body.stream : Stream.succeed(body.body)
  let isSent = false
  let left = lengthOf(request)
  const wrong = (detail: string) => Effect.fail(new Broken(unencodable(request, new Error(detail)), false))

  let told = ignore
  const writer = Paced.writer((parts, done) =>
    connection.write(parts, (error) => {
      if (!error) told()
      done(error)
    })
  )
  /** Ends once the kernel has the bytes: until then they must not change. */
  const write = (parts: ReadonlyArray<Uint8Array | string>, isLast: boolean): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      const stop = writer(parts, () => isSent = isLast, (error) => {
        // The reader knows better what happened: a server that has had enough says so before it hangs up.
        if (!error) resume(Effect.void)
      })
      return Effect.sync(stop)
    })
  const send = Stream.runForEachArray(bytes, (chunks) => {
    let size = 0
    for (const chunk of chunks) size += chunk.length
    if (size === 0) return Effect.void
    if (left === undefined) return write([`${size.toString(16)}\r\n`, ...chunks, "\r\n"], false)
    if (size > left) return wrong(`the body is longer than the ${body.contentLength} bytes that were announced`)
    left -= size
    return write(chunks, left === 0)
  }).pipe(
    Effect.mapError((error) => error instanceof Broken ? error : new Broken(unencodable(request, error), false)),
    Effect.andThen(Effect.suspend(() => {
      if (left === undefined) return write(["0\r\n\r\n"], true)
      return left > 0 ? wrong(`the body is ${left} bytes shorter than announced`) : Effect.void
    })),
    Effect.andThen(Effect.never)
  )
  return Effect.withFiber((fiber) => {
    told = fiber.getRef(ResponseBody.OnSent)
    connection.write([head], ignore)
    return Effect.raceFirst(readHead(connection, request, () => isSent), send)
  })
}
