/**
 * A registry in a test: raw requests to the app, without a client that would tidy them.
 */
import * as Hasher from "@effect-oci/content/Hasher"
import type * as Digest from "@effect-oci/name/Digest"
import * as ErrorBody from "@effect-oci/spec/ErrorBody"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import * as RegistryServer from "../src/RegistryServer.ts"
import * as Settings from "../src/Settings.ts"

export interface Options {
  readonly headers?: Record<string, string>
  readonly body?: Uint8Array | Stream.Stream<Uint8Array, unknown> | string
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly bytes: Uint8Array
  readonly text: string
  /** The codes of an error body. */
  readonly codes: ReadonlyArray<string>
}

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest>
type Method = Parameters<typeof HttpClientRequest.make>[0]

export const sendTo = <E, R>(app: App<E, R>) => (method: string, url: string, { body, headers = {} }: Options = {}) =>
  Effect.gen(function*() {
    // Any word can be a method here, as on a socket.
    const empty = HttpClientRequest.make(method as Method)("http://r.test")
    const full = body === undefined
      ? empty
      : HttpClientRequest.setBody(
        empty,
        typeof body === "string"
          ? HttpBody.text(body)
          : body instanceof Uint8Array
          ? HttpBody.uint8Array(body)
          : HttpBody.stream(body)
      )
    const incoming = HttpServerRequest.fromClientRequest(full)
    const response = yield* Effect.provideService(
      app,
      HttpServerRequest.HttpServerRequest,
      incoming.modify({ url, headers: { ...incoming.headers, host: "r.test", ...headers } })
    )
    const bytes = yield* Stream.mkUint8Array(HttpServerResponse.toClientResponse(response).stream)
    const answer: Answer = {
      status: response.status,
      headers: response.headers,
      bytes,
      text: new TextDecoder().decode(bytes),
      codes: ErrorBody.parse(bytes).map(({ code }) => code)
    }
    return answer
  })

export const send = sendTo(RegistryServer.app)

/** The requests of the effect are answered under these settings. */
export const having = (settings: Partial<Settings.Settings>) =>
  Effect.provideService(Settings.Settings, { ...Settings.defaults, ...settings })

export const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

export const digestOf = (bytes: Uint8Array | string, algorithm: Digest.Algorithm = "sha256"): Digest.Digest =>
  Hasher.digestOf(
    Hasher.Hashing.defaultValue(),
    typeof bytes === "string" ? encode(bytes) : bytes,
    algorithm
  )

/** Puts a blob into a repository. */
export const pushBlob = (repository: string, text: string, algorithm?: Digest.Algorithm) =>
  Effect.as(
    send("POST", `/v2/${repository}/blobs/uploads/?digest=${digestOf(text, algorithm)}`, { body: encode(text) }),
    digestOf(text, algorithm)
  )

/** Opens an upload and gives its location. */
export const openUpload = (repository: string, query = "") =>
  Effect.map(send("POST", `/v2/${repository}/blobs/uploads/${query}`), ({ headers }) => headers["location"]!)

export const descriptor = (text: string, mediaType = "application/octet-stream") => ({
  mediaType,
  digest: digestOf(text),
  size: encode(text).length
})

/** The text of a manifest with an empty config and the given rest. */
export const manifest = (rest: Record<string, unknown> = {}): string =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: descriptor("{}", MediaType.ociEmpty),
    layers: [],
    ...rest
  })

export const index = (manifests: ReadonlyArray<unknown>, rest: Record<string, unknown> = {}): string =>
  JSON.stringify({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests, ...rest })

/** Puts a manifest under a tag or digest, with the config that `manifest` names. */
export const pushManifest = (
  repository: string,
  reference: string,
  text: string,
  contentType: string = MediaType.ociManifest
) =>
  Effect.andThen(
    pushBlob(repository, "{}"),
    send("PUT", `/v2/${repository}/manifests/${reference}`, {
      body: encode(text),
      headers: { "content-type": contentType }
    })
  )
