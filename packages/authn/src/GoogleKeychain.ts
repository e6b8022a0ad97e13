/**
 * Google's credentials, for Artifact Registry and `gcr.io`: Application Default Credentials without Google's programs.
 *
 * The sources and their order are those of https://cloud.google.com/docs/authentication/application-default-credentials
 *
 * @since 1.0.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import { AuthnError } from "./AuthnError.ts"
import * as Credential from "./Credential.ts"
import type * as CredentialKey from "./CredentialKey.ts"
import * as FileKeychain from "./FileKeychain.ts"
import * as Endpoint from "./internal/endpoint.ts"
import * as Env from "./internal/env.ts"
import * as Json from "./internal/json.ts"
import * as Jwt from "./internal/jwt.ts"
import * as Kept from "./internal/kept.ts"
import { hostOf } from "./internal/registry.ts"
import * as Keychain from "./Keychain.ts"

const source = "Google"
const tokenEndpoint = "https://oauth2.googleapis.com/token"
const scope = "https://www.googleapis.com/auth/cloud-platform"
const metadata = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"

/**
 * Whether a resource is Google's: `gcr.io`, `*.gcr.io`, `*.pkg.dev`.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isGoogle = (resource: CredentialKey.Resource): boolean =>
  /(?:^|\.)gcr\.io$|\.pkg\.dev$/.test(hostOf(resource) ?? "")

/** A token, and for how many seconds. */
interface Token {
  readonly credential: Credential.Credential
  readonly expiresIn: unknown
}

const nobody: Token = { credential: Credential.anonymous, expiresIn: undefined }

const tokenOf = (body: Json.JsonObject): Effect.Effect<Token, AuthnError> => {
  const token = Endpoint.text(body, "access_token")
  return token === undefined
    ? Effect.fail(new AuthnError({ source, reason: "Refused", detail: "its answer holds no access_token" }))
    // The name that Artifact Registry documents for access tokens.
    : Effect.succeed({
      credential: Credential.basic("oauth2accesstoken", token),
      expiresIn: body["expires_in"]
    })
}

const exchange = (http: HttpClient.HttpClient, parameters: Record<string, string>) =>
  Effect.flatMap(
    Endpoint.json(http, HttpClientRequest.bodyUrlParams(HttpClientRequest.post(tokenEndpoint), parameters), { source }),
    tokenOf
  )

/** The token of a key file. What it says about endpoints is not believed: Google's is known. */
const fromKey = Effect.fnUntraced(function*(
  http: HttpClient.HttpClient,
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
      return yield* exchange(http, {
        grant_type: "refresh_token",
        client_id: yield* field("client_id"),
        client_secret: yield* field("client_secret"),
        refresh_token: yield* field("refresh_token")
      })
    case "service_account": {
      const assertion = yield* Jwt.sign(
        { iss: yield* field("client_email"), scope, aud: tokenEndpoint },
        Redacted.make(yield* field("private_key"), { label: "private key" })
      )
      if (assertion === undefined) return yield* malformed("its private_key is not an RSA key as PEM")
      return yield* exchange(http, {
        grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
        assertion: Redacted.value(assertion)
      })
    }
    default:
      return yield* malformed("its type is neither service_account nor authorized_user")
  }
})

/** The token of the machine's own service account; nobody where there is no such machine, or it has none. */
const fromMetadata = (http: HttpClient.HttpClient): Effect.Effect<Token, AuthnError> =>
  Endpoint.send(
    http,
    HttpClientRequest.get(metadata, { headers: { "metadata-flavor": "Google" } }),
    { source, timeout: "3 seconds" }
  ).pipe(
    Effect.flatMap(({ headers, status, text }) => {
      // Others answer to any name in some networks.
      const body = headers["metadata-flavor"] === "Google" && status === 200 ? Json.parsePlain(text) : undefined
      return Json.isObject(body) ? tokenOf(body) : Effect.succeed(nobody)
    }),
    Effect.catchIf((error) => error.reason === "Unreachable", () => Effect.succeed(nobody))
  )

/**
 * The keychain of a service account's or a user's key, as JSON text.
 *
 * @category constructors
 * @since 1.0.0
 */
export const fromJson = (
  key: Redacted.Redacted
): Effect.Effect<Keychain.Resolve, never, HttpClient.HttpClient> =>
  Effect.flatMap(HttpClient.HttpClient, (http) => keychain(fromKey(http, Redacted.value(key), "Google's key")))

/**
 * The keychain of Google's Application Default Credentials: the key file in `GOOGLE_APPLICATION_CREDENTIALS`, the one that
 * `gcloud auth application-default login` writes, the machine's own service account.
 *
 * **Details**
 *
 * Keys of service accounts and of users are read; they are shown to `oauth2.googleapis.com` only. What comes of them goes to
 * `gcr.io`, `*.gcr.io` and `*.pkg.dev` only, and is asked for anew before it ends.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make: Effect.Effect<
  Keychain.Resolve,
  Config.ConfigError,
  HttpClient.HttpClient | FileSystem.FileSystem | Path.Path
> = Effect.gen(function*() {
  const http = yield* HttpClient.HttpClient
  const path = yield* Path.Path
  const services = yield* Effect.context<FileSystem.FileSystem>()
  const named = yield* Env.variable("GOOGLE_APPLICATION_CREDENTIALS")
  const home = yield* Env.home
  const folder = (yield* Env.variable("CLOUDSDK_CONFIG")) ??
    (home === undefined ? undefined : path.join(home, ".config", "gcloud"))
  const wellKnown = folder === undefined ? undefined : path.join(folder, "application_default_credentials.json")
  return yield* keychain(Effect.gen(function*() {
    for (const file of [named, wellKnown].filter((file) => file !== undefined)) {
      const bytes = yield* Effect.provideContext(FileKeychain.read(file), services)
      if (bytes !== undefined) return yield* fromKey(http, new TextDecoder().decode(bytes), file)
      if (file === named) {
        return yield* new AuthnError({ source: file, reason: "Unreadable", detail: "there is no such file" })
      }
    }
    return yield* fromMetadata(http)
  }))
})

const keychain = (token: Effect.Effect<Token, AuthnError>): Effect.Effect<Keychain.Resolve> =>
  Effect.map(
    Kept.make((_: "token") => token, {
      keep: ({ expiresIn }) => Endpoint.keep(expiresIn),
      keepFailure: "10 seconds"
    }),
    (kept): Keychain.Resolve => (resource) =>
      isGoogle(resource)
        ? Effect.map(kept("token", "token"), ({ credential }) => credential)
        : Effect.succeed(Credential.anonymous)
  )

/**
 * Google's credentials, and no others.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<
  Keychain.Keychain,
  Config.ConfigError,
  HttpClient.HttpClient | FileSystem.FileSystem | Path.Path
> = Layer.unwrap(Effect.map(make, Keychain.layer))
