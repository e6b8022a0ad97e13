/**
 * What is read for several, and let go of.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"

/** Runs an effect for the first who asks; those who come meanwhile wait for it, and a failure is not kept. */
export const make = <A, E>(self: Effect.Effect<A, E>) => {
  const turn = Semaphore.makeUnsafe(1)
  let result: Option.Option<A> = Option.none()
  const first = turn.withPermit(Effect.suspend(() =>
    Option.isSome(result)
      ? Effect.succeed(result.value)
      : Effect.tap(self, (value) => Effect.sync(() => result = Option.some(value)))
  ))
  return {
    get: (): Effect.Effect<A, E> => Option.isSome(result) ? Effect.succeed(result.value) : first,
    forget: () => {
      result = Option.none()
    }
  }
}
