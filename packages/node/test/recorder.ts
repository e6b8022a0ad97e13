/**
 * Servers on loopback that record all they get.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import type { AddressInfo, Server, Socket } from "node:net"
import { createServer } from "node:net"
import type { Duplex } from "node:stream"
import type { TLSSocket } from "node:tls"

export interface Recorded {
  readonly method: string
  readonly url: string
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
  /** The common name of the client's certificate. */
  readonly client: string | undefined
}

export interface Recorder {
  readonly port: number
  readonly requests: Array<Recorded>
  /** How many sockets were opened. */
  sockets: number
}

export type Handler = (request: Recorded, response: Http.ServerResponse) => void

const listening = <S extends Server>(server: S): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
    }),
    () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )

const ended = (server: Http.Server) => Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))

/** Answers 200 with nothing, unless told. */
export const serve = Effect.fnUntraced(function*(
  handler: Handler = (_, response) => void response.end(),
  tls?: Https.ServerOptions,
  onConnect?: (request: Http.IncomingMessage, socket: Duplex, head: Buffer) => void
): Effect.fn.Return<Recorder, never, Scope.Scope> {
  const requests: Array<Recorded> = []
  const listener = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => void parts.push(part))
    request.on("end", () => {
      const subject = tls === undefined ? undefined : (request.socket as TLSSocket).getPeerCertificate().subject
      const recorded: Recorded = {
        method: request.method ?? "",
        url: request.url ?? "",
        headers: request.headers,
        body: Buffer.concat(parts).toString(),
        client: subject === undefined ? undefined : String(subject.CN)
      }
      requests.push(recorded)
      handler(recorded, response)
    })
  }
  const limits = { maxHeaderSize: 128 * 1024 }
  const server = tls === undefined ? Http.createServer(limits, listener) : Https.createServer(tls, listener)
  if (onConnect !== undefined) {
    server.on("connect", (request: Http.IncomingMessage, socket: Duplex, head: Buffer) => {
      requests.push({
        method: "CONNECT",
        url: request.url ?? "",
        headers: request.headers,
        body: "",
        client: undefined
      })
      onConnect(request, socket, head)
    })
  }
  const port = yield* listening(server)
  yield* ended(server)
  const recorder: Recorder = { port, requests, sockets: 0 }
  server.on("connection", () => recorder.sockets++)
  return recorder
})

/** Takes connections and does with them as told; gives the first bytes of each. */
export const raw = Effect.fnUntraced(function*(
  onSocket: (socket: Socket) => void
): Effect.fn.Return<{ readonly port: number; readonly heard: Array<string> }, never, Scope.Scope> {
  const heard: Array<string> = []
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on("error", () => {})
    socket.once("data", (bytes) => {
      heard.push(bytes.toString("latin1"))
      onSocket(socket)
    })
  })
  const port = yield* listening(server)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const socket of open) socket.destroy()
    })
  )
  return { port, heard }
})

/** All that a server got, as one text to look for secrets in. */
export const all = (recorder: Recorder): string => JSON.stringify(recorder.requests)
