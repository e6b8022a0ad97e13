/** The key files of Google, and what Google gives for them. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import { AuthnError } from "../AuthnError.ts"
import * as Credential from "../Credential.ts"
import * as FileKeychain from "../FileKeychain.ts"
import * as Endpoint from "./endpoint.ts"
import * as Json from "./json.ts"
import * as Jwt from "./jwt.ts"

/** A token, and for how many seconds. */
export interface Token {
  readonly credential: Credential.Credential
  readonly expiresIn: unknown
}

/** What a key is exchanged with. */
export interface Place {
  readonly http: HttpClient.HttpClient
  readonly read: (file: string) => Effect.Effect<string | undefined, AuthnError>
}

export const place: Effect.Effect<Place, never, HttpClient.HttpClient | FileSystem.FileSystem> = Effect.gen(
  function*() {
    const http = yield* HttpClient.HttpClient
    const services = yield* Effect.context<FileSystem.FileSystem>()
    return {
      http,
      read: (file) =>
        Effect.map(
          Effect.provideContext(FileKeychain.read(file), services),
          (bytes) => bytes === undefined ? undefined : new TextDecoder().decode(bytes)
        )
    }
  }
)

export const source = "Google"
const tokenEndpoint = "https://oauth2.googleapis.com/token"
const stsEndpoint = "https://sts.googleapis.com/v1/token"
const scope = "https://www.googleapis.com/auth/cloud-platform"
const impersonation =
  /^https:\/\/iamcredentials\.googleapis\.com\/v1\/projects\/-\/serviceAccounts\/[\w.@-]+:generateAccessToken$/

export const nobody: Token = { credential: Credential.anonymous, expiresIn: undefined }

const refused = (detail: string) => Effect.fail(new AuthnError({ source, reason: "Refused", detail }))

// The name that Artifact Registry documents for access tokens.
const basic = (token: string) => Credential.basic("oauth2accesstoken", token)

export const tokenOf = (body: Json.JsonObject): Effect.Effect<Token, AuthnError> => {
  const token = Endpoint.text(body, "access_token")
  return token === undefined
    ? refused("its answer holds no access_token")
    : Effect.succeed({ credential: basic(token), expiresIn: body["expires_in"] })
}

const post = (http: HttpClient.HttpClient, url: string, parameters: Record<string, string>) =>
  Endpoint.json(http, HttpClientRequest.bodyUrlParams(HttpClientRequest.post(url), parameters), { source })

/** The token of a workload that another names: its own token, exchanged, and again for a service account's. */
const fromWorkload = Effect.fnUntraced(function*(
  { http, read }: Place,
  json: Json.JsonObject,
  malformed: (detail: string) => AuthnError
): Effect.fn.Return<Token, AuthnError> {
  const audience = Endpoint.text(json, "audience")
  const type = Endpoint.text(json, "subject_token_type")
  const from = json["credential_source"]
  const account = json["service_account_impersonation_url"]
  if (audience === undefined || type === undefined || !Json.isObject(from)) {
    return yield* malformed("it has no audience, subject_token_type or credential_source")
  }
  if (account !== undefined && (typeof account !== "string" || !impersonation.test(account))) {
    return yield* malformed("its service_account_impersonation_url is not Google's")
  }
  const file = Endpoint.text(from, "file")
  const url = URL.parse(Endpoint.text(from, "url") ?? "")
  const headers = Json.isObject(from["headers"])
    ? Object.fromEntries(
      Object.entries(from["headers"]).filter((pair): pair is [string, string] => typeof pair[1] === "string")
    )
    : {}
  const said = file !== undefined
    ? yield* read(file)
    : url?.protocol === "https:"
    ? (yield* Endpoint.send(http, HttpClientRequest.get(url, { headers }), { source })).text
    : yield* malformed("its credential_source is neither a file nor an https URL")
  const format = from["format"]
  const name = Json.isObject(format) && format["type"] === "json"
    ? Endpoint.text(format, "subject_token_field_name")
    : undefined
  const inner = name === undefined ? undefined : Json.parsePlain(said ?? "")
  const subject = name === undefined ? said?.trim() : Json.isObject(inner) ? Endpoint.text(inner, name) : undefined
  if (subject === undefined || subject === "") return yield* malformed("its credential_source holds no token")
  const given = yield* post(http, stsEndpoint, {
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    requested_token_type: "urn:ietf:params:oauth:token-type:access_token",
    audience,
    scope,
    subject_token: subject,
    subject_token_type: type
  })
  const token = Endpoint.text(given, "access_token")
  if (account === undefined || token === undefined) return yield* tokenOf(given)
  const request = HttpClientRequest.post(account).pipe(
    HttpClientRequest.bearerToken(Redacted.make(token)),
    HttpClientRequest.bodyText(JSON.stringify({ scope: [scope] }), "application/json")
  )
  const body = yield* Endpoint.json(http, request, { source })
  const access = Endpoint.text(body, "accessToken")
  return access === undefined
    ? yield* refused("its answer holds no accessToken")
    : {
      credential: basic(access),
      expiresIn: (Date.parse(String(body["expireTime"])) - (yield* Clock.currentTimeMillis)) / 1000
    }
})

/** The token of a key file. What it says about Google's endpoints is not believed: they are known. */
export const exchange = Effect.fnUntraced(function*(
  place: Place,
  key: string,
  file: string
): Effect.fn.Return<Token, AuthnError> {
  const malformed = (detail: string) => new AuthnError({ source: file, reason: "Malformed", detail })
  const json = Json.parsePlain(key)
  if (!Json.isObject(json)) return yield* malformed("it is not a JSON object")
  const field = Effect.fnUntraced(function*(name: string): Effect.fn.Return<string, AuthnError> {
    const value = json[name]
    return typeof value === "string" && value !== "" ? value : yield* malformed(`it has no ${name}`)
  })
  switch (json["type"]) {
    case "authorized_user":
      return yield* Effect.flatMap(
        post(place.http, tokenEndpoint, {
          grant_type: "refresh_token",
          client_id: yield* field("client_id"),
          client_secret: yield* field("client_secret"),
          refresh_token: yield* field("refresh_token")
        }),
        tokenOf
      )
    case "service_account": {
      const assertion = yield* Jwt.sign(
        { iss: yield* field("client_email"), scope, aud: tokenEndpoint },
        Redacted.make(yield* field("private_key"), { label: "private key" })
      )
      if (assertion === undefined) return yield* malformed("its private_key is not an RSA key as PEM")
      return yield* Effect.flatMap(
        post(place.http, tokenEndpoint, {
          grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
          assertion: Redacted.value(assertion)
        }),
        tokenOf
      )
    }
    case "external_account":
      return yield* fromWorkload(place, json, malformed)
    default:
      return yield* malformed("its type is none of service_account, authorized_user and external_account")
  }
})
