/**
 * Who may do what to which repositories, as values that add up.
 *
 * @since 1.0.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Action } from "./Access.ts"
import { isName } from "./internal/route.ts"

/**
 * Whether a user may do this to a repository; `undefined` is somebody unknown.
 *
 * @category models
 * @since 1.0.0
 */
export type Policy = (user: string | undefined, repository: string, action: Action) => boolean

/**
 * A rule that does not read as one.
 *
 * @category errors
 * @since 1.0.0
 */
export class PolicyError extends Schema.Error<PolicyError>("@effect-oci/registry/Policy/PolicyError")({
  _tag: Schema.tag("PolicyError"),
  input: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `Invalid rule ${JSON.stringify(this.input)}: ${this.detail}`
  }
}

const all: ReadonlyArray<Action> = ["pull", "push", "delete"]

/** Whether a name is of a pattern, in a time that grows with the length of either, however many stars there are. */
const matcher = (pattern: string): (repository: string) => boolean => {
  const parts = pattern.split(/(\*\*?)/)
  return (repository) => {
    // Where the parts so far may have ended.
    let ends = new Set([0])
    for (const part of parts) {
      const next = new Set<number>()
      if (part === "*" || part === "**") {
        for (let at = 0; at <= repository.length; at++) {
          const goesOn = next.has(at - 1) && (part === "**" || repository[at - 1] !== "/")
          if (goesOn || ends.has(at)) next.add(at)
        }
      } else {
        for (const at of ends) if (repository.startsWith(part, at)) next.add(at + part.length)
      }
      ends = next
    }
    return ends.has(repository.length)
  }
}

const rule = (who: (user: string | undefined) => boolean, pattern: string, actions: ReadonlyArray<Action>): Policy => {
  const matches = matcher(pattern)
  return (user, repository, action) => who(user) && actions.includes(action) && matches(repository)
}

/**
 * Lets everybody do this, with a password or without; `pull` unless given.
 *
 * **Details**
 *
 * In a pattern `*` stands for anything within a component of the repository's name and `**` for anything at all.
 *
 * @category constructors
 * @since 1.0.0
 */
export const anybody = (pattern: string, actions: ReadonlyArray<Action> = ["pull"]): Policy =>
  rule(() => true, pattern, actions)

/**
 * Lets every user that the registry knows do this; everything unless given.
 *
 * @category constructors
 * @since 1.0.0
 */
export const users = (pattern: string, actions: ReadonlyArray<Action> = all): Policy =>
  rule((user) => user !== undefined, pattern, actions)

/**
 * Lets one user do this; everything unless given.
 *
 * @category constructors
 * @since 1.0.0
 */
export const user = (name: string, pattern: string, actions: ReadonlyArray<Action> = all): Policy =>
  rule((user) => user === name, pattern, actions)

/**
 * Lets whoever do what one of the policies lets them. Of none, nobody anything.
 *
 * @category combinators
 * @since 1.0.0
 */
export const some = (...policies: ReadonlyArray<Policy>): Policy => (name, repository, action) =>
  policies.some((policy) => policy(name, repository, action))

const isAction = (text: string): text is Action => all.some((action) => action === text)

/**
 * Reads `user:repositories:actions`. The user `*` is all that the registry knows, no user at all is everybody.
 *
 * **Example** (A team of its own)
 *
 * ```ts
 * import * as Policy from "@effect-oci/registry/Policy"
 *
 * Policy.parse("ann:team/**:pull,push")
 * ```
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (input: string): Result.Result<Policy, PolicyError> => {
  const refused = (detail: string) => Result.fail(new PolicyError({ input, detail }))
  const [name, pattern, actions, ...more] = input.split(":")
  const known = actions?.split(",").filter(isAction)
  if (!pattern || known === undefined || known.length === 0 || more.length > 0 || known.join() !== actions) {
    return refused("must be user:repositories:actions, as in ann:team/**:pull,push")
  }
  // A letter fits wherever anything does.
  if (!isName(pattern.replace(/\*+/g, "a"))) return refused(`no repository can be called ${JSON.stringify(pattern)}`)
  return Result.succeed(
    name === "" ? anybody(pattern, known) : name === "*" ? users(pattern, known) : user(name!, pattern, known)
  )
}
