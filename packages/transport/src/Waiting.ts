/**
 * Waits as a person reads them, and as a program does.
 *
 * @since 1.0.0
 */
import * as Duration from "effect/Duration"
import * as Redact from "./Redact.ts"
import type { RegistryError } from "./RegistryError.ts"
import type { Wait } from "./RetryPolicy.ts"

/**
 * The `host[:port]` that is waited for.
 *
 * @category getters
 * @since 1.0.0
 */
export const hostOf = ({ error }: Wait): string => URL.parse(error.url)?.host ?? Redact.url(error.url)

const why = ({ reason, retryAfter, status }: RegistryError, host: string): string => {
  if (retryAfter !== undefined) return `${host} asks for it`
  switch (reason._tag) {
    case "RateLimited":
      return `${host} is asked too much`
    case "SessionLost":
      return `${host} has lost the upload`
    case "Unreachable":
      switch (reason.code) {
        case "ECONNREFUSED":
          return `connection refused by ${host}`
        case "ECONNRESET":
          return `connection reset by ${host}`
        case "EAI_AGAIN":
        case "ENOTFOUND":
          return `no address is known for ${host}`
        default:
          return `${host}: ${reason.detail}`
      }
    default:
      return status === undefined ? `${host}: ${reason._tag}` : `${host} answers ${status}`
  }
}

const seconds = (duration: Duration.Duration): string => {
  const exact = Duration.toSeconds(duration)
  return `${exact < 1 ? Math.max(exact, 0.1).toFixed(1) : Math.round(exact)} s`
}

/**
 * `waiting 2 s: connection refused by localhost:5000 (try 3 of 9)`: which try comes next, and of how many, where that is
 * known.
 *
 * @category printing
 * @since 1.0.0
 */
export const format = (wait: Wait): string => {
  const { attempt, duration, error, retries } = wait
  const of = retries === undefined ? "" : ` of ${retries + 1}`
  return `waiting ${seconds(duration)}: ${why(error, hostOf(wait))} (try ${attempt + 1}${of})`
}

/**
 * A wait as plain JSON.
 *
 * @category printing
 * @since 1.0.0
 */
export const toJson = (wait: Wait) => ({
  event: "waiting",
  host: hostOf(wait),
  millis: Math.round(Duration.toMillis(wait.duration)),
  reason: wait.error.reason._tag,
  detail: wait.error.message,
  try: wait.attempt + 1,
  ...(wait.retries === undefined ? {} : { tries: wait.retries + 1 })
})
