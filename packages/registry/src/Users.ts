/**
 * The users that a registry knows, and how it tells them from others.
 *
 * @since 1.0.0
 */
import * as Hasher from "@effect-oci/content/Hasher"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { remembered } from "./internal/answers.ts"

const TypeId = "~@effect-oci/registry/Users"

/**
 * Whoever can tell whether a password is a user's.
 *
 * @category models
 * @since 1.0.0
 */
export interface Users {
  readonly [TypeId]: typeof TypeId
  readonly check: (name: string, password: string) => Effect.Effect<boolean>
}

/**
 * Returns `true` for `Users`.
 *
 * @category guards
 * @since 1.0.0
 */
export const isUsers = (u: unknown): u is Users => hasProperty(u, TypeId)

/**
 * A line of an htpasswd file that cannot be used.
 *
 * @category errors
 * @since 1.0.0
 */
export class UsersError extends Schema.Error<UsersError>("@effect-oci/registry/Users/UsersError")({
  _tag: Schema.tag("UsersError"),
  line: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `htpasswd line ${this.line}: ${this.detail}`
  }
}

const hashing = Effect.map(
  Hasher.Hashing,
  (start) => (text: string) => Hasher.digestOf(start, new TextEncoder().encode(text))
)

/**
 * Users by any way of telling.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = (check: Users["check"]): Users => ({ [TypeId]: TypeId, check })

/**
 * Users by their passwords.
 *
 * @category constructors
 * @since 1.0.0
 */
export const fromRecord = (
  passwords: Readonly<Record<string, string | Redacted.Redacted>>
): Effect.Effect<Users> =>
  Effect.map(hashing, (hash) => {
    // Digests take the same time to compare whatever was guessed right.
    const users = new Map(
      Object.entries(passwords).map(([name, password]) => [
        name,
        hash(Redacted.isRedacted(password) ? Redacted.value(password) : password)
      ])
    )
    return make((name, password) => Effect.sync(() => users.get(name) === hash(password)))
  })

/**
 * Tells whether a hash of bcrypt is that of a password.
 *
 * @category models
 * @since 1.0.0
 */
export type Compare = (password: string, hash: string) => Effect.Effect<boolean>

/**
 * How passwords are compared with hashes of bcrypt, which takes the better part of a second by design.
 *
 * **Details**
 *
 * The default runs anywhere, and while it does, all else waits for its turns of 0.1 s. `NodePasswords.layer` of
 * `@effect-oci/node` has a thread for it.
 *
 * @category references
 * @since 1.0.0
 */
export const Comparing = Context.Reference<Compare>("@effect-oci/registry/Users/Comparing", {
  defaultValue: () => (password, hash) =>
    // Only who has to compare one waits for it to be loaded.
    Effect.promise(() => import("bcryptjs").then(({ compare }) => compare(password, hash)))
})

const bcrypt = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/

/**
 * The users of an htpasswd file with bcrypt hashes, as `htpasswd -B` writes them.
 *
 * **Details**
 *
 * What was found right is remembered for five minutes, and for ten seconds what was wrong. Hashes are made one at a time, and
 * between two of them there is as much time for all else as the first one took.
 *
 * @category constructors
 * @since 1.0.0
 */
export const htpasswd = Effect.fnUntraced(function*(text: string): Effect.fn.Return<Users, UsersError> {
  const users = new Map<string, string>()
  for (const [at, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim()
    if (line === "" || line.startsWith("#")) continue
    const failed = (detail: string) => new UsersError({ line: at + 1, detail })
    const colon = line.indexOf(":")
    if (colon < 1) return yield* failed("must be name:hash")
    const hash = line.slice(colon + 1)
    const cost = Number(bcrypt.exec(hash)?.[1])
    if (Number.isNaN(cost)) return yield* failed("only bcrypt is read: write it with htpasswd -B")
    if (cost < 4 || cost > 16) return yield* failed("the cost must be 4 to 16")
    users.set(line.slice(0, colon), hash)
  }
  // Takes as long for a name that nobody has, so that names cannot be guessed.
  const [some = "$2b$10$abcdefghijklmnopqrstuuLf/HcbZcNd6QuZ3BIkVbXU5cZJcr8Wa"] = users.values()
  return make(
    yield* remembered((name, password) => {
      const hash = users.get(name)
      return Effect.map(
        Effect.flatMap(Comparing, (compare) => compare(password, hash ?? some)),
        (right) => right && hash !== undefined
      )
    })
  )
})
