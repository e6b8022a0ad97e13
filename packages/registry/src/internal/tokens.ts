/**
 * Tokens that a registry gave, and what each is good for.
 */
import * as Duration from "effect/Duration"
import type { Action } from "../Access.ts"
import { isName } from "./route.ts"

export interface Grant {
  /**
   * The user; nothing for somebody unknown.
   */
  readonly name: string | undefined
  /**
   * `repository:app:pull`, one action each.
   */
  readonly grants: ReadonlySet<string>
  readonly expiresAt: number
}

/**
 * How much room all tokens have, in bytes or so: enough for 100,000 as clients ask for them. Whoever asks for more without end
 * makes the oldest useless, and not the registry.
 */
const room = 32 * 1024 * 1024

/** What a token takes of it, by what each entry of a set or map costs and its text. */
const sizeOf = (grants: ReadonlySet<string>): number => {
  let size = 64
  for (const grant of grants) size += 64 + grant.length
  return size
}

const actions: ReadonlyArray<Action> = ["pull", "push", "delete"]

/** A text that keeps none of the request that it was part of. */
const own = (text: string): string => new TextDecoder().decode(new TextEncoder().encode(text))

/** One action each, of `repository:a/b:pull,push other`. What can be no repository is left out, as a registry may do. */
export const scopes = (texts: ReadonlyArray<string>): ReadonlySet<string> =>
  new Set(
    texts.flatMap((text) => text.split(" ")).slice(0, 100).flatMap((scope) => {
      if (scope === "registry:catalog:*") return [scope]
      const colon = scope.lastIndexOf(":")
      if (!scope.startsWith("repository:") || !isName(scope.slice("repository:".length, colon))) return []
      const asked = scope.slice(colon + 1)
      const repository = own(scope.slice(0, colon))
      return actions.flatMap((action) =>
        asked === "*" || asked.split(",").includes(action) ? [`${repository}:${action}`] : []
      )
    })
  )

/** The repository and the action of one of `scopes`. */
export const read = <A>(grant: string, use: (repository: string, action: Action) => A): A => {
  const colon = grant.lastIndexOf(":")
  // `scopes` lets no other action through.
  return use(grant.slice("repository:".length, colon), grant.slice(colon + 1) as Action)
}

export const make = (lifetime: Duration.Duration) => {
  const tokens = new Map<string, Grant>()
  let held = 0
  const refreshes = new Map<string, string>()
  return {
    seconds: Math.floor(Duration.toSeconds(lifetime)),
    issue: (now: number, name: string | undefined, grants: Iterable<string>): string => {
      const grant = { name, grants: new Set(grants), expiresAt: now + Duration.toMillis(lifetime) }
      held += sizeOf(grant.grants)
      // All last equally long, so the oldest expire first.
      for (const [old, { expiresAt, grants }] of tokens) {
        if (expiresAt > now && held <= room) break
        tokens.delete(old)
        held -= sizeOf(grants)
      }
      const value = crypto.randomUUID()
      tokens.set(value, grant)
      return value
    },
    find: (now: number, value: string | undefined): Grant | undefined => {
      const found = value === undefined ? undefined : tokens.get(value)
      return found !== undefined && found.expiresAt > now ? found : undefined
    },
    /** A user has one, however often asked for. */
    refresh: (name: string): string => {
      for (const [value, user] of refreshes) if (user === name) return value
      const value = crypto.randomUUID()
      refreshes.set(value, name)
      return value
    },
    refreshed: (value: string): string | undefined => refreshes.get(value)
  }
}

export type Tokens = ReturnType<typeof make>
