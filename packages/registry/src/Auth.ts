/**
 * Who may do what at a registry.
 *
 * @since 1.0.0
 */
import * as Bytes from "@effect-oci/content/Bytes"
import * as Registry from "@effect-oci/name/Registry"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { Access, type Action } from "./Access.ts"
import * as Reply from "./internal/reply.ts"
import * as Route from "./internal/route.ts"
import * as Tokens from "./internal/tokens.ts"
import * as Policy from "./Policy.ts"
import { Asking } from "./Traffic.ts"
import * as Users from "./Users.ts"

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
  /**
   * By their passwords, or `Users.htpasswd` of a file.
   */
  readonly users: Readonly<Record<string, string | Redacted.Redacted>> | Users.Users
  /**
   * What anybody may read: all, or repositories by patterns such as `public/**`.
   *
   * @default false
   */
  readonly anonymousPull?: boolean | ReadonlyArray<string> | undefined
  /**
   * What users may do to a repository; anybody what it lets `undefined` do.
   *
   * @default users everything
   */
  readonly allow?: Policy.Policy | undefined
  /**
   * Where tokens are had, as clients are told.
   *
   * @default `/token` of the host that was asked
   */
  readonly realm?: string | undefined
  /**
   * How long a token lasts.
   *
   * @default "5 minutes"
   */
  readonly tokenLifetime?: Duration.Input | undefined
}

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest | R>

/** Somebody whose password is wrong is neither known nor anonymous. */
type User = { readonly name: string | undefined } | "refused"

const realmOf = (request: HttpServerRequest.HttpServerRequest): string => {
  const host = Registry.parse(request.headers["host"] ?? "")
  const name = Result.isSuccess(host) ? Registry.apiHost(host.success) : "localhost"
  const forwarded = request.headers["x-forwarded-proto"]
  return `${forwarded === "https" ? forwarded : request.protocol ?? "http"}://${name}/token`
}

/**
 * Puts a registry behind authentication. There is one place that decides, for all methods.
 *
 * **Details**
 *
 * Tokens are random and mean something only to this guard, which forgets them as they expire. `/token` answers `GET` with
 * Basic credentials and `POST` with a password or refresh token in a form.
 *
 * @category guarding
 * @since 1.0.0
 */
