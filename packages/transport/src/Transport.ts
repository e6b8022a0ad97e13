/**
 * An `HttpClient` for one registry: it says who is asking, answers challenges, retries by policy, follows redirects
 * without carrying secrets along, and fails with a `RegistryError` where the status says so.
 *
 * @since 1.0.0
 */
import type * as Credential from "@effect-oci/authn/Credential"
import { Keychain } from "@effect-oci/authn/Keychain"
import * as Registry from "@effect-oci/name/Registry"
import type * as Repository from "@effect-oci/name/Repository"
import * as Cache from "effect/Cache"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Exit from "effect/Exit"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as AccessScope from "./AccessScope.ts"
import * as Challenge from "./Challenge.ts"
import * as Dial from "./internal/dial.ts"
import * as Failure from "./internal/failure.ts"
import * as Mirrors from "./internal/mirrors.ts"
import * as Pauses from "./internal/pauses.ts"
import * as Refused from "./internal/refused.ts"
import * as Secrets from "./internal/secrets.ts"
import * as Mirror from "./Mirror.ts"
import * as Origin from "./Origin.ts"
import * as Realm from "./Realm.ts"
import {
  Denied,
  NoCredentials,
  ProtocolViolation,
  RegistryError,
  type Unauthorized,
  Unreachable
} from "./RegistryError.ts"
import * as ResponseBody from "./ResponseBody.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as Token from "./Token.ts"
import * as Warning from "./Warning.ts"

/**
 * Who asks, and for what.
 *
 * @category models
 * @since 1.0.0
 */
export interface Access {
  /**
   * Credentials are looked up for this.
   */
  readonly resource: Repository.Repository | Registry.Registry
  /**
   * What a token has to allow.
   */
  readonly scopes: ReadonlyArray<AccessScope.AccessScope>
  /**
   * Whether 404 is an answer like others, not a failure: of a copy to a new place it is what most is answered.
   *
   * @default false
   */
  readonly mayLack?: boolean | undefined
}

/**
 * Makes clients for registries, which share pings, tokens and connections.
 *
 * @category services
 * @since 1.0.0
 */
export class Transport extends Context.Service<Transport, {
  /**
   * A client whose relative URLs are at the registry. Statuses of 400 and above are failures.
   */
  readonly client: (access: Access) => HttpClient.HttpClient.With<RegistryError>
  /**
   * Says that the manifest or blob of this tag or digest was wrong, or did not come to its end. Whether it came from a
   * mirror, which is then left alone for a while, so that the next request goes elsewhere.
   */
  readonly distrust: (repository: Repository.Repository, identifier: string) => Effect.Effect<boolean>
}>()("@effect-oci/transport/Transport") {}

interface Session {
  readonly registry: Registry.Registry
  readonly origin: URL
  /** Learnt from the ping, and from each 401 since. */
  challenge: Challenge.Challenge | undefined
}

interface Grant {
  readonly header: Redacted.Redacted
  /** Whether it says who is asking. */
  readonly identified: boolean
  readonly withheld: string | undefined
  /** Whether it was asked for with what it is to allow. */
  readonly isScoped: boolean
  readonly forget: Effect.Effect<void>
}

/** What one request has learnt on its way, over all its attempts. */
interface Attempt {
  session: Session | undefined
  isAnswered: boolean
  grant: Grant | undefined
  scopes: ReadonlyArray<AccessScope.AccessScope>
  failure: Effect.Effect<never, RegistryError>
}

/** A request, and where it goes. */
interface Hop {
  readonly request: HttpClientRequest.HttpClientRequest
  /** A URL of that place, not always the whole one: no more is parsed than has to be. */
  readonly at: URL
}

const hopOf = (request: HttpClientRequest.HttpClientRequest, origin: URL): Hop => {
  const { url } = request
  const isPath = url.startsWith("/")
  const at = isPath ? null : URL.parse(url)
  if (at !== null) return { request, at }
  // Behind a slash nothing becomes a part of the host's name, which would get what is meant for the registry.
  return { request: HttpClientRequest.setUrl(request, `${origin.origin}${isPath ? "" : "/"}${url}`), at: origin }
}

const userAgent = "effect-oci/0"
const maxRedirects = 10
/** Of how many registries is remembered what they answered to a ping. */
const mostSessions = 1024
/** Of how many hosts is remembered that they have answered: a redirect may lead to another each time. */
const mostHosts = 4096

const bearer = (token: Redacted.Redacted): Redacted.Redacted =>
  Redacted.make(`Bearer ${Redacted.value(token)}`, { label: "token" })

const basic = ({ password, username }: Credential.Basic): Redacted.Redacted =>
  Redacted.make(`Basic ${Base64.encode(`${username}:${Redacted.value(password)}`)}`, { label: "password" })

