/**
 * Azure's credentials, for its Container Registry: a token of Microsoft Entra, exchanged at the registry for a refresh token.
 *
 * https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
 *
 * @since 1.0.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { AuthnError } from "./AuthnError.ts"
import * as Credential from "./Credential.ts"
import type * as CredentialKey from "./CredentialKey.ts"
import * as FileKeychain from "./FileKeychain.ts"
import * as Endpoint from "./internal/endpoint.ts"
import * as Env from "./internal/env.ts"
import type * as Json from "./internal/json.ts"
import * as Kept from "./internal/kept.ts"
import { hostOf } from "./internal/registry.ts"
import * as Keychain from "./Keychain.ts"

const source = "Azure"
const audience = "https://containerregistry.azure.net"
const imds = "http://169.254.169.254/metadata/identity/oauth2/token"

/** The user whose password is a refresh token. */
const nobody = "00000000-0000-0000-0000-000000000000"

const authorities = new Map([
  ["io", "https://login.microsoftonline.com"],
  ["cn", "https://login.chinacloudapi.cn"],
  ["us", "https://login.microsoftonline.us"]
])

/**
 * Options for `make`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * A token of Microsoft Entra for a registry, or `undefined` if there is none, such as from `DefaultAzureCredential` of
   * `@azure/identity`; its scope is `https://containerregistry.azure.net/.default`.
   *
   * @default a service principal's, a pod's or the machine's own, as the environment says
   */
  readonly token?: Effect.Effect<Redacted.Redacted | undefined, AuthnError> | undefined
}

type Find = (authority: string) => Effect.Effect<Redacted.Redacted | undefined, AuthnError>

/** The registry of a resource, and who knows its users. */
interface Acr {
  readonly host: string
  readonly authority: string
}

const acrOf = (resource: CredentialKey.Resource): Acr | undefined => {
  const host = hostOf(resource) ?? ""
  const cloud = /^[a-z0-9-]{5,63}(?:\.[a-z0-9-]{1,63}){0,2}\.azurecr\.(io|cn|us)$/.exec(host)?.[1]
  const authority = cloud === undefined ? undefined : authorities.get(cloud)
  return authority === undefined ? undefined : { host, authority }
}

