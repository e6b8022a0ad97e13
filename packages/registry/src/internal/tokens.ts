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

/** Whoever asks for tokens without end makes the oldest useless, and not the registry. */
const most = 100_000

const actions = new Set<string>(["pull", "push", "delete"])

/** One action each, of `repository:a/b:pull,push other`. What can be no repository is left out, as a registry may do. */
export const scopes = (texts: ReadonlyArray<string>): ReadonlySet<string> =>
  new Set(
    texts.flatMap((text) => text.split(" ")).slice(0, 100).flatMap((scope) => {
      if (scope === "registry:catalog:*") return [scope]
      const colon = scope.lastIndexOf(":")
      if (!scope.startsWith("repository:") || !isName(scope.slice("repository:".length, colon))) return []
      const asked = scope.slice(colon + 1)
      return (asked === "*" ? [...actions] : asked.split(",").filter((action) => actions.has(action)))
        .map((action) => `${scope.slice(0, colon)}:${action}`)
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
  const refreshes = new Map<string, string>()
  return {
    seconds: Math.floor(Duration.toSeconds(lifetime)),
    issue: (now: number, name: string | undefined, grants: Iterable<string>): string => {
      // All last equally long, so the oldest expire first.
      for (const [old, { expiresAt }] of tokens) {
        if (expiresAt > now && tokens.size < most) break
        tokens.delete(old)
      }
      const value = crypto.randomUUID()
      tokens.set(value, { name, grants: new Set(grants), expiresAt: now + Duration.toMillis(lifetime) })
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
