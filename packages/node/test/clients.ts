/**
 * What holds of all HTTP clients is said once.
 */
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as NodeHttp from "../src/NodeHttp.ts"
import * as NodeLane from "../src/NodeLane.ts"

export interface Client {
  readonly isLane: boolean
  readonly layer: Layer.Layer<HttpClient.HttpClient>
  /** A test over real sockets. */
  readonly live: <A, E>(sentence: string, test: Effect.Effect<A, E, HttpClient.HttpClient | Scope.Scope>) => void
}

/** As the transport asks: without spans, and with every reply read or discarded. */
const attended = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(HttpClient.HttpClient, (client) =>
    HttpClient.transform(client, (reply) =>
      reply.pipe(
        Effect.provideService(ResponseBody.Attended, true),
        Effect.provideService(HttpClient.TracerDisabledWhen, () => true)
      )))
).pipe(Layer.provide(NodeLane.layer))

/** Runs tests with each of the clients. */
export const each = (tests: (client: Client) => void): void =>
  describe.each([
    ["NodeHttp", NodeHttp.layer],
    ["NodeLane", NodeLane.layer],
    ["NodeLane, attended", attended]
  ])("%s", (name, layer) =>
    tests({
      isLane: name !== "NodeHttp",
      layer,
      live: (sentence, test) => it.live(sentence, () => Effect.provide(Effect.scoped(test), layer), 20_000)
    }))

/** A reply that is all right. */
export const ok = (body = "", ...headers: ReadonlyArray<string>): string =>
  ["HTTP/1.1 200 OK", `content-length: ${body.length}`, ...headers, "", body].join("\r\n")

export const text = Effect.fnUntraced(function*(url: string) {
  const client = yield* HttpClient.HttpClient
  return yield* Effect.flatMap(client.get(url), (response) => response.text)
})

/** What the system said of a failure. */
export const codeOf = (error: HttpClientError): string | undefined => {
  for (let at: unknown = error; at !== undefined && at !== null; at = (at as { cause?: unknown }).cause) {
    const code = (at as { code?: unknown }).code
    if (typeof code === "string") return code
  }
  return undefined
}
