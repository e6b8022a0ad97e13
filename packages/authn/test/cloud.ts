import * as Registry from "@effect-oci/name/Registry"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Keychain from "../src/Keychain.ts"

export interface Seen {
  readonly call: string
  readonly headers: Record<string, string>
  readonly body: string
  readonly query: string
}

export interface Answer {
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

const textOf = (request: HttpClientRequest.HttpClientRequest): string =>
  request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""

/** A cloud that answers what was recorded, by method and URL; at all other addresses there is nobody. */
export const cloud = (answers: Record<string, Answer | ReadonlyArray<Answer>>) => {
  const seen: Array<Seen> = []
  const counts = new Map<string, number>()
  const client = HttpClient.make((request, url) =>
    Effect.suspend(() => {
      const call = `${request.method} ${url.origin}${url.pathname}`
      seen.push({ call, headers: { ...request.headers }, body: textOf(request), query: url.search })
      const recorded = answers[call]
      if (recorded === undefined) {
        return Effect.fail(
          new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request }) })
        )
      }
      const all = Array.isArray(recorded) ? recorded : [recorded]
      const count = counts.get(call) ?? 0
      counts.set(call, count + 1)
      const { body, headers = {}, status = 200 } = all[Math.min(count, all.length - 1)] as Answer
      const text = typeof body === "string" ? body : JSON.stringify(body)
      return Effect.succeed(HttpClientResponse.fromWeb(request, new Response(text, { status, headers })))
    })
  )
  return { seen, layer: Layer.succeed(HttpClient.HttpClient, client) }
}

/** Runs with an environment, and with what Node gives. */
export const within = (env: Record<string, string>, http: Layer.Layer<HttpClient.HttpClient>) =>
  Layer.mergeAll(NodeServices.layer, http, ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))

/** Who asks for a registry, in one line. */
export const show = (resolve: Keychain.Resolve, host: string) =>
  Effect.map(resolve(Registry.parseUnsafe(host)), (credential) =>
    credential._tag === "Basic"
      ? `${credential.username} ${Redacted.value(credential.password)}`
      : credential._tag === "IdentityToken"
      ? `${credential.username} ${Redacted.value(credential.token)}`
      : credential._tag)
