/**
 * All hosts that there are, in a function; and a record of all that any of them got.
 */
import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as Repository from "@effect-oci/name/Repository"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { HttpClientError, TransportError } from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as AccessScope from "../src/AccessScope.ts"
import * as Transport from "../src/Transport.ts"

export interface Seen {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type Handler = (seen: Seen) => Response | undefined

export interface Internet {
  readonly seen: Array<Seen>
  readonly layer: Layer.Layer<HttpClient.HttpClient>
  /** `METHOD url` of all requests, or of those to one host. */
  readonly asked: (host?: string) => ReadonlyArray<string>
  /** All that one host got, as one text to look for secrets in. */
  readonly got: (host: string) => string
}

/** What is not answered cannot be reached. */
export const make = (handler: Handler): Internet => {
  const seen: Array<Seen> = []
  const client = HttpClient.make((request, url) =>
    Effect.gen(function*() {
      const { body } = request
      const text = body._tag === "Stream"
        ? yield* Stream.mkString(Stream.decodeText(body.stream)).pipe(Effect.orDie)
        : body._tag === "Uint8Array"
        ? new TextDecoder().decode(body.body)
        : ""
      const one: Seen = { method: request.method, url, headers: { ...request.headers }, body: text }
      seen.push(one)
      const response = handler(one)
      if (response === undefined) {
        const cause = Object.assign(new Error(`getaddrinfo ENOTFOUND ${url.hostname}`), { code: "ENOTFOUND" })
        return yield* new HttpClientError({ reason: new TransportError({ request, cause }) })
      }
      return HttpClientResponse.fromWeb(request, response)
    })
  )
  const of = (host: string | undefined) => seen.filter(({ url }) => host === undefined || url.host === host)
  return {
    seen,
    layer: Layer.succeed(HttpClient.HttpClient, client),
    asked: (host) => of(host).map(({ method, url }) => `${method} ${url.href}`),
    got: (host) => JSON.stringify(of(host).map(({ body, headers, method, url }) => [method, url.href, headers, body]))
  }
}

export const reply = (status: number, headers: Record<string, string> = {}, body = ""): Response =>
  new Response(status === 204 ? null : body, { status, headers })

export const json = (value: unknown, headers: Record<string, string> = {}): Response =>
  reply(200, { "content-type": "application/json", ...headers }, JSON.stringify(value))

export const bearer = (realm: string, more = "service=\"r\""): Response =>
  reply(401, { "www-authenticate": `Bearer realm="${realm}",${more}` })

/** A registry at `registry.test` that takes the tokens `t1`, `t2`, ... of its token server at `/token`. */
export const realm = "https://registry.test/token"

export const repository = Repository.parseUnsafe("registry.test/app")

export const ann = Credential.basic("ann", "canary-password")

export const transport = (internet: Internet, user: Credential.Credential = ann): Layer.Layer<Transport.Transport> =>
  Transport.layer.pipe(
    Layer.provide(internet.layer),
    Layer.provide(Keychain.layerMemory([["registry.test", user]]))
  )

export const client = (scopes: ReadonlyArray<AccessScope.AccessScope> = [AccessScope.pull(repository)]) =>
  Effect.map(Transport.Transport, (transport) => transport.client({ resource: repository, scopes }))

export const manifest = "/v2/app/manifests/1"

export const get = (path = manifest, scopes?: ReadonlyArray<AccessScope.AccessScope>) =>
  Effect.flatMap(client(scopes), (client) => client.get(path))

/** Everything a registry can be told by. */
export const secretsOf = (text: string): ReadonlyArray<string> =>
  [
    "canary-password",
    "canary-token",
    "canary-refresh",
    "canary-identity",
    btoa("ann:canary-password"),
    btoa("<token>:canary-identity"),
    btoa("ann:canary-identity")
  ].filter((secret) => text.includes(secret) || text.includes(encodeURIComponent(secret)))

/** A registry that answers with its own token, but for what is answered otherwise. */
export const registry = (more: Handler) =>
  make((seen) => {
    const special = more(seen)
    if (special !== undefined) return special
    if (seen.url.host !== "registry.test") return reply(200)
    if (seen.url.pathname === "/token") return json({ token: "canary-token", refresh_token: "canary-refresh" })
    return seen.headers["authorization"] === undefined ? bearer(realm) : reply(200)
  })

/** How a request fails. */
export const failing = (internet: Internet, path = manifest, user?: Credential.Credential) =>
  Effect.flip(Effect.provide(get(path), transport(internet, user)))
