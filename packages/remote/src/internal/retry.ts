/**
 * One budget for an operation of several requests: the requests answer challenges only, the operation is retried.
 */
import { isRegistryError, type RegistryError, type Unauthorized } from "@effect-oci/transport/RegistryError"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** A request inside an operation that is itself retried. */
export const once = Effect.provideService(RetryPolicy.RetryPolicy, RetryPolicy.challenge)

/** Such a request whose body cannot be sent again as it is: a challenge is answered, and the operation goes on. */
export const body = Effect.provideService(RetryPolicy.RetryPolicy, RetryPolicy.answerOnly)

/** For what is retried and has no challenges that its requests have not answered. */
export const answered = (_: Unauthorized): Effect.Effect<void> => Effect.void

/** What counts as progress, in bytes: fewer may be what a broken link always lets through. */
const step = 64 * 1024

/**
 * The policy of the program, beginning anew as a transfer comes further, and only then: a stream that is retried would
 * begin it anew with every element, and so never end with a registry that sends one byte each time.
 */
export const policy = (received: () => number): Effect.Effect<RetryPolicy.Policy> =>
  RetryPolicy.current.pipe(
    Effect.flatMap((policy) => Schedule.toStep(RetryPolicy.refilled(policy, () => Math.floor(received() / step)))),
    Effect.map((made): RetryPolicy.Policy => Schedule.fromStep(Effect.succeed(made))),
    Effect.provideService(RetryPolicy.Answer, answered)
  )

/** Retries a whole operation by the policy of the program. What did not come from the registry is not retried. */
export const operation = <A, E, R>(
  self: Effect.Effect<A, E | RegistryError, R>,
  /** How many bytes it has got across. */
  received: () => number = () => 0
): Effect.Effect<A, E | RegistryError, R> =>
  Effect.flatMap(policy(received), (policy) =>
    self.pipe(
      Effect.retry(ofRegistry<E>(policy)),
      Effect.provideService(RetryPolicy.Answer, answered)
    ))

const ofRegistry = <E>(policy: RetryPolicy.Policy) =>
  Schedule.fromStep(
    Effect.map(Schedule.toStep(policy), (step) => (now: number, input: E | RegistryError) =>
      isRegistryError(input) ? step(now, input) : Cause.done(undefined))
  )
