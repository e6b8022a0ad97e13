/**
 * Who is asking a registry.
 *
 * @since 1.0.0
 */
import * as Redacted from "effect/Redacted"

/**
 * Nobody in particular.
 *
 * @category models
 * @since 1.0.0
 */
export interface Anonymous {
  readonly _tag: "Anonymous"
}

/**
 * A user and a password.
 *
 * @category models
 * @since 1.0.0
 */
export interface Basic {
  readonly _tag: "Basic"
  readonly username: string
  readonly password: Redacted.Redacted
}

/**
 * A token that a registry takes as it is, without an exchange.
 *
 * @category models
 * @since 1.0.0
 */
export interface Bearer {
  readonly _tag: "Bearer"
  readonly token: Redacted.Redacted
}

/**
 * A refresh token that a token server exchanges for others.
 *
 * @category models
 * @since 1.0.0
 */
export interface IdentityToken {
  readonly _tag: "IdentityToken"
  readonly token: Redacted.Redacted
  readonly username: string | undefined
}

/**
 * Who is asking. Its secrets print as `<redacted>`.
 *
 * @category models
 * @since 1.0.0
 */
export type Credential = Anonymous | Basic | Bearer | IdentityToken

const secret = (value: string | Redacted.Redacted, label: string): Redacted.Redacted =>
  Redacted.isRedacted(value) ? value : Redacted.make(value, { label })

/**
 * Nobody in particular.
 *
 * @category constructors
 * @since 1.0.0
 */
export const anonymous: Credential = { _tag: "Anonymous" }

/**
 * A user and a password.
 *
 * @category constructors
 * @since 1.0.0
 */
export const basic = (username: string, password: string | Redacted.Redacted): Credential => ({
  _tag: "Basic",
  username,
  password: secret(password, "password")
})

/**
 * A token that a registry takes as it is.
 *
 * @category constructors
 * @since 1.0.0
 */
export const bearer = (token: string | Redacted.Redacted): Credential => ({
  _tag: "Bearer",
  token: secret(token, "token")
})

/**
 * A refresh token, and the user it belongs to where that is known.
 *
 * @category constructors
 * @since 1.0.0
 */
export const identityToken = (token: string | Redacted.Redacted, username?: string | undefined): Credential => ({
  _tag: "IdentityToken",
  token: secret(token, "identity token"),
  username
})

const secretOf = (credential: Credential): string => {
  switch (credential._tag) {
    case "Anonymous":
      return ""
    case "Basic":
      return Redacted.value(credential.password)
    default:
      return Redacted.value(credential.token)
  }
}

// Numbers stand for secrets, so that a key can be printed.
const numbers = new Map<string, number>()

/**
 * A key under which what was got with a credential may be kept: equal for equal credentials, in this process, and without
 * their secrets.
 *
 * @category getters
 * @since 1.0.0
 */
export const identity = (credential: Credential): string => {
  if (credential._tag === "Anonymous") return "anonymous"
  const username = "username" in credential ? credential.username ?? "" : ""
  const exact = JSON.stringify([credential._tag, username, secretOf(credential)])
  const number = numbers.get(exact) ?? numbers.size + 1
  numbers.set(exact, number)
  return `${credential._tag}:${username}:${number}`
}
