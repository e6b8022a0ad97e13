/**
 * When a request is tried again: schedules whose input is the failure.
 *
 * **Details**
 *
 * Each schedule answers for one kind of failure and leaves the others alone, so side by side they keep their own counts.
 * `standard` is their composition and nothing else: take one out, put another in, or replace the whole through
 * `RetryPolicy`.
 *
 * @since 1.0.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import {
  isRegistryError,
  type RateLimited,
  type Reason,
  type RegistryError,
  type SessionLost,
  type Unauthorized,
  type Unavailable,
  type Unreachable
} from "./RegistryError.ts"

/**
 * Performs what a challenge asks for, such as the exchange of credentials for a token. Provided to the policy of each
 * request by the transport that makes it.
 *
 * @category services
 * @since 1.0.0
 */
export class Answer extends Context.Service<
  Answer,
  (challenge: Unauthorized) => Effect.Effect<void, RegistryError>
>()("@effect-oci/transport/RetryPolicy/Answer") {}

/**
 * A policy: it is stepped with each failure of a request, and the request is made again when it recurs.
 *
 * @category models
 * @since 1.0.0
 */
export type Policy = Schedule.Schedule<unknown, RegistryError, RegistryError, Answer>

/**
 * Lets a schedule see only the failures of some reasons, and end for all others.
 *
 * @category combining
 * @since 1.0.0
 */
export const forReasons = <const Tag extends Reason["_tag"], Output, E, R>(
  tags: ReadonlyArray<Tag>,
  self: Schedule.Schedule<Output, Extract<Reason, { readonly _tag: Tag }>, E, R>
): Schedule.Schedule<Output | undefined, RegistryError, E, R> =>
  Schedule.fromStep(
    Effect.map(Schedule.toStep(self), (step) => (now: number, input: RegistryError) =>
      isOneOf(tags, input.reason) ? step(now, input.reason) : Cause.done(undefined))
  )

const isOneOf = <Tag extends Reason["_tag"]>(
  tags: ReadonlyArray<Tag>,
  reason: Reason
): reason is Extract<Reason, { readonly _tag: Tag }> => (tags as ReadonlyArray<string>).includes(reason._tag)

/**
 * Answers a challenge, then recurs at once; once a request, since whoever refuses the answer will refuse it again.
 *
 * @category policies
 * @since 1.0.0
 */
export const challenge: Policy = forReasons(
  ["Unauthorized"],
  Schedule.fromStepWithMetadata(Effect.succeed((metadata: Schedule.InputMetadata<Unauthorized>) =>
    metadata.attempt > 1
      ? Cause.done("answered")
      : Effect.as(
        Effect.flatMap(Answer, (answer) => answer(metadata.input)),
        ["answered", Duration.zero] as [string, Duration.Duration]
      )
  ))
)

/**
 * Answers a challenge and leaves it at that: for a request whose body cannot simply be sent again, by an operation that
 * then goes on in a way of its own.
 *
 * @category policies
 * @since 1.0.0
 */
export const answerOnly: Policy = forReasons(
  ["Unauthorized"],
  Schedule.fromStep(Effect.succeed((_now: number, input: Unauthorized) =>
    Effect.flatMap(
      Effect.flatMap(Answer, (answer) => answer(input)),
      () => Cause.done("answered")
    )
  ))
)

/**
 * The longest time that a registry can make a request wait. Asked for more, the request fails at once and says so.
 *
 * @category constants
 * @since 1.0.0
 */
export const longestWait: Duration.Duration = Duration.seconds(60)

/** All that any of the policies here tries again. */
const mended: ReadonlySet<Reason["_tag"]> = new Set([
  "Unauthorized",
  "RateLimited",
  "Unavailable",
  "Unreachable",
  "SessionLost"
])

/** How often something is tried again at most, by what is wrong. */
const limits: Partial<Record<Reason["_tag"], number>> & Record<"RateLimited" | "SessionLost" | "Unreachable", number> =
  {
    RateLimited: 8,
    Unavailable: 8,
    Unreachable: 8,
    SessionLost: 4
  }

const asked = (reason: RateLimited | Unavailable): Duration.Duration => reason.retryAfter ?? Duration.zero