/** What needs no exchange. */
const known = (header: Redacted.Redacted): Grant => ({
  header,
  identified: true,
  withheld: undefined,
  isScoped: false,
  forget: Effect.void
})

/** Where a reply sends the request on to. */
const redirectOf = (response: HttpClientResponse.HttpClientResponse): URL | undefined => {
  const { location } = response.headers
  return [301, 302, 303, 307, 308].includes(response.status) && location !== undefined
    ? URL.parse(location, response.request.url) ?? undefined
    : undefined
}

/** Whether what was asked for was done; `304` is what whoever reads has asked for by a condition. */
const isAnswer = ({ request, status }: HttpClientResponse.HttpClientResponse): boolean =>
  status < 300 ||
  status === 304 && (request.method === "GET" || request.method === "HEAD") && "if-none-match" in request.headers

/** What may be said of a request because nobody knows who asks. */
const isRefusal = ({ status }: HttpClientResponse.HttpClientResponse): boolean =>
  status >= 400 && status < 500 && status !== 429

/** Why a redirect is not followed. */
const refuses = (from: URL, to: URL): string | undefined => {
  if (to.protocol !== "https:" && to.protocol !== "http:") return `redirected to a ${to.protocol} URL`
  if (from.protocol === "https:" && to.protocol === "http:") return "redirected from https to http"
  return undefined
}

const redirected = (request: HttpClientRequest.HttpClientRequest, status: number, to: URL) => {
  // Without a fragment the URL is asked for as it was sent: what was signed must not be encoded anew.
  to.hash = ""
  const next = HttpClientRequest.setUrlParams(HttpClientRequest.setUrl(request, to.href), [])
  return status === 303 && request.method !== "HEAD"
    ? HttpClientRequest.setBody(HttpClientRequest.setMethod(next, "GET"), HttpBody.empty)
    : next
}

/** Who says who they are, and asks for exactly what a registry wants asked, and is refused all the same, may not do it. */
const denied = (error: RegistryError): RegistryError => {
  const { method, reason, url } = error
  return reason._tag === "Unauthorized" && reason.identified &&
      !reason.challenges.some(({ parameters }) => parameters.get("error") === "invalid_token")
    ? new RegistryError({
      method,
      url,
      reason: new Denied({ status: reason.status, diagnostics: reason.diagnostics })
    })
    : error
}

const registryOf = (resource: Access["resource"]): Registry.Registry =>
  "registry" in resource ? resource.registry : resource

