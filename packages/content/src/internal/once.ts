/**
 * What is read for several, and let go of.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"

/**
 * Runs an effect for the first who asks. Those who come meanwhile wait for it and share what it comes to, or do it in the place of
 * one that was interrupted; a failure is not kept for those who come later.
 */
export const make = <A, E>(self: Effect.Effect<A, E>) => {
  let result: Option.Option<A> = Option.none()
  let running: Deferred.Deferred<Exit.Exit<A, E>> | undefined
  const run: Effect.Effect<A, E> = Effect.uninterruptibleMask((restore) => {
    if (Option.isSome(result)) return Effect.succeed(result.value)
    if (running !== undefined) {
      return restore(
        Effect.flatMap(Deferred.await(running), (exit) => Exit.hasInterrupts(exit) ? run : exit)
      )
    }
    const ended = running = Deferred.makeUnsafe()
    return Effect.onExit(restore(self), (exit) => {
      running = undefined
      if (Exit.isSuccess(exit)) result = Option.some(exit.value)
      return Deferred.succeed(ended, exit)
    })
  })
  return {
    get: (): Effect.Effect<A, E> => Option.isSome(result) ? Effect.succeed(result.value) : run,
    forget: () => {
      result = Option.none()
    }
  }
}