export const guard = <E, R>(app: App<E, R>, options: Options): Effect.Effect<App<E, R>> =>
  Effect.map(
    Users.isUsers(options.users) ? Effect.succeed(options.users) : Users.fromRecord(options.users),
    (users) => {
      const { anonymousPull: open = false } = options
      const patterns = open === true ? ["**"] : open === false ? [] : open
      const allow = Policy.some(
        options.allow ?? Policy.users("**"),
        ...patterns.map((pattern) => Policy.anybody(pattern))
      )
      const anonymous = options.allow !== undefined || patterns.length > 0
      const tokens = Tokens.make(Duration.fromInputUnsafe(options.tokenLifetime ?? "5 minutes"))

      const login = (name: string, password: string): Effect.Effect<User> =>
        Effect.map(users.check(name, password), (right) => right ? { name } : "refused")

      const userOf = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<User> => {
        const header = request.headers["authorization"]
        if (header === undefined) return Effect.succeed({ name: undefined })
        const match = /^basic +(\S+)$/i.exec(header)
        const text = match === null ? undefined : Result.getOrElse(Base64.decodeString(match[1]!), () => undefined)
        const colon = text?.indexOf(":") ?? -1
        return text === undefined || colon === -1
          ? Effect.succeed("refused")
          : login(text.slice(0, colon), text.slice(colon + 1))
      }

      const issue = Effect.fnUntraced(function*(user: User, form: URLSearchParams, refresh: boolean) {
        if (user === "refused" || (user.name === undefined && !anonymous)) {
          return Reply.failure(401, "UNAUTHORIZED", "the user or password is wrong", {
            "www-authenticate": `Basic realm="token"`
          })
        }
        const now = yield* Clock.currentTimeMillis
        const grants = Tokens.scopes(form.getAll("scope")).filter((grant) =>
          grant.startsWith("registry:")
            ? user.name !== undefined
            : Tokens.read(grant, (repository, action) => allow(user.name, repository, action))
        )
        const value = tokens.issue(now, user.name, grants)
        const body = { token: value, access_token: value, expires_in: tokens.seconds }
        return HttpServerResponse.jsonUnsafe(
          refresh && user.name !== undefined ? { ...body, refresh_token: tokens.refresh(user.name) } : body,
          { headers: { "cache-control": "no-store" } }
        )
      })

      const token = Effect.fnUntraced(function*(
        request: HttpServerRequest.HttpServerRequest,
        query: URLSearchParams
      ) {
        if (request.method === "GET") {
          return yield* issue(yield* userOf(request), query, query.get("offline_token") === "true")
        }
        if (request.method !== "POST") return Reply.notAllowed("GET, POST")
        const body = yield* Effect.option(Bytes.collect({ location: "/token", limit: 64 * 1024 })(request.stream))
        const form = new URLSearchParams(body._tag === "Some" ? new TextDecoder().decode(body.value) : "")
        switch (form.get("grant_type")) {
          case "password":
            return yield* issue(
              yield* login(form.get("username") ?? "", form.get("password") ?? ""),
              form,
              form.get("access_type") === "offline"
            )
          case "refresh_token": {
            const name = tokens.refreshed(form.get("refresh_token") ?? "")
            return yield* issue(name === undefined ? "refused" : { name }, form, true)
          }
          default:
            return Reply.failure(400, "UNSUPPORTED", "grant_type must be password or refresh_token")
        }
      })

      const challenge = (
        request: HttpServerRequest.HttpServerRequest,
        route: Route.Route,
        error: string | undefined
      ) => {
        const about = Route.action(route, request.method)
        const scope = route._tag === "Catalog"
          ? "registry:catalog:*"
          // Who pushes asks what is there as well; one token does for both.
          : about && `repository:${about.repository}:${about.action === "push" ? "pull,push" : about.action}`
        return Reply.failure(401, "UNAUTHORIZED", "authentication required", {
          "www-authenticate": options.scheme === "basic"
            ? `Basic realm="registry"`
            : `Bearer realm="${options.realm ?? realmOf(request)}",service="registry"` +
              (scope === undefined ? "" : `,scope="${scope}"`) + (error ? `,error="${error}"` : "")
        })
      }

      return Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        const { path, query } = Route.target(request.url)
        if (options.scheme === "bearer" && path === "/token") return yield* token(request, query)
        const route = Route.parse(path)
        const header = request.headers["authorization"]
        const grant = options.scheme === "basic"
          ? undefined
          : tokens.find(yield* Clock.currentTimeMillis, /^bearer +(\S+)$/i.exec(header ?? "")?.[1])
        const user: User = options.scheme === "basic"
          ? yield* userOf(request)
          : grant ?? (header === undefined ? { name: undefined } : "refused")
        if (user !== "refused" && user.name !== undefined) (yield* Asking)(user.name)
        // A token for the catalog shows what its user may pull; any other is good for what it names. And what nobody needs a
        // token for, nobody is refused for having one.
        const name = user === "refused" || (grant !== undefined && route._tag !== "Catalog") ? undefined : user.name
        const may = (repository: string, action: Action): boolean =>
          user !== "refused" && (grant?.grants.has(`repository:${repository}:${action}`) === true ||
            allow(name, repository, action))
        const about = Route.action(route, request.method)
        const passes = about !== undefined
          ? may(about.repository, about.action)
          : user !== "refused" && (grant !== undefined || user.name !== undefined) &&
            (route._tag !== "Catalog" || grant === undefined || grant.grants.has("registry:catalog:*"))
        if (passes) return yield* Effect.provideService(app, Access, may)
        return options.scheme === "basic" && user !== "refused" && user.name !== undefined
          ? Reply.failure(403, "DENIED", "this user may not do that")
          : challenge(request, route, header && (grant === undefined ? "invalid_token" : "insufficient_scope"))
      })
    }
  )
