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
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import { AuthnError } from "./AuthnError.ts"
import * as Credential from "./Credential.ts"
import type * as CredentialKey from "./CredentialKey.ts"
import * as Endpoint from "./internal/endpoint.ts"
import * as Env from "./internal/env.ts"
import * as Key from "./internal/googleKey.ts"
import * as Json from "./internal/json.ts"
import * as Kept from "./internal/kept.ts"
import { hostOf } from "./internal/registry.ts"
import * as Keychain from "./Keychain.ts"

const metadata = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"

/**
 * Whether a resource is Google's: `gcr.io`, `*.gcr.io`, `*.pkg.dev`.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isGoogle = (resource: CredentialKey.Resource): boolean =>
  /(?:^|\.)gcr\.io$|\.pkg\.dev$/.test(hostOf(resource) ?? "")

/** The token of the machine's own service account; nobody where there is no such machine, or it has none. */
const fromMetadata = (http: HttpClient.HttpClient): Effect.Effect<Key.Token, AuthnError> =>
  Endpoint.send(
    http,
    HttpClientRequest.get(metadata, { headers: { "metadata-flavor": "Google" } }),
    { source: Key.source, timeout: "3 seconds" }
  ).pipe(
    Effect.flatMap(({ headers, status, text }) => {
      // Others answer to any name in some networks.
      const body = headers["metadata-flavor"] === "Google" && status === 200 ? Json.parsePlain(text) : undefined
      return Json.isObject(body) ? Key.tokenOf(body) : Effect.succeed(Key.nobody)
    }),
    Effect.catchIf((error) => error.reason === "Unreachable", () => Effect.succeed(Key.nobody))
  )

/**
 * The keychain of a key as JSON text: a service account's, a user's, or a workload's.
 *
 * @category constructors
 * @since 1.0.0
 */
export const fromJson = (
  key: Redacted.Redacted
): Effect.Effect<Keychain.Resolve, never, HttpClient.HttpClient | FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const place = yield* Key.place
    return yield* keychain(Key.exchange(place, Redacted.value(key), "Google's key"))
  })

/**
 * The keychain of Google's Application Default Credentials: the key file in `GOOGLE_APPLICATION_CREDENTIALS`, the one that
 * `gcloud auth application-default login` writes, the machine's own service account.
 *
 * **Details**
 *
 * Keys of service accounts, of users and of workloads (`external_account`, whose own token is in a file or at an https URL)
 * are read; they are shown to `oauth2.googleapis.com` or `sts.googleapis.com` only. What comes of them goes to `gcr.io`,
 * `*.gcr.io` and `*.pkg.dev` only, and is asked for anew before it ends.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make: Effect.Effect<
  Keychain.Resolve,
  Config.ConfigError,
  HttpClient.HttpClient | FileSystem.FileSystem | Path.Path
> = Effect.gen(function*() {
  const place = yield* Key.place
  const path = yield* Path.Path
  const named = yield* Env.variable("GOOGLE_APPLICATION_CREDENTIALS")
  const home = yield* Env.home
  const folder = (yield* Env.variable("CLOUDSDK_CONFIG")) ??
    (home === undefined ? undefined : path.join(home, ".config", "gcloud"))
  const wellKnown = folder === undefined ? undefined : path.join(folder, "application_default_credentials.json")
  return yield* keychain(Effect.gen(function*() {
    for (const file of [named, wellKnown].filter((file) => file !== undefined)) {
      const key = yield* place.read(file)
      if (key !== undefined) return yield* Key.exchange(place, key, file)
      if (file === named) {
        return yield* new AuthnError({ source: file, reason: "Unreadable", detail: "there is no such file" })
      }
    }
    return yield* fromMetadata(place.http)
  }))
})

const keychain = (token: Effect.Effect<Key.Token, AuthnError>): Effect.Effect<Keychain.Resolve> =>
  Effect.map(
    Kept.make((_: "token") => token, {
      keep: ({ expiresIn }) => Endpoint.keep(expiresIn),
      keepFailure: () => "10 seconds"
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
