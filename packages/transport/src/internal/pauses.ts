/**
 * Origins that have asked to be left alone: one 429 holds back all requests to its origin, not only the one that got it.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Random from "effect/Random"
import { longestWait, parseRetryAfter } from "../RetryPolicy.ts"

export const make = () => {
  const until = new Map<string, number>()

  const waiting = Effect.fnUntraced(function*(origin: string) {
    for (;;) {
      const end = until.get(origin)
      if (end === undefined) return
      const left = end - (yield* Clock.currentTimeMillis)
      if (left <= 0) {
        until.delete(origin)
        return
      }
      yield* Effect.sleep(left + (yield* Random.next) * 500)
    }
  })

  return {
    begin: Effect.fnUntraced(function*(origin: string, { headers }: HttpClientResponse.HttpClientResponse) {
      const asked = yield* parseRetryAfter(headers["retry-after"], headers["date"])
      // Who asks for more than anybody waits makes the requests fail, each with its own answer.
      if (asked === undefined || Duration.isGreaterThan(asked, longestWait)) return
      const now = yield* Clock.currentTimeMillis
      // Nobody may have come back to them.
      for (const [other, end] of until) if (end <= now) until.delete(other)
      const end = now + Duration.toMillis(asked)
      until.set(origin, Math.max(end, until.get(origin) ?? 0))
    }),

    /** Whether there is anything to wait for. */
    isHeld: (origin: string): boolean => until.has(origin),

    /** Ends when the origin takes requests again; those that were held back do not all come at once. */
    wait: (origin: string): Effect.Effect<void> =>
      Effect.suspend(() => until.has(origin) ? waiting(origin) : Effect.void)
  }
}
