/**
 * Who a request says it is from, by a name and a password.
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Result from "effect/Result"
import type { Users } from "../Users.ts"

/** Somebody whose password is wrong is neither known nor anonymous. */
export type User = { readonly name: string | undefined } | "refused"

export const check = (users: Users, name: string, password: string): Effect.Effect<User> =>
  Effect.map(users.check(name, password), (right) => right ? { name } : "refused")

export const basic = (users: Users, request: HttpServerRequest.HttpServerRequest): Effect.Effect<User> => {
  const header = request.headers["authorization"]
  if (header === undefined) return Effect.succeed({ name: undefined })
  const match = /^basic +(\S+)$/i.exec(header)
  const text = match === null ? undefined : Result.getOrElse(Base64.decodeString(match[1]!), () => undefined)
  const colon = text?.indexOf(":") ?? -1
  return text === undefined || colon === -1
    ? Effect.succeed("refused")
    : check(users, text.slice(0, colon), text.slice(colon + 1))
}
