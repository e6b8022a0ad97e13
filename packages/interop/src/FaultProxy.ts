/**
 * A server before a registry, on loopback, that lets faults strike the requests to it and passes on all others.
 */
import * as NodeConnection from "@effect-oci/node/NodeConnection"
import * as NodeHttp from "@effect-oci/node/NodeHttp"
import type * as SelfSigned from "@effect-oci/node/SelfSigned"
import * as Fault from "@effect-oci/registry/Fault"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpMethod from "effect/http/HttpMethod"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import { createServer } from "node:http"
import { createServer as createTlsServer } from "node:https"
import type { Socket } from "node:net"

/** Of the connection, not of the message. */
const hopByHop = ["connection", "keep-alive", "transfer-encoding"]

const pass = (client: HttpClient.HttpClient, upstream: string) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { "content-length": length, ...headers } = Headers.removeMany(request.headers, hopByHop)
    const hasBody = length !== undefined ? length !== "0" : request.headers["transfer-encoding"] !== undefined
    // Whatever Node has read as a method.
    const sent = HttpClientRequest.make(request.method as HttpMethod.HttpMethod)(upstream + request.url, { headers })
    const response = yield* client.execute(
      hasBody
        ? HttpClientRequest.setBody(
          sent,
          HttpBody.stream(
            request.stream,
            request.headers["content-type"],
            length === undefined ? undefined : Number(length)
          )
        )
        : length === undefined
        ? sent
        : HttpClientRequest.setBody(sent, HttpBody.uint8Array(new Uint8Array(0)))
    )
    const { "content-length": size, ...rest } = Headers.removeMany(response.headers, hopByHop)
    const told = size === undefined ? {} : { contentLength: Number(size) }
    return request.method === "HEAD" || response.status === 204
      ? HttpServerResponse.empty({
        status: response.status,
        headers: size === undefined ? rest : { ...rest, "content-length": size }
      })
      : HttpServerResponse.stream(response.stream, { status: response.status, headers: rest, ...told })
  })

export interface Options {
  readonly plan: Fault.Plan
  /** The port; any that is free unless given. */
  readonly port?: number
  /** How long a connection that is not used stays open, in milliseconds, of which it says nothing. */
  readonly keepAlive?: number
  /** How long a request may take, in milliseconds. */
  readonly limit?: number
  readonly tls?: SelfSigned.Pair
  /** For how long, in milliseconds, connections are reset that want to speak TLS. */
  readonly resets?: number
  /** Is told of each request: its path and query. */
  readonly onRequest?: (url: string) => void
  /** Is told of each connection or request that is ended for its time. */
  readonly onEnd?: () => void
}

const serverOf = ({ keepAlive, limit = 0, onEnd = () => {}, onRequest = () => {}, resets = 0, tls }: Options) => {
  const options = { connectionsCheckingInterval: 50 }
  const node = tls === undefined ? createServer(options) : createTlsServer({ ...options, ...tls })
  node.requestTimeout = limit
  node.headersTimeout = limit
  // Node announces a time-out of its own, and waits for a second more.
  node.keepAliveTimeout = 0
  node.on("request", ({ url = "" }) => onRequest(url))
  const idle = new Map<Socket, NodeJS.Timeout>()
  if (keepAlive !== undefined) {
    node.on("request", ({ socket }, response) => {
      clearTimeout(idle.get(socket))
      response.on("finish", () =>
        idle.set(
          socket,
          setTimeout(() => {
            idle.delete(socket)
            onEnd()
            socket.destroy()
          }, keepAlive)
        ))
    })
  }
  node.on("clientError", (_, socket) => {
    onEnd()
    socket.end("HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
  })
  const until = performance.now() + resets
  node.on("connection", (socket: Socket) => void (performance.now() < until && socket.resetAndDestroy()))
  return node
}

/** Listens until its scope is closed; gives its `host:port`. */
export const make = Effect.fnUntraced(function*(upstream: string, options: Options) {
  const client = Context.get(yield* Layer.build(NodeHttp.layer), HttpClient.HttpClient)
  // What breaks on one side breaks on the other, as it broke there.
  const app = NodeConnection.breaking(Fault.guard(pass(client, upstream), options.plan))
  const node = serverOf(options)
  const server = yield* NodeHttpServer.make(() => node, {
    host: "127.0.0.1",
    port: options.port ?? 0,
    disablePreemptiveShutdown: true
  })
  // Whoever stalls would be waited for.
  yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
  yield* HttpServer.serveEffect(Effect.interruptible(app)).pipe(Effect.provideService(HttpServer.HttpServer, server))
  const { address } = server
  return address._tag === "UnixPathAddress" ? address.path : NetAddress.formatInet(address)
})
