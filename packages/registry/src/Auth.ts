/**
 * Who may do what at a registry.
 *
 * @since 1.0.0
 */
import * as Registry from "@effect-oci/name/Registry"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Reply from "./internal/reply.ts"

/**
 * How a registry asks who is there.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * `basic`: a password with each request. `bearer`: a token, which the registry's own `/token` gives for a password.
   */
  readonly scheme: "basic" | "bearer"
  readonly users: Readonly<Record<string, string | Redacted.Redacted>>
  /**
   * Whether anybody may read.
   *
   * @default false
   */
  readonly anonymousPull?: boolean | undefined
  /**
   * How long a token lasts.
   *
   * @default "5 minutes"
   */
  readonly tokenLifetime?: Duration.Input | undefined
}

type App<R> = Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest | R>

interface Grant {
  readonly scopes: ReadonlySet<string>
  readonly expiresAt: number
}

const actionOf = (method: string): string =>
  method === "GET" || method === "HEAD" ? "pull" : method === "DELETE" ? "delete" : "push"

/** What a request is about, as a token names it; `undefined` for the ping. */
const scopeOf = (method: string, path: string): string | undefined => {
  if (path === "/v2/_catalog") return "registry:catalog:*"
  const match = /^\/v2\/(.+)\/(?:blobs|manifests|tags|referrers)(?:\/|$)/.exec(path)
  return match === null ? undefined : `repository:${match[1]!.replace(/\/blobs\/uploads$/, "")}:${actionOf(method)}`
}

const originOf = (request: HttpServerRequest.HttpServerRequest): string => {
  const host = Registry.parse(request.headers["host"] ?? "")
  const name = Result.isSuccess(host) ? Registry.apiHost(host.success) : "localhost"
  return `${request.headers["x-forwarded-proto"] ?? request.protocol ?? "http"}://${name}`
}

/**
 * Puts a registry behind authentication. There is one place that decides, for all methods.
 *
 * @category guarding
 * @since 1.0.0
 */
export const guard = <R>(app: App<R>, options: Options): Effect.Effect<App<R>> =>
  Effect.sync(() => {
    const grants = new Map<string, Grant>()
    const users = new Map(
      Object.entries(options.users).map((
        [name, password]
      ) => [name, Redacted.isRedacted(password) ? Redacted.value(password) : password])
    )

    const userOf = (request: HttpServerRequest.HttpServerRequest): "anonymous" | "refused" | "known" => {
      const header = request.headers["authorization"]
      if (header === undefined) return "anonymous"
      const match = /^basic +(\S+)$/i.exec(header)
      const text = match === null ? undefined : Result.getOrElse(Base64.decodeString(match[1]!), () => undefined)
      if (text === undefined) return "refused"
      const colon = text.indexOf(":")
      return colon > 0 && users.get(text.slice(0, colon)) === text.slice(colon + 1) ? "known" : "refused"
    }

    const token = Effect.fnUntraced(function*(
      request: HttpServerRequest.HttpServerRequest,
      query: URLSearchParams
    ) {
      if (request.method !== "GET") return Reply.notAllowed("GET")
      const user = userOf(request)
      if (user === "refused" || (user === "anonymous" && options.anonymousPull !== true)) {
        return Reply.failure(401, "UNAUTHORIZED", "the user or password is wrong", {
          "www-authenticate": `Basic realm="token"`
        })
      }
      const lifetime = Duration.fromInputUnsafe(options.tokenLifetime ?? "5 minutes")
      const scopes = query.getAll("scope").flatMap((text) => text.split(" ")).flatMap((scope) => {
        const colon = scope.lastIndexOf(":")
        return scope.slice(colon + 1).split(",").map((action) => `${scope.slice(0, colon)}:${action}`)
      })
      const value = crypto.randomUUID()
      const now = yield* Clock.currentTimeMillis
      grants.set(value, {
        scopes: new Set(user === "known" ? scopes : scopes.filter((scope) => scope.endsWith(":pull"))),
        expiresAt: now + Duration.toMillis(lifetime)
      })
      for (const [old, { expiresAt }] of grants) if (expiresAt <= now) grants.delete(old)
      return HttpServerResponse.jsonUnsafe({ token: value, expires_in: Math.floor(Duration.toSeconds(lifetime)) })
    })

    const challenge = (
      request: HttpServerRequest.HttpServerRequest,
      scope: string | undefined,
      insufficient: boolean
    ) =>
      Reply.failure(401, "UNAUTHORIZED", "authentication required", {
        "www-authenticate": options.scheme === "basic"
          ? `Basic realm="registry"`
          : `Bearer realm="${originOf(request)}/token",service="registry"${
            scope === undefined ? "" : `,scope="${scope}"`
          }${insufficient ? `,error="insufficient_scope"` : ""}`
      })

    const isAllowed = Effect.fnUntraced(function*(
      request: HttpServerRequest.HttpServerRequest,
      scope: string | undefined
    ): Effect.fn.Return<boolean> {
      if (options.anonymousPull === true && scope?.endsWith(":pull") === true) return true
      if (options.scheme === "basic") return userOf(request) === "known"
      const value = /^bearer +(\S+)$/i.exec(request.headers["authorization"] ?? "")?.[1]
      const grant = value === undefined ? undefined : grants.get(value)
      if (grant === undefined || grant.expiresAt <= (yield* Clock.currentTimeMillis)) return false
      return scope === undefined || grant.scopes.has(scope)
    })

    return Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const url = new URL(request.url, "http://registry")
      if (options.scheme === "bearer" && url.pathname === "/token") return yield* token(request, url.searchParams)
      const scope = scopeOf(request.method, url.pathname)
      if (yield* isAllowed(request, scope)) return yield* app
      return challenge(request, scope, request.headers["authorization"] !== undefined)
    })
  })
