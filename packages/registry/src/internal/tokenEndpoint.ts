/**
 * `/token`: where a password, a refresh token or nothing at all is exchanged for a token.
 */
import * as Bytes from "@effect-oci/content/Bytes"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type { Policy } from "../Policy.ts"
import { Watching } from "../Traffic.ts"
import type { Users } from "../Users.ts"
import * as Body from "./body.ts"
import * as Login from "./login.ts"
import * as Reply from "./reply.ts"
import * as Tokens from "./tokens.ts"

export interface Options {
  readonly users: Users
  readonly allow: Policy
  /** Whether there is anything that anybody may do. */
  readonly anonymous: boolean
  readonly tokens: Tokens.Tokens
}

/** A token for what the user may do of what is asked for. */
const issue = Effect.fnUntraced(function*(
  { allow, anonymous, tokens }: Options,
  user: Login.User,
  form: URLSearchParams,
  refresh: boolean
) {
  if (user === "refused" || (user.name === undefined && !anonymous)) {
    return Reply.failure(401, "UNAUTHORIZED", "the user or password is wrong", {
      "www-authenticate": `Basic realm="token"`
    })
  }
  if (user.name !== undefined) (yield* Watching).asks(user.name)
  const now = yield* Clock.currentTimeMillis
  const grants = [...Tokens.scopes(form.getAll("scope"))].filter((grant) =>
    grant.startsWith("registry:")
      ? user.name !== undefined
      : Tokens.read(grant, (repository, action) => allow(user.name, repository, action))
  )
  const value = tokens.issue(now, user.name, grants)
  const body = {
    token: value,
    access_token: value,
    expires_in: tokens.seconds,
    issued_at: new Date(now).toISOString()
  }
  return Reply.json(
    refresh && user.name !== undefined ? { ...body, refresh_token: tokens.refresh(user.name) } : body,
    { "cache-control": "no-store" }
  )
})

export const handle = Effect.fnUntraced(function*(
  options: Options,
  request: HttpServerRequest.HttpServerRequest,
  query: URLSearchParams
): Effect.fn.Return<Reply.Reply> {
  if (request.method === "GET") {
    const user = yield* Login.basic(options.users, request)
    return yield* issue(options, user, query, query.get("offline_token") === "true")
  }
  if (request.method !== "POST") return Reply.notAllowed("GET, POST")
  const body = yield* Effect.option(Bytes.collect({ location: "/token", limit: 64 * 1024 })(Body.stream(request)))
  const form = new URLSearchParams(body._tag === "Some" ? new TextDecoder().decode(body.value) : "")
  switch (form.get("grant_type")) {
    case "password": {
      const user = yield* Login.check(options.users, form.get("username") ?? "", form.get("password") ?? "")
      return yield* issue(options, user, form, form.get("access_type") === "offline")
    }
    case "refresh_token": {
      const name = options.tokens.refreshed(form.get("refresh_token") ?? "")
      return yield* issue(options, name === undefined ? "refused" : { name }, form, true)
    }
    default:
      return Reply.failure(400, "UNSUPPORTED", "grant_type must be password or refresh_token")
  }
})
