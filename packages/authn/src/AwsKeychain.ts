/**
 * AWS' credentials, for the private and the public Elastic Container Registry.
 *
 * @since 1.0.0
 */
import * as Clock from "effect/Clock"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import type * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as Result from "effect/Result"
import { AuthnError } from "./AuthnError.ts"
import * as AwsCredentials from "./AwsCredentials.ts"
import * as Credential from "./Credential.ts"
import type * as CredentialKey from "./CredentialKey.ts"
import * as Endpoint from "./internal/endpoint.ts"
import * as Json from "./internal/json.ts"
import * as Kept from "./internal/kept.ts"
import { hostOf } from "./internal/registry.ts"
import * as Sigv4 from "./internal/sigv4.ts"
import * as Keychain from "./Keychain.ts"

/**
 * Where the token of a registry of AWS' is asked for.
 *
 * @category models
 * @since 1.0.0
 */
export interface Ecr {
  readonly endpoint: string
  readonly service: "ecr" | "ecr-public"
  readonly region: string
}

const inRegion = "([a-z]{2,4}(?:-[a-z]+)+-\\d{1,2})"
const privateHost = new RegExp(`^\\d{12}\\.dkr\\.ecr(-fips)?\\.${inRegion}\\.amazonaws\\.com(\\.cn)?$`)
const dualStackHost = new RegExp(`^\\d{12}\\.dkr-ecr(-fips)?\\.${inRegion}\\.on\\.aws$`)

/**
 * Where the token of a resource is asked for, if it is in `<account>.dkr.ecr[-fips].<region>.amazonaws.com[.cn]`, in
 * `<account>.dkr-ecr[-fips].<region>.on.aws`, or in `public.ecr.aws`.
 *
 * @category getters
 * @since 1.0.0
 */
export const ecrOf = (resource: CredentialKey.Resource): Ecr | undefined => {
  const host = hostOf(resource) ?? ""
  if (host === "public.ecr.aws") {
    return { endpoint: "https://api.ecr-public.us-east-1.amazonaws.com/", service: "ecr-public", region: "us-east-1" }
  }
  const parts = privateHost.exec(host) ?? dualStackHost.exec(host)
  if (parts === null) return undefined
  const [, fips, region, china = ""] = parts
  const name = fips === undefined ? "api.ecr" : "ecr-fips"
  return { endpoint: `https://${name}.${region}.amazonaws.com${china}/`, service: "ecr", region: region! }
}

/**
 * Options for `make`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * Who this machine is to AWS, or `undefined` if it is nobody, such as from `fromNodeProviderChain` of
   * `@aws-sdk/credential-providers` where single sign-on is needed.
   *
   * @default AwsCredentials.make
   */
  readonly credentials?: Effect.Effect<AwsCredentials.AwsCredentials | undefined, AuthnError> | undefined
}

const targets = {
  ecr: "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
  "ecr-public": "SpencerFrontendService.GetAuthorizationToken"
}

interface Token {
  readonly credential: Credential.Credential
  readonly seconds: number
}

/** Asks for the token of all registries of a region, and splits it. */
const request = Effect.fnUntraced(function*(
  http: HttpClient.HttpClient,
  { endpoint, region, service }: Ecr,
  keys: AwsCredentials.AwsCredentials
): Effect.fn.Return<Token, AuthnError> {
  const body = "{}"
  const at = new Date(yield* Clock.currentTimeMillis)
  const headers = yield* Sigv4.sign(keys, {
    method: "POST",
    url: new URL(endpoint),
    headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": targets[service] },
    body,
    service,
    region,
    at
  })
  const reply = yield* Endpoint.json(
    http,
    HttpClientRequest.post(endpoint, { headers: { ...headers } }).pipe(
      HttpClientRequest.bodyText(body, "application/x-amz-json-1.1")
    ),
    { source: "AWS" }
  )
  const data = reply["authorizationData"]
  const first: unknown = Array.isArray(data) ? data[0] : data
  const encoded = Json.isObject(first) ? Endpoint.text(first, "authorizationToken") : undefined
  const pair = encoded === undefined ? undefined : Result.getOrUndefined(Base64.decodeString(encoded))
  const colon = pair?.indexOf(":") ?? -1
  if (pair === undefined || colon < 1 || !Json.isObject(first)) {
    return yield* new AuthnError({ source: "AWS", reason: "Refused", detail: "its answer holds no token" })
  }
  return {
    credential: Credential.basic(pair.slice(0, colon), pair.slice(colon + 1)),
    // In seconds since 1970.
    seconds: Number(first["expiresAt"]) - at.getTime() / 1000
  }
})

/**
 * The keychain of what this machine is to AWS.
 *
 * **Details**
 *
 * Keys sign a request to the registry's own region's endpoint at `amazonaws.com`, and are sent nowhere. A token is asked for
 * once a region, and anew before it ends.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = Effect.fnUntraced(function*(
  options?: Options | undefined
): Effect.fn.Return<
  Keychain.Resolve,
  Config.ConfigError,
  HttpClient.HttpClient | FileSystem.FileSystem | Path.Path
> {
  const http = yield* HttpClient.HttpClient
  const credentials = options?.credentials ?? (yield* AwsCredentials.make)
  const kept = yield* Kept.make(
    (ecr: Ecr) =>
      Effect.flatMap(credentials, (keys): Effect.Effect<Token, AuthnError> =>
        keys === undefined
          ? Effect.succeed({ credential: Credential.anonymous, seconds: 0 })
          : request(http, ecr, keys)),
    {
      keep: ({ seconds }) => Endpoint.keep(seconds),
      keepFailure: () => "10 seconds"
    }
  )
  return (resource) => {
    const ecr = ecrOf(resource)
    return ecr === undefined
      ? Effect.succeed(Credential.anonymous)
      : Effect.map(kept(ecr.endpoint, ecr), ({ credential }) => credential)
  }
})

/**
 * AWS' credentials, and no others.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<
  Keychain.Keychain,
  Config.ConfigError,
  HttpClient.HttpClient | FileSystem.FileSystem | Path.Path
> = Layer.unwrap(Effect.map(make(), Keychain.layer))