const make = Effect.gen(function*() {
  const http = yield* HttpClient.HttpClient
  const keychain = yield* Keychain
  const origins = yield* Origin.Origins
  const scope = yield* Effect.scope
  const trusted = yield* Realm.TrustedRealms
  const tokens = yield* Token.make(http)
  const pauses = Pauses.make()
  const warn = Warning.make()

  /** Hosts, the last that did last. */
  const answered = new Set<string>()
  const hasAnswered = (hostname: string): void => {
    answered.delete(hostname)
    answered.add(hostname)
    if (answered.size > mostHosts) answered.delete(answered.values().next().value!)
  }

  /** A host that has answered is there: only its name service is away for a while. */
  const isKnown = (hostname: string) => (error: RegistryError): RegistryError =>
    error.reason._tag === "Unreachable" && error.reason.code === "ENOTFOUND" && answered.has(hostname)
      ? Failure.make(error.method, error.url, new Unreachable({ ...error.reason, transient: true }), error.cause)
      : error

  const usual = { "user-agent": userAgent, "accept-encoding": "identity" }

  /** One request and its reply, once the origin takes requests. */
  const once = (
    { at: { host, hostname, origin }, request }: Hop,
    registry: URL
  ): Effect.Effect<HttpClientResponse.HttpClientResponse, RegistryError> => {
    const reply = Dial.execute(
      http,
      HttpClientRequest.setHeaders(request, usual),
      hostname === registry.hostname || origins(host).internal === true
    ).pipe(
      Effect.matchEffect({
        onFailure: (error) => Effect.fail(isKnown(hostname)(error)),
        onSuccess: (response) => {
          hasAnswered(hostname)
          const warning = response.headers["warning"]
          return warning === undefined && response.status !== 429
            ? Effect.succeed(response)
            : noted(response, host, origin, warning)
        }
      })
    )
    return pauses.isHeld(origin) ? Effect.andThen(pauses.wait(origin), reply) : reply
  }

  /** What a reply says besides. */
  const noted = Effect.fnUntraced(function*(
    response: HttpClientResponse.HttpClientResponse,
    host: string,
    origin: string,
    warning: string | undefined
  ) {
    if (warning !== undefined) yield* warn(host, Secrets.hide(response.request, warning))
    if (response.status === 429) yield* pauses.begin(origin, response)
    return response
  })

  const originOf = (registry: Registry.Registry): URL =>
    new URL(`${Origin.isPlain(origins, registry) ? "http" : "https"}://${Registry.apiHost(registry)}`)

  const ping = Effect.fnUntraced(function*(registry: Registry.Registry): Effect.fn.Return<Session, RegistryError> {
    const origin = originOf(registry)
    const url = new URL("/v2/", origin).href
    const response = yield* once({ request: HttpClientRequest.get(url), at: origin }, origin)
    // Whatever else it says (some registries know no /v2/ at all), the requests themselves will tell.
    if (response.status >= 500 || response.status === 429) {
      return yield* Effect.flatMap(Refused.fromResponse("GET", url, response, { identified: false }), Effect.fail)
    }
    yield* ResponseBody.discard(response)
    const challenges = Challenge.parse(response.headers["www-authenticate"] ?? "")
    const session = { registry, origin, challenge: response.status === 401 ? Challenge.choose(challenges) : undefined }
    opened.set(registry.name, session)
    if (opened.size > mostSessions) opened.delete(opened.keys().next().value!)
    return session
  })

  /** Those that have answered a ping, by their names. */
  const opened = new Map<string, Session>()

  const sessions = yield* Cache.makeWith(ping, {
    capacity: mostSessions,
    timeToLive: Exit.match({ onFailure: () => Duration.zero, onSuccess: () => Duration.infinity })
  })

  const credentialFor = (access: Access, session: Session) =>
    Effect.mapError(
      keychain.resolve(access.resource),
      (error) => Failure.make("GET", session.origin.href, new NoCredentials({ detail: error.message }), error)
    )

  /** What to send along so that the registry knows who is asking. */
  const grant = Effect.fnUntraced(function*(
    session: Session,
    challenge: Challenge.Challenge,
    access: Access
  ): Effect.fn.Return<Grant | undefined, RegistryError> {
    const credential = yield* credentialFor(access, session)
    if (challenge.scheme === "basic") {
      return credential._tag === "Basic" ? known(basic(credential)) : undefined
    }
    if (credential._tag === "Bearer") {
      if (Token.isToken(Redacted.value(credential.token))) return known(bearer(credential.token))
      const detail = "the token for the registry holds what no header takes"
      return yield* Failure.make("GET", session.origin.href, new NoCredentials({ detail }))
    }
    const realm = Realm.parse(challenge.parameters.get("realm") ?? "", session.registry, session.origin, trusted)
    if (Result.isFailure(realm)) {
      return yield* Failure.make("GET", session.origin.href, new ProtocolViolation({ detail: realm.failure }))
    }
    const wish: Token.Wish = {
      origin: session.origin.origin,
      realm: realm.success,
      service: challenge.parameters.get("service"),
      scopes: access.scopes.map(AccessScope.format),
      credential
    }
    const token = yield* tokens.get(wish)
    return {
      header: bearer(token.value),
      identified: realm.success.isTrusted && credential._tag !== "Anonymous",
      withheld: Token.withheld(wish),
      isScoped: true,
      forget: tokens.forget(wish, token.value)
    }
  })

  /**
   * Reading goes out together with the ping of its registry, as from nobody: a registry that asks nobody who they are, or not
   * for this, has then answered a round trip earlier.
   */
  const early = (registry: Registry.Registry, request: HttpClientRequest.HttpClientRequest) => {
    const origin = originOf(registry)
    let reply: HttpClientResponse.HttpClientResponse | undefined
    const read = once(hopOf(request, origin), origin).pipe(
      Effect.tap((response) => Effect.sync(() => reply = response)),
      Effect.orElseSucceed(() => undefined)
    )
    return Effect.all([Cache.get(sessions, registry), read], { concurrency: 2 }).pipe(
      // A reply that nobody will read would keep its connection.
      Effect.onError(() => reply === undefined ? Effect.void : Effect.forkIn(ResponseBody.discard(reply), scope))
    )
  }

  const exchange = Effect.fnUntraced(function*(
    request: HttpClientRequest.HttpClientRequest,
    access: Access,
    attempt: Attempt
  ): Effect.fn.Return<HttpClientResponse.HttpClientResponse, RegistryError> {
    const registry = registryOf(access.resource)
    const known = opened.get(registry.name)
    const isEarly = known === undefined && (request.method === "GET" || request.method === "HEAD") &&
      !(yield* Cache.has(sessions, registry))
    const [session, reply] = isEarly
      ? yield* early(registry, request)
      : [known ?? (yield* Cache.get(sessions, registry)), undefined]
    attempt.session = session
    const isRefused = reply !== undefined && session.challenge !== undefined && isRefusal(reply)
    // Whatever else it has to say, nobody waits for it.
    if (isRefused) yield* Effect.forkIn(ResponseBody.discard(reply), scope)
    const first = isRefused ? undefined : reply
    if (first === undefined) {
      // What has to wait waits before it is given a token, not with one that grows old.
      if (pauses.isHeld(session.origin.origin)) yield* pauses.wait(session.origin.origin)
      attempt.grant = session.challenge &&
        (yield* grant(session, session.challenge, { ...access, scopes: attempt.scopes }))
    }
    let { at, request: next } = hopOf(request, session.origin)
    for (let redirects = 0;; redirects++) {
      // Decided anew at each hop: a secret belongs to an origin, not to a request.
      const isOwn = at.origin === session.origin.origin
      const sent = isOwn ? attempt.grant : undefined
      const response = redirects === 0 && first !== undefined ? first : yield* once({
        request: sent === undefined
          ? next
          : HttpClientRequest.setHeader(next, "authorization", Redacted.value(sent.header)),
        at
      }, session.origin)
      const target = redirectOf(response)
      if (target === undefined) {
        if (isAnswer(response) || response.status === 404 && access.mayLack === true) return response
        if (response.status < 400) {
          yield* ResponseBody.discard(response)
          const detail = `status ${response.status} leads nowhere`
          return yield* Failure.make(request.method, next.url, new ProtocolViolation({ detail }))
        }
        const error = yield* Refused.fromResponse(request.method, next.url, response, {
          identified: sent?.identified ?? false,
          withheld: sent?.withheld
        })
        if (!isOwn) return yield* Failure.withoutChallenges(error)
        return yield* attempt.isAnswered && sent?.isScoped === true ? denied(error) : error
      }
      const refusal = redirects >= maxRedirects ? `more than ${maxRedirects} redirects` : refuses(at, target)
      yield* ResponseBody.discard(response)
      if (refusal !== undefined) {
        return yield* Failure.make(request.method, next.url, new ProtocolViolation({ detail: refusal }))
      }
      next = redirected(next, response.status, target)
      at = target
    }
  })

  /** Learns the challenge of a 401, and sees to it that the next attempt has another token. */
  const answer = (access: Access, attempt: Attempt) =>
    Effect.fnUntraced(function*(unauthorized: Unauthorized): Effect.fn.Return<void, RegistryError> {
      const { session } = attempt
      const challenge = Challenge.choose(unauthorized.challenges)
      const give = Effect.suspend(() => attempt.failure)
      if (session === undefined || challenge === undefined || attempt.isAnswered) return yield* give
      attempt.isAnswered = true
      session.challenge = challenge
      attempt.scopes = AccessScope.join(
        access.scopes,
        AccessScope.parseAll(challenge.parameters.get("scope") ?? "")
      )
      if (attempt.grant !== undefined) yield* attempt.grant.forget
      // Basic credentials that were refused are refused again.
      if (challenge.scheme === "basic" && unauthorized.identified) return yield* give
      const next = grant(session, challenge, { ...access, scopes: attempt.scopes }).pipe(
        // Asked again with the next attempt, and waited for as the policy says.
        Effect.catchIf((error) => error.isRetryable, () => Effect.succeed("later"))
      )
      if ((yield* next) === undefined) return yield* give
    })

  /** A request with all its attempts. */
  const run = (request: HttpClientRequest.HttpClientRequest, access: Access) =>
    Effect.suspend(() => {
      const attempt: Attempt = {
        session: undefined,
        isAnswered: false,
        grant: undefined,
        scopes: access.scopes,
        failure: Effect.void as never
      }
      const self = Effect.catch(
        exchange(request, access, attempt),
        (error) => attempt.failure = Effect.fail(error)
      )
      return RetryPolicy.retry(self, answer(access, attempt))
    })

  const mirrors = Mirrors.make(yield* Mirror.Mirrors, run)

  return Transport.of({
    client: (access) =>
      HttpClient.makeWith<RegistryError, never, RegistryError, never>(
        (request) => Effect.flatMap(request, (request) => mirrors.execute(request, access)),
        Effect.succeed
      ),
    distrust: mirrors.distrust
  })
})

/**
 * A transport over the program's `HttpClient` and `Keychain`.
 *
 * **Details**
 *
 * The client must not follow redirects, decode bodies or take away `Content-Length` by itself; see `NodeOci.layer` of
 * `@effect-oci/node`.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<Transport, never, HttpClient.HttpClient | Keychain> = Layer.effect(Transport, make)
