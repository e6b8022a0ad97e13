/**
 * One budget for an operation of several requests: the requests answer challenges only, the operation is retried.
 */
import type { RegistryError, Unauthorized } from "@effect-oci/transport/RegistryError"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
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
export const policy = (received: () => number): RetryPolicy.Policy => {
  let made: Effect.Effect<Step> | undefined
  const make = Effect.flatMap(
    RetryPolicy.current,
    (policy) => Schedule.toStep(RetryPolicy.refilled(policy, () => Math.floor(received() / step)))
  )
  return Schedule.fromStep(
    Effect.succeed((now: number, input: RegistryError) =>
      Effect.flatMap(
        made ?? Effect.tap(make, (step) => Effect.sync(() => made = Effect.succeed(step))),
        (step) => step(now, input)
      )
    )
  )
}

type Step = Effect.Success<
  ReturnType<typeof Schedule.toStep<unknown, RegistryError, RegistryError, RetryPolicy.Answer>>
>

/** Retries a whole operation by the policy of the program. What did not come from the registry is not retried. */
export const operation = <A, E, R>(
  self: Effect.Effect<A, E | RegistryError, R>,
  /** How many bytes it has got across. */
  received: () => number = () => 0
): Effect.Effect<A, E | RegistryError, R> => RetryPolicy.retry(self, answered, Effect.sync(() => policy(received)))
