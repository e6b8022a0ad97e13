/**
 * The internet, as far as it was recorded, on one port of loopback: whatever host is asked, by the clients that Node has, over
 * TLS where the URL says so.
 */
import * as NodeHttp from "@effect-oci/node/NodeHttp"
import * as NodeLane from "@effect-oci/node/NodeLane"
import * as SelfSigned from "@effect-oci/node/SelfSigned"
import * as Address from "@effect-oci/transport/Address"
import * as Origin from "@effect-oci/transport/Origin"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import { createServer, type IncomingMessage, type RequestListener } from "node:http"
import { createServer as createTlsServer } from "node:https"
import type { AddressInfo, Server } from "node:net"

/** A request as it came off the socket. */
export interface Seen {
  readonly call: string
  readonly host: string
  readonly headers: IncomingMessage["headers"]
  readonly query: URLSearchParams
  readonly body: string
}

export interface Reply {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: unknown
}

/** What is answered, by method and URL without its query: `GET https://ghcr.io/token`. Who is not named does not answer. */
export type Exchanges = Record<string, (seen: Seen) => Reply>

export const clients = { NodeLane: NodeLane.layer, NodeHttp: NodeHttp.layer } as const

const read = async (request: IncomingMessage): Promise<string> => {
  let body = ""
  for await (const chunk of request) body += chunk
  return body
}

const listening = (server: Server & { closeAllConnections(): void }) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      // A server that listens on a port has an address with one.
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
    }),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

/** Serves exchanges, and gives a client all of whose requests end there; what it saw is in order. */
export const make = Effect.fnUntraced(function*(client: keyof typeof clients, exchanges: Exchanges) {
  const seen: Array<Seen> = []
  const listener = (scheme: "http" | "https"): RequestListener => (request, response) => {
    void read(request).then((body) => {
      const host = request.headers.host ?? ""
      const url = new URL(request.url ?? "/", `${scheme}://${host}`)
      const one = {
        call: `${request.method} ${url.origin}${url.pathname}`,
        host,
        headers: request.headers,
        query: url.searchParams,
        body
      }
      seen.push(one)
      const answer = exchanges[one.call]
      // Nobody is there.
      if (answer === undefined) return void request.socket.destroy()
      const { body: text = "", headers = {}, status = 200 } = answer(one)
      response.writeHead(status, headers)
      response.end(typeof text === "string" || text instanceof Uint8Array ? text : JSON.stringify(text))
    })
  }
  // By its name some clients know a server, by its address others.
  const hosts = Object.keys(exchanges).map((call) => new URL(call.slice(call.indexOf(" ") + 1)).hostname)
  const pair = yield* SelfSigned.make(["127.0.0.1", ...new Set(hosts)])
  const plain = yield* listening(createServer(listener("http")))
  const secure = yield* listening(createTlsServer(pair, listener("https")))
  const origins = Origin.layer(Origin.fromEntries([[`127.0.0.1:${secure}`, { tls: { ca: [pair.cert] } }]]))
  const http = Context.get(
    yield* Layer.build(Layer.provide(Layer.fresh(clients[client]), origins)),
    HttpClient.HttpClient
  )
  const led = HttpClient.transform(http, (_, request) => {
    const { host, pathname, protocol, search } = new URL(request.url)
    const there = protocol === "https:" ? `https://127.0.0.1:${secure}` : `http://127.0.0.1:${plain}`
    const sent = HttpClientRequest.setUrl(request, `${there}${pathname}${search}`).pipe(
      HttpClientRequest.setHeader("host", host)
    )
    return http.execute(sent).pipe(
      // The address is this test's, not theirs.
      Effect.provideService(Address.Guarded, false),
      Effect.map((response) => Object.create(response, { request: { value: request } }))
    )
  })
  return { seen, layer: Layer.succeed(HttpClient.HttpClient, led) }
})
