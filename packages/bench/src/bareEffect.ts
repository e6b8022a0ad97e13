/**
 * `bare.ts` as an app of Effect over Effect's own server: what the least that an Effect program can do costs. `bareEffect.ts PORT`.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { createServer } from "node:http"

const uploads = "/v2/bench/served/blobs/uploads/"
let last = 0

const answer = (status: number, headers: Readonly<Record<string, string>> = {}) =>
  HttpServerResponse.empty({ status, headers })

const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method, stream, url }) => {
  switch (method) {
    case "HEAD":
      return Effect.succeed(answer(404))
    case "POST":
      return Effect.succeed(answer(202, { location: `${uploads}${++last}` }))
    case "PATCH":
      return Effect.as(Stream.runDrain(stream), answer(202, { location: url }))
    case "PUT":
      return Effect.as(Stream.runDrain(stream), answer(201, { location: url }))
    default:
      return Effect.succeed(answer(200))
  }
})

HttpServer.serve(app).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: Number(process.argv[2]), host: "127.0.0.1" })),
  Layer.launch,
  NodeRuntime.runMain
)
