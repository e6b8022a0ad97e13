/**
 * One budget for an operation of several requests: the requests answer challenges only, the operation is retried.
 */
import { RegistryError, type Unauthorized } from "@effect-oci/transport/RegistryError"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import * as Effect from "effect/Effect"

/** A request inside an operation that is itself retried. */
export const once = Effect.provideService(RetryPolicy.RetryPolicy, RetryPolicy.challenge)

/** Its requests have answered what could be answered. */
export const noAnswer = (unauthorized: Unauthorized): Effect.Effect<never, RegistryError> =>
  Effect.fail(new RegistryError({ method: "GET", url: "", reason: unauthorized }))

/** Retries a whole operation by the policy of the program. */
export const operation = <A, E, R>(
  self: Effect.Effect<A, E | RegistryError, R>,
  isRegistryError: (error: E | RegistryError) => error is RegistryError
): Effect.Effect<A, E | RegistryError, R> =>
  Effect.flatMap(RetryPolicy.RetryPolicy, (policy) =>
    Effect.suspend(() => {
      let first: RegistryError | undefined
      return self.pipe(
        // What did not come from the registry must not be retried by its policy, so it leaves as a success.
        Effect.catch((error) =>
          isRegistryError(error) ? Effect.fail(first = error) : Effect.succeed(new Foreign(error))
        ),
        Effect.retry(policy),
        Effect.provideService(RetryPolicy.Answer, () => Effect.suspend(() => Effect.fail(first!))),
        Effect.filterOrFail(isOwn<A>, (result) => (result as Foreign).error as E)
      )
    }))

class Foreign {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

const isOwn = <A>(result: A | Foreign): result is A => !(result instanceof Foreign)
