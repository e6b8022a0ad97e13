/**
 * A client's request answered by an app of this process, bodies flowing as they are pulled.
 */
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import { HttpClientError, TransportError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import type { Disconnected } from "../Fault.ts"
import { type Reply, withoutBody } from "./reply.ts"

export type App = Effect.Effect<Reply, Disconnected, HttpServerRequest.HttpServerRequest>

const failed = (request: HttpClientRequest.HttpClientRequest, cause: unknown) =>
  Effect.fail(new HttpClientError({ reason: new TransportError({ request, cause }) }))

const systemError = (code: string, message: string) => Object.assign(new Error(message), { code })

export const unknownHost = (request: HttpClientRequest.HttpClientRequest, url: URL) =>
  failed(request, systemError("ENOTFOUND", `getaddrinfo ENOTFOUND ${url.hostname}`))

export const protocolOf = (url: URL): "http" | "https" => url.protocol === "https:" ? "https" : "http"

export const run = (
  app: App,
  request: HttpClientRequest.HttpClientRequest,
  url: URL
): Effect.Effect<HttpClientResponse, HttpClientError> =>
  Effect.suspend(() => {
    const broken: Array<unknown> = []
    const { body } = request
    const incoming = HttpServerRequest.fromClientRequest(
      body._tag !== "Stream" ? request : HttpClientRequest.setBody(
        request,
        HttpBody.stream(
          Stream.tapError(body.stream, (cause) => Effect.sync(() => broken.push(cause))),
          body.contentType,
          body.contentLength
        )
      )
    )
    return app.pipe(
      Effect.provideService(
        HttpServerRequest.HttpServerRequest,
        incoming.modify({
          url: url.pathname + url.search,
          headers: { ...incoming.headers, host: url.host },
          protocol: protocolOf(url)
        })
      ),
      Effect.matchEffect({
        onFailure: ({ how }) =>
          failed(
            request,
            how === "refused"
              ? systemError("ECONNREFUSED", `connect ECONNREFUSED ${url.host}`)
              : systemError("ECONNRESET", "read ECONNRESET")
          ),
        onSuccess: (response) =>
          // Whose own body breaks gives up the connection and hears no reply.
          broken.length > 0
            ? failed(request, broken[0])
            // No wire carries a body where nobody has asked for one.
            : Effect.succeed(HttpServerResponse.toClientResponse(
              request.method === "HEAD" ? withoutBody(response) : response,
              { request }
            ))
      })
    )
  })

export const textOf = (reply: Reply): string =>
  `${reply.status} ${reply.body._tag === "Uint8Array" ? new TextDecoder().decode(reply.body.body) : ""}`
