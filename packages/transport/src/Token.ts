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
import * as Refused from "./internal/refused.ts"
import type { Realm } from "./Realm.ts"
import { NoToken, ProtocolViolation, RegistryError } from "./RegistryError.ts"
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
  /**
   * What the next token can be had for, in place of the credential that this one was given for.
   */
  readonly refreshToken: Redacted.Redacted | undefined
}

/**
 * What a token is asked for. Two wishes that are equal get the same token.
 *
 * @category models
 * @since 1.0.0
 */
export interface Wish {
  /**
   * The origin of the registry that the token is for; no other gets it.
   */
  readonly origin: string
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
 * **Details**
 *
 * A password goes by GET, an identity token by POST; by the other where the server does not know that. Some answer any
 * error to a POST that they do not know (Artifactory 401), so whatever it is, GET is tried.
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
  if (credential._tag === "IdentityToken") {
    const response = yield* send(http, wish, postRequest(wish, credential.token))
    if (!isRefused(response)) return yield* read(wish, response)
    yield* ResponseBody.discard(response)
    return yield* read(wish, yield* send(http, wish, get))
  }
  const response = yield* send(http, wish, get)
  // Passwords are not tried twice where they are wrong.
  if (credential._tag !== "Basic" || ![404, 405, 501].includes(response.status)) return yield* read(wish, response)
  yield* ResponseBody.discard(response)
  return yield* read(wish, yield* send(http, wish, passwordRequest(wish, credential)))
})

/** Whether the answer would be the same the next time. */
const isRefused = ({ status }: HttpClientResponse.HttpClientResponse): boolean =>
  status === 501 || (status >= 400 && status < 500 && ![408, 425, 429].includes(status))

const send = (http: HttpClient.HttpClient, wish: Wish, request: HttpClientRequest.HttpClientRequest) =>
  Dial.execute(
    http,
    HttpClientRequest.setHeaders(request, { accept: "application/json", "accept-encoding": "identity" }),
    wish.realm.isTrusted
  )

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

/**
 * Whether a text can be a token (RFC 6750, section 2.1); anything else was never meant to be one.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isToken = (text: string): boolean => text.length <= 65_536 && /^[A-Za-z0-9\-._~+/]+=*$/.test(text)

/** What a token server says of itself, and would be taken for what the registry says of the content: that it is not there. */
const ofTokens = (error: RegistryError): RegistryError => {
  const { method, reason, url } = error
  switch (reason._tag) {
    case "NotFound":
    case "Unsupported":
    case "Rejected":
      return new RegistryError({
        method,
        url,
        reason: new NoToken({ answer: { status: reason.status, diagnostics: reason.diagnostics } })
      })
    default:
      return error
  }
}

const read = Effect.fnUntraced(function*(
  wish: Wish,
  response: HttpClientResponse.HttpClientResponse
): Effect.fn.Return<Token, RegistryError> {
  const { method, url } = response.request
  const violation = (detail: string) => Failure.make(method, url, new ProtocolViolation({ detail }))
  if (response.status >= 300 && response.status < 400) {
    yield* ResponseBody.discard(response)
    return yield* violation("the token server leads elsewhere, where nothing is asked for")
  }
  if (response.status !== 200) {
    const error = yield* Refused.fromResponse(method, url, response, {
      identified: wish.realm.isTrusted && wish.credential._tag !== "Anonymous",
      withheld: withheld(wish)
    })
    return yield* ofTokens(Failure.withoutChallenges(error))
  }
  const token = parse(yield* Refused.readText(response, 128 * 1024), response.headers["date"])
  return token ?? (yield* violation("the token server's reply holds no token"))
})

/**
 * The token server that is not given the credential there is.
 *
 * @category getters
 * @since 1.0.0
 */
export const withheld = ({ credential, realm }: Wish): string | undefined =>
  realm.isTrusted || credential._tag === "Anonymous" ? undefined : realm.url.host

const longest = 24 * 60 * 60

const parse = (text: string, date: string | undefined): Token | undefined => {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof body !== "object" || body === null) return undefined
  const own = (key: string): unknown => Object.getOwnPropertyDescriptor(body, key)?.value
  const value = own("token") || own("access_token")
  if (typeof value !== "string" || !isToken(value)) return undefined
  const refreshToken = own("refresh_token")
  const said = Number(own("expires_in"))
  // The specification's default, for servers that do not say.
  const seconds = said > 0 ? Math.min(said, longest) : 60
  const age = ageOf(own("issued_at"), date)
  return {
    value: Redacted.make(value, { label: "token" }),
    // A server that gives what has ended already has two clocks.
    expiresIn: Duration.seconds(age < seconds ? seconds - age : seconds),
    refreshToken: typeof refreshToken === "string" && refreshToken !== ""
      ? Redacted.make(refreshToken, { label: "identity token" })
      : undefined
  }
}

/** How old a token was when it was given, in seconds and by the server's clock: a clock that is wrong here does not matter. */
const ageOf = (issuedAt: unknown, date: string | undefined): number => {
  const age = typeof issuedAt !== "string" || date === undefined || issuedAt.length > 64 || date.length > 64
    ? 0
    : (Date.parse(date) - Date.parse(issuedAt)) / 1000
  return age > 0 ? age : 0
}

