/**
 * Bearer tokens: asked for as a challenge says, kept until shortly before they end.
 *
 * The exchange is that of https://distribution.github.io/distribution/spec/auth/token/ and, for identity tokens, of
 * https://distribution.github.io/distribution/spec/auth/oauth/.
 *
 * @since 1.0.0
 */
import * as Credential from "@effect-oci/authn/Credential"
import * as Cache from "effect/Cache"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Hash from "effect/Hash"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Redacted from "effect/Redacted"
import * as Dial from "./internal/dial.ts"
import * as Failure from "./internal/failure.ts"
import type { Realm } from "./Realm.ts"
import { ProtocolViolation, type RegistryError, Unauthorized } from "./RegistryError.ts"
import * as ResponseBody from "./ResponseBody.ts"

/**
 * A token, and how long it lasts from when it was received.
 *
 * @category models
 * @since 1.0.0
 */
export interface Token {
  readonly value: Redacted.Redacted
  readonly expiresIn: Duration.Duration
}

/**
 * What a token is asked for. Two wishes that are equal get the same token.
 *
 * @category models
 * @since 1.0.0
 */
export interface Wish {
  readonly realm: Realm
  readonly service: string | undefined
  /**
   * As `AccessScope.format` writes them.
   */
  readonly scopes: ReadonlyArray<string>
  readonly credential: Credential.Credential
}

/**
 * Asks a token server for a token.
 *
 * @category exchanging
 * @since 1.0.0
 */
export const exchange = Effect.fnUntraced(function*(
  http: HttpClient.HttpClient,
  wish: Wish
): Effect.fn.Return<Token, RegistryError> {
  const credential = wish.realm.isTrusted ? wish.credential : Credential.anonymous
  const get = getRequest(wish, credential)
  // What each kind of credential was made for first, the other where a token server does not know that.
  const [first, second] = credential._tag === "IdentityToken"
    ? [postRequest(wish, credential.token), get]
    : credential._tag === "Basic"
    ? [get, passwordRequest(wish, credential)]
    : [get, undefined]
  const send = (request: HttpClientRequest.HttpClientRequest) =>
    Dial.execute(
      http,
      HttpClientRequest.setHeaders(request, { accept: "application/json", "accept-encoding": "identity" }),
      wish.realm.isTrusted
    )
  const response = yield* send(first)
  if (second === undefined || ![404, 405, 501].includes(response.status)) return yield* read(response)
  yield* ResponseBody.discard(response)
  return yield* read(yield* send(second))
})

const getRequest = (wish: Wish, credential: Credential.Credential) => {
  const url = new URL(wish.realm.url)
  if (wish.service !== undefined) url.searchParams.set("service", wish.service)
  url.searchParams.delete("scope")
  for (const scope of wish.scopes) url.searchParams.append("scope", scope)
  const request = HttpClientRequest.get(url.href)
  switch (credential._tag) {
    case "Basic":
      return HttpClientRequest.basicAuth(request, credential.username, credential.password)
    case "IdentityToken":
      return HttpClientRequest.basicAuth(request, credential.username ?? "<token>", credential.token)
    default:
      return request
  }
}

const grantRequest = (wish: Wish, grant: Record<string, string>) =>
  HttpClientRequest.post(wish.realm.url.href).pipe(HttpClientRequest.bodyUrlParams({
    client_id: "effect-oci",
    ...(wish.service === undefined ? {} : { service: wish.service }),
    scope: wish.scopes.join(" "),
    ...grant
  }))

const postRequest = (wish: Wish, token: Redacted.Redacted) =>
  grantRequest(wish, { grant_type: "refresh_token", refresh_token: Redacted.value(token) })

const passwordRequest = (wish: Wish, { password, username }: Credential.Basic) =>
  grantRequest(wish, { grant_type: "password", username, password: Redacted.value(password) })

/** RFC 6750, section 2.1; anything else was never meant to be a token. */
const tokenSyntax = /^[A-Za-z0-9\-._~+/]+=*$/

const read = Effect.fnUntraced(function*(
  response: HttpClientResponse.HttpClientResponse
): Effect.fn.Return<Token, RegistryError> {
  const { method, url } = response.request
  if (response.status !== 200) {
    const error = yield* Failure.fromResponse(method, url, response, { identified: true })
    // What the token server asks for is nothing that the registry has asked for.
    return yield* error.reason._tag === "Unauthorized"
      ? Failure.make(method, url, new Unauthorized({ ...error.reason, challenges: [] }))
      : error
  }
  const text = yield* Failure.readText(method, url, response, 128 * 1024)
  const body = parse(text)
  if (body === undefined) {
    return yield* Failure.make(
      method,
      url,
      new ProtocolViolation({ detail: "the token server's reply holds no token" })
    )
  }
  return body
})

const parse = (text: string): Token | undefined => {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof body !== "object" || body === null) return undefined
  const own = (key: string): unknown => Object.getOwnPropertyDescriptor(body, key)?.value
  const value = own("token") || own("access_token")
  if (typeof value !== "string" || value.length > 65_536 || !tokenSyntax.test(value)) return undefined
  const seconds = own("expires_in")
  return {
    value: Redacted.make(value, { label: "token" }),
    // The specification's default, for servers that do not say.
    expiresIn: Duration.seconds(typeof seconds === "number" && seconds > 0 ? seconds : 60)
  }
}

class CacheKey implements Equal.Equal {
  readonly wish: Wish
  readonly id: string
  constructor(wish: Wish) {
    this.wish = wish
    this.id = JSON.stringify([
      wish.realm.url.href,
      wish.realm.isTrusted,
      wish.service,
      wish.scopes.toSorted(),
      Credential.identity(wish.credential)
    ])
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof CacheKey && that.id === this.id
  }
  [Hash.symbol](): number {
    return Hash.string(this.id)
  }
}

/**
 * Tokens that are kept and shared: one exchange at a time for one wish, however many wait for it.
 *
 * @category models
 * @since 1.0.0
 */
export interface Tokens {
  readonly get: (wish: Wish) => Effect.Effect<Token, RegistryError>
  /**
   * Forgets the token of a wish, if it is still the one that a registry did not take.
   */
  readonly forget: (wish: Wish, refused: Redacted.Redacted) => Effect.Effect<void>
}

/**
 * Makes an empty keeper of tokens.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = (http: HttpClient.HttpClient): Effect.Effect<Tokens> =>
  Effect.map(
    Cache.makeWith((key: CacheKey) => exchange(http, key.wish), {
      capacity: 1024,
      // A token is not used in its last minute, so that a body that begins with it also ends with it.
      timeToLive: Exit.match({
        onFailure: () => Duration.zero,
        onSuccess: ({ expiresIn }) =>
          Duration.subtract(expiresIn, Duration.min(Duration.minutes(1), Duration.divideUnsafe(expiresIn, 2)))
      })
    }),
    (cache): Tokens => ({
      get: (wish) => Cache.get(cache, new CacheKey(wish)),
      forget: (wish, refused) =>
        Effect.asVoid(Cache.invalidateWhen(cache, new CacheKey(wish), (token) => token.value === refused))
    })
  )
