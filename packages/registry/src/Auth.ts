/**
 * Who may do what at a registry.
 *
 * @since 1.0.0
 */
import * as Registry from "@effect-oci/name/Registry"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { Access, type Action, Owner } from "./Access.ts"
import * as Foreign from "./internal/foreign.ts"
import * as Login from "./internal/login.ts"
import * as Reply from "./internal/reply.ts"
import * as Route from "./internal/route.ts"
import * as TokenEndpoint from "./internal/tokenEndpoint.ts"
import * as Tokens from "./internal/tokens.ts"
import * as Policy from "./Policy.ts"
import { Settings } from "./Settings.ts"
import { Watching } from "./Traffic.ts"
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

const realmOf = (request: HttpServerRequest.HttpServerRequest): string => {
  const host = Registry.parse(request.headers["host"] ?? "")
  const name = Result.isSuccess(host) ? Registry.apiHost(host.success) : "localhost"
  const forwarded = request.headers["x-forwarded-proto"]
  return `${forwarded === "https" ? forwarded : request.protocol ?? "http"}://${name}/token`
}

const challenge = (
  { realm, scheme }: Options,
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
    "www-authenticate": scheme === "basic"
      ? `Basic realm="registry"`
      : `Bearer realm="${realm ?? realmOf(request)}",service="registry"` +
        (scope === undefined ? "" : `,scope="${scope}"`) + (error ? `,error="${error}"` : "")
  })
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

      return Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        // Else it could tell right passwords from wrong ones.
        const refused = Foreign.refused(request, yield* Settings)
        if (refused !== undefined) return refused
        const { query, route } = Route.target(request.url)
        if (options.scheme === "bearer" && route._tag === "Token") {
          return yield* TokenEndpoint.handle({ users, allow, anonymous, tokens }, request, query)
        }
        const header = request.headers["authorization"]
        const grant = options.scheme === "basic"
          ? undefined
          : tokens.find(yield* Clock.currentTimeMillis, /^bearer +(\S+)$/i.exec(header ?? "")?.[1])
        const user: Login.User = options.scheme === "basic"
          ? yield* Login.basic(users, request)
          : grant ?? (header === undefined ? { name: undefined } : "refused")
        if (user !== "refused" && user.name !== undefined) (yield* Watching).asks(user.name)
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
        if (passes) {
          const isOpen = about !== undefined && allow(undefined, about.repository, "push")
          const owner = isOpen || user === "refused" ? undefined : user.name
          return yield* app.pipe(Effect.provideService(Access, may), Effect.provideService(Owner, owner))
        }
        return options.scheme === "basic" && user !== "refused" && user.name !== undefined
          ? Reply.failure(403, "DENIED", "this user may not do that")
          : challenge(options, request, route, header && (grant === undefined ? "invalid_token" : "insufficient_scope"))
      })
    }
  )