/** Whose token it is, and where it is had. */
const ownerOf = ({ credential, origin, realm, service }: Wish): string =>
  JSON.stringify([origin, realm.url.href, realm.isTrusted, service, Credential.identity(credential)])

const resourceOf = (scope: string): string => scope.slice(0, scope.lastIndexOf(":"))

const actionsOf = (scope: string): ReadonlyArray<string> => scope.slice(scope.lastIndexOf(":") + 1).split(",")

/** Whether who may do all of the one may do all of the other. */
const covers = (wide: ReadonlyArray<string>, narrow: ReadonlyArray<string>): boolean =>
  narrow.every((scope) =>
    wide.some((other) =>
      other === scope || (resourceOf(other) === resourceOf(scope) &&
        actionsOf(scope).every((action) => actionsOf(other).includes(action)))
    )
  )

class CacheKey implements Equal.Equal {
  readonly wish: Wish
  readonly id: string
  /** Equal for wishes that may be one another's. */
  readonly kin: string
  constructor(wish: Wish) {
    this.wish = wish
    const owner = ownerOf(wish)
    this.id = JSON.stringify([owner, wish.scopes.toSorted()])
    this.kin = JSON.stringify([owner, resourceOf(wish.scopes[0] ?? "")])
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof CacheKey && that.id === this.id
  }
  [Hash.symbol](): number {
    return Hash.string(this.id)
  }
}

/**
 * Tokens that are kept and shared: one exchange at a time for one wish, however many wait for it. A wish that asks for less
 * than one before it shares that one's token. A refresh token that comes with a token is what the next one is had for.
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

const capacity = 1024

/**
 * Makes an empty keeper of tokens.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = Effect.fnUntraced(function*(http: HttpClient.HttpClient): Effect.fn.Return<Tokens> {
  const refreshTokens = new Map<string, Redacted.Redacted>()

  const ask = Effect.fnUntraced(function*({ wish }: CacheKey): Effect.fn.Return<Token, RegistryError> {
    const owner = ownerOf(wish)
    const refreshToken = refreshTokens.get(owner)
    const response = refreshToken === undefined
      ? undefined
      : yield* send(http, wish, postRequest(wish, refreshToken))
    if (response !== undefined && isRefused(response)) {
      refreshTokens.delete(owner)
      yield* ResponseBody.discard(response)
    }
    const token = yield* response === undefined || isRefused(response) ? exchange(http, wish) : read(wish, response)
    if (wish.realm.isTrusted && token.refreshToken !== undefined) {
      refreshTokens.delete(owner)
      refreshTokens.set(owner, token.refreshToken)
      // A registry may name another realm each time.
      if (refreshTokens.size > capacity) refreshTokens.delete(refreshTokens.keys().next().value!)
    }
    return token
  })

  const cache = yield* Cache.makeWith(ask, {
    capacity,
    // A token is not used in its last minute, so that a body that begins with it also ends with it; nor in its second half,
    // for those that last no longer than two.
    timeToLive: Exit.match({
      onFailure: () => Duration.zero,
      onSuccess: ({ expiresIn }) =>
        Duration.subtract(expiresIn, Duration.min(Duration.minutes(1), Duration.divideUnsafe(expiresIn, 2)))
    })
  })

  // Of the wishes that are kin those that ask for most; the last used last.
  const widest = new Map<string, ReadonlyArray<CacheKey>>()
  const keep = (kin: string, keys: ReadonlyArray<CacheKey>) => {
    widest.delete(kin)
    if (keys.length > 0) widest.set(kin, keys)
    if (widest.size > capacity) widest.delete(widest.keys().next().value!)
  }
  const drop = (key: CacheKey) => keep(key.kin, (widest.get(key.kin) ?? []).filter((other) => other.id !== key.id))

  return {
    get: (wish) =>
      Effect.suspend(() => {
        const key = new CacheKey(wish)
        const kin = widest.get(key.kin) ?? []
        const wider = kin.find((other) => covers(other.wish.scopes, wish.scopes))
        keep(key.kin, wider ? kin : [...kin.filter((other) => !covers(wish.scopes, other.wish.scopes)), key])
        const asked = wider ?? key
        return Cache.get(cache, asked).pipe(Effect.catch((error) => {
          drop(asked)
          // Who may not have it all may still have what this one asks for.
          return asked.id === key.id || error.isRetryable ? Effect.fail(error) : Cache.get(cache, key)
        }))
      }),
    forget: (wish, refused) =>
      Effect.suspend(() => {
        const key = new CacheKey(wish)
        const asked = [key, ...(widest.get(key.kin) ?? [])]
        return Effect.forEach(
          asked,
          (key) =>
            Effect.map(
              Cache.invalidateWhen(cache, key, (token) => token.value === refused),
              (isForgotten) => isForgotten ? drop(key) : undefined
            ),
          { discard: true }
        )
      })
  }
})