const isBearable = (reason: RateLimited | Unavailable) => Duration.isLessThanOrEqualTo(asked(reason), longestWait)

const backoff = Schedule.exponential("250 millis").pipe(
  // Jitter, so that clients that failed together do not come back together; of half the time, so that eight tries always
  // last longer than a registry takes to start, 14 s at least; and 29 s at most, within the half minute that a target waits
  // for an upload whose source is tried again.
  Schedule.modifyDelay(({ duration }) =>
    Effect.map(
      Random.next,
      (random) => Duration.times(Duration.min(duration, Duration.seconds(7)), 0.5 + random / 2)
    )
  )
)

/**
 * Waits as long as the registry asks by `Retry-After`, up to `longestWait`, and a second and more where it says nothing, or
 * says more than once that there is nothing to wait for. At most 8 times.
 *
 * @category policies
 * @since 1.0.0
 */
export const rateLimited: Policy = forReasons(
  ["RateLimited"],
  Schedule.exponential("1 second").pipe(
    Schedule.setInputType<RateLimited>(),
    Schedule.while(({ input }) => isBearable(input)),
    Schedule.modifyDelay(({ attempt, duration, input }) =>
      Effect.succeed(
        // Who says `0` again after that was done does not say how long, and would be asked all times at once.
        input.retryAfter !== undefined && (attempt === 1 || !Duration.isZero(input.retryAfter))
          ? input.retryAfter
          : Duration.min(duration, Duration.seconds(30))
      )
    ),
    Schedule.upTo({ times: limits.RateLimited })
  )
)

/**
 * Backs off, with jitter, from a registry that fails or cannot be reached: 0.25 s, doubling, 7 s at most; 8 times and 2
 * minutes at most. What time does not mend, such as an untrusted certificate, is not tried again.
 *
 * @category policies
 * @since 1.0.0
 */
export const transient: Policy = forReasons(
  ["Unavailable", "Unreachable"],
  backoff.pipe(
    Schedule.setInputType<Unavailable | Unreachable>(),
    Schedule.while(({ input }) => input._tag === "Unavailable" ? isBearable(input) : input.transient),
    Schedule.modifyDelay(({ duration, input }) =>
      Effect.succeed(input._tag === "Unavailable" ? Duration.max(duration, asked(input)) : duration)
    ),
    Schedule.upTo({ times: limits.Unreachable, duration: "2 minutes" })
  )
)

/**
 * Goes on with an upload whose session was lost, or was not where it was thought to be: 4 times at most, backing off.
 *
 * @category policies
 * @since 1.0.0
 */
export const sessionLost: Policy = forReasons(
  ["SessionLost"],
  backoff.pipe(
    Schedule.setInputType<SessionLost>(),
    Schedule.upTo({ times: limits.SessionLost })
  )
)

/**
 * All of the above.
 *
 * @category policies
 * @since 1.0.0
 */
export const standard: Policy = Schedule.min([challenge, rateLimited, transient, sessionLost])

/**
 * Begins a policy anew whenever what it retries has come further: a link that breaks once an hour must not end a transfer
 * that takes days. `progress` is any number that grows.
 *
 * @category combining
 * @since 1.0.0
 */
export const refilled = (self: Policy, progress: () => number): Policy =>
  Schedule.fromStep(Effect.map(Schedule.toStep(self), (first) => {
    let step = first
    let before = progress()
    return (now: number, input: RegistryError) => {
      const reached = progress()
      if (reached === before) return step(now, input)
      before = reached
      return Effect.flatMap(Schedule.toStep(self), (fresh) => {
        step = fresh
        return step(now, input)
      })
    }
  }))

/**
 * A wait before something is tried again.
 *
 * @category models
 * @since 1.0.0
 */
export interface Wait {
  /**
   * What has failed.
   */
  readonly error: RegistryError
  readonly duration: Duration.Duration
  /**
   * Of a request the first wait, the second, and so on; from 1 again where a transfer has come further.
   */
  readonly attempt: number
  /**
   * How often the policy tries again for that reason at most, where it is the standard one.
   */
  readonly retries: number | undefined
}

