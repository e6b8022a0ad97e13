/**
 * What is waited for, as whoever looks on is told: a line on a terminal, an event for a program that asks for JSON, nothing
 * in a quiet pipe.
 *
 * @since 1.0.0
 */
import type * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import * as Waiting from "@effect-oci/transport/Waiting"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { printable } from "./Failed.ts"

/**
 * Who looks on.
 *
 * @category models
 * @since 1.0.0
 */
export type Reader = "terminal" | "json" | "nobody"

/**
 * Who looks on where these are the arguments, and stderr is a terminal or not.
 *
 * @category constructors
 * @since 1.0.0
 */
export const readerOf = (args: ReadonlyArray<string>, isTerminal: boolean): Reader =>
  isTerminal ? "terminal" : args.includes("--json") ? "json" : "nobody"

/** In milliseconds; what is shorter nobody notices. */
const shortest = 1000

/**
 * Remembers who is waited for: of all requests that wait for one registry, the first is told of, where it waits for a second or
 * more.
 *
 * @category constructors
 * @since 1.0.0
 */
export const first = () => {
  const until = new Map<string, number>()
  return (wait: RetryPolicy.Wait): Effect.Effect<boolean> =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const host = Waiting.hostOf(wait)
      const millis = Duration.toMillis(wait.duration)
      if (millis < shortest || (until.get(host) ?? 0) > now) return false
      until.set(host, now + millis)
      return true
    })
}

/**
 * Tells a reader of waits, on stderr.
 *
 * @category rendering
 * @since 1.0.0
 */
export const tell = (reader: Reader): (wait: RetryPolicy.Wait) => Effect.Effect<void> => {
  if (reader === "nobody") return () => Effect.void
  const isFirst = first()
  return (wait) =>
    Effect.flatMap(isFirst(wait), (isFirst) =>
      !isFirst
        ? Effect.void
        : Console.error(
          reader === "json"
            ? JSON.stringify(Waiting.toJson(wait))
            : `effect-oci: ${printable(Waiting.format(wait))}`
        ))
}