/**
 * Whether a resource is Azure's: `*.azurecr.io`, `*.azurecr.cn`, `*.azurecr.us`.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isAzure = (resource: CredentialKey.Resource): boolean => acrOf(resource) !== undefined

const field = (body: Json.JsonObject, name: string): Effect.Effect<Redacted.Redacted, AuthnError> => {
  const token = Endpoint.text(body, name)
  return token === undefined
    ? Effect.fail(new AuthnError({ source, reason: "Refused", detail: `its answer holds no ${name}` }))
    : Effect.succeed(Redacted.make(token, { label: name }))
}

/** Who this machine is to Microsoft Entra, by what the environment says. */
const fromEnvironment = Effect.gen(function*() {
  const http = yield* HttpClient.HttpClient
  const services = yield* Effect.context<FileSystem.FileSystem>()
  const tenant = yield* Env.variable("AZURE_TENANT_ID")
  const client = yield* Env.variable("AZURE_CLIENT_ID")
  const secret = yield* Env.secret("AZURE_CLIENT_SECRET")
  const file = yield* Env.variable("AZURE_FEDERATED_TOKEN_FILE")
  const endpoint = yield* Env.variable("IDENTITY_ENDPOINT")
  const header = yield* Env.secret("IDENTITY_HEADER")

  const exchange = (authority: string, tenant: string, parameters: Record<string, string>) =>
    Effect.flatMap(
      Endpoint.json(
        http,
        HttpClientRequest.bodyUrlParams(
          HttpClientRequest.post(`${authority}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`),
          { grant_type: "client_credentials", scope: `${audience}/.default`, ...parameters }
        ),
        { source }
      ),
      (body) => field(body, "access_token")
    )

  /** The machine's own identity; nobody where there is no such machine, or it has none. */
  const fromMachine = (url: string, headers: Record<string, string>, version: string) => {
    const urlParams = {
      "api-version": version,
      resource: audience,
      ...(client === undefined ? {} : { client_id: client })
    }
    const request = HttpClientRequest.get(url, { urlParams, headers })
    const options = { source, timeout: "3 seconds" } as const
    return Endpoint.send(http, request, options).pipe(
      Effect.flatMap((reply) =>
        Endpoint.isAbsent(reply)
          ? Effect.undefined
          : Effect.flatMap(Endpoint.objectOf(reply, request, options), (body) => field(body, "access_token"))
      ),
      Effect.catchIf((error) => error.reason === "Unreachable", () => Effect.undefined)
    )
  }

  const find: Find = Effect.fnUntraced(function*(authority) {
    if (tenant !== undefined && client !== undefined && secret !== undefined) {
      return yield* exchange(authority, tenant, { client_id: client, client_secret: Redacted.value(secret) })
    }
    if (tenant !== undefined && client !== undefined && file !== undefined) {
      const bytes = yield* Effect.provideContext(FileKeychain.read(file), services)
      if (bytes === undefined) {
        return yield* new AuthnError({ source: file, reason: "Unreadable", detail: "there is no such file" })
      }
      return yield* exchange(authority, tenant, {
        client_id: client,
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion: new TextDecoder().decode(bytes).trim()
      })
    }
    const url = endpoint === undefined ? null : URL.parse(endpoint)
    if (url !== null && header !== undefined) {
      // App Service and Container Apps give their secret to whoever listens on the machine itself.
      return /^(?:127\.\d+\.\d+\.\d+|169\.254\.\d+\.\d+|localhost)$/.test(url.hostname)
        ? yield* fromMachine(url.href, { "x-identity-header": Redacted.value(header) }, "2019-08-01")
        : yield* new AuthnError({
          source: "IDENTITY_ENDPOINT",
          reason: "Malformed",
          detail: "it is not on this machine"
        })
    }
    return yield* fromMachine(imds, { metadata: "true" }, "2018-02-01")
  })
  return find
})

/**
 * The keychain of what this machine is to Azure: a service principal (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`,
 * `AZURE_CLIENT_SECRET`), a pod (`AZURE_FEDERATED_TOKEN_FILE`), or a managed identity.
 *
 * **Details**
 *
 * Secrets go to Microsoft's login, of the cloud that the registry is in; the token that comes of them, which is for
 * registries only, to the registry.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = Effect.fnUntraced(function*(
  options?: Options | undefined
): Effect.fn.Return<Keychain.Resolve, Config.ConfigError, HttpClient.HttpClient | FileSystem.FileSystem> {
  const http = yield* HttpClient.HttpClient
  const given = options?.token
  const find: Find = given === undefined ? yield* fromEnvironment : () => given
  const kept = yield* Kept.make(
    Effect.fnUntraced(function*({ authority, host }: Acr): Effect.fn.Return<Credential.Credential, AuthnError> {
      const token = yield* find(authority)
      if (token === undefined) return Credential.anonymous
      const body = yield* Endpoint.json(
        http,
        HttpClientRequest.bodyUrlParams(HttpClientRequest.post(`https://${host}/oauth2/exchange`), {
          grant_type: "access_token",
          service: host,
          access_token: Redacted.value(token)
        }),
        { source }
      )
      return Credential.identityToken(yield* field(body, "refresh_token"), nobody)
    }),
    // Of the three hours that a refresh token lasts.
    { keep: ({ _tag }) => _tag === "Anonymous" ? "1 minute" : "1 hour", keepFailure: () => "10 seconds" }
  )
  return (resource) => {
    const acr = acrOf(resource)
    return acr === undefined ? Effect.succeed(Credential.anonymous) : kept(acr.host, acr)
  }
})

/**
 * Azure's credentials, and no others.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<
  Keychain.Keychain,
  Config.ConfigError,
  HttpClient.HttpClient | FileSystem.FileSystem
> = Layer.unwrap(Effect.map(make(), Keychain.layer))