/**
 * Told of every wait before it begins, so that whoever looks on knows why nothing moves.
 *
 * @category references
 * @since 1.0.0
 */
export const OnWait = Context.Reference<(wait: Wait) => Effect.Effect<void>>(
  "@effect-oci/transport/RetryPolicy/OnWait",
  { defaultValue: () => () => Effect.void }
)

/**
 * The policy of every request, unless a call or a program provides another.
 *
 * @category references
 * @since 1.0.0
 */
export const RetryPolicy = Context.Reference<Policy>("@effect-oci/transport/RetryPolicy", {
  defaultValue: () => standard
})

/**
 * The policy in force, telling `OnWait` of its waits.
 *
 * @category policies
 * @since 1.0.0
 */
export const current: Effect.Effect<Policy> = Effect.map(
  RetryPolicy,
  (policy): Policy =>
    Schedule.tap(policy, ({ attempt, duration, input }) =>
      Duration.isZero(duration)
        ? Effect.void
        : Effect.flatMap(OnWait, (told) =>
          told({
            attempt,
            duration,
            error: input,
            retries: policy === standard ? limits[input.reason._tag] : undefined
          })))
)

/**
 * `Effect.retry` by a policy that is not asked for before something has failed: most never does, and a policy takes longer to
 * make than a small request to be sent. What did not come from the registry is not retried.
 *
 * @category retrying
 * @since 1.0.0
 */
export const retry = <A, E, R>(
  self: Effect.Effect<A, E | RegistryError, R>,
  answer: Answer["Service"],
  policy: Effect.Effect<Policy> = current
): Effect.Effect<A, E | RegistryError, R> =>
  Effect.catch(self, (error) => {
    if (!isRegistryError(error)) return Effect.fail(error)
    if (policy !== current) return again(self, error, answer, policy)
    return Effect.flatMap(RetryPolicy, (theirs) =>
      ours.has(theirs) && !mended.has(error.reason._tag) ? Effect.fail(error) : again(self, error, answer, policy))
  })

const ours: ReadonlySet<Policy> = new Set([challenge, answerOnly, rateLimited, transient, sessionLost, standard])

/** The same for what has failed once. */
const again = <A, E, R>(
  self: Effect.Effect<A, E | RegistryError, R>,
  error: RegistryError,
  answer: Answer["Service"],
  policy: Effect.Effect<Policy>
): Effect.Effect<A, E | RegistryError, R> =>
  Effect.suspend(() => {
    let first: RegistryError | undefined = error
    const attempts = Effect.suspend(() => {
      if (first === undefined) return self
      const error = first
      first = undefined
      return Effect.fail(error)
    })
    return Effect.flatMap(policy, (policy) => Effect.retry(attempts, ofRegistry<E>(policy))).pipe(
      Effect.provideService(Answer, answer)
    )
  })

const ofRegistry = <E>(policy: Policy) =>
  Schedule.fromStep(
    Effect.map(Schedule.toStep(policy), (step) => (now: number, input: E | RegistryError) =>
      isRegistryError(input) ? step(now, input) : Cause.done(undefined))
  )

/**
 * What `Retry-After` says: seconds, or a date that is compared with the reply's own `Date` where it has one, so that a
 * clock that is wrong here does not matter (RFC 9110, section 10.2.3).
 *
 * @category decoding
 * @since 1.0.0
 */
export const parseRetryAfter = (
  header: string | undefined,
  date: string | undefined
): Effect.Effect<Duration.Duration | undefined> => {
  if (header === undefined) return Effect.undefined
  // No date is longer, and no number that means anything.
  if (header.length > 64) return Effect.undefined
  const text = header.trim()
  if (/^\d{1,12}$/.test(text)) return Effect.succeed(Duration.seconds(Number(text)))
  const at = Date.parse(text)
  // `Date.parse` reads much that is no date; an HTTP date always has letters.
  if (Number.isNaN(at) || !/[A-Za-z]/.test(text)) return Effect.undefined
  return Effect.map(Clock.currentTimeMillis, (here) => {
    const there = date === undefined || date.length > 64 ? Number.NaN : Date.parse(date)
    return Duration.millis(Math.max(0, at - (Number.isNaN(there) ? here : there)))
  })
}
