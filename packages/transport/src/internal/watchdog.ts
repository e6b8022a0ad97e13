/**
 * Gives up what nothing moves in. One timer serves all that wait by the same clock: one for each would cost as much as a small
 * request does in all.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

interface Watched {
  /** When it is given up, in milliseconds of the clock: later, the later something has moved. */
  readonly deadline: (now: number) => number
  readonly giveUp: () => void
}

const make = (clock: Clock.Clock) => {
  const all = new Set<Watched>()
  let ticking: { readonly fiber: Fiber.Fiber<void>; readonly until: number } | undefined

  const stop = (): void => {
    ticking?.fiber.interruptUnsafe()
    ticking = undefined
  }
  const tick = (now: number, until: number): void => {
    const fiber = Effect.runForkWith(Context.make(Clock.Clock, clock))(Effect.flatMap(
      Effect.sleep(until - now),
      () =>
        Effect.sync(() => {
          ticking = undefined
          check()
        })
    ))
    ticking = { fiber, until }
  }
  const check = (): void => {
    const now = clock.currentTimeMillisUnsafe()
    let next = Number.POSITIVE_INFINITY
    for (const watched of all) {
      const deadline = watched.deadline(now)
      if (deadline > now) next = Math.min(next, deadline)
      else if (all.delete(watched)) watched.giveUp()
    }
    if (all.size > 0 && ticking === undefined) tick(now, next)
  }

  return (watched: Watched): () => void => {
    const now = clock.currentTimeMillisUnsafe()
    const deadline = watched.deadline(now)
    all.add(watched)
    if (ticking === undefined || deadline < ticking.until) {
      stop()
      tick(now, deadline)
    }
    return () => {
      all.delete(watched)
      if (all.size === 0) stop()
    }
  }
}

const dogs = new WeakMap<Clock.Clock, ReturnType<typeof make>>()

/** Runs an effect until its deadline has come without having been put off, and fails then. */
export const guard = <A, E, R, E2>(
  self: Effect.Effect<A, E, R>,
  clock: Clock.Clock,
  deadline: (now: number) => number,
  failure: () => E2
): Effect.Effect<A, E | E2, R> =>
  Effect.flatMap(Effect.forkChild(self, { startImmediately: true }), (fiber) => {
    const exit = fiber.pollUnsafe()
    // Most that is small is there already.
    if (exit !== undefined) return exit
    return Effect.callback<A, E | E2>((resume) => {
      let watch = dogs.get(clock)
      if (watch === undefined) dogs.set(clock, watch = make(clock))
      const giveUp = () => resume(Effect.andThen(Fiber.interrupt(fiber), Effect.suspend(() => Effect.fail(failure()))))
      const leave = watch({ deadline, giveUp })
      fiber.addObserver((exit) => {
        leave()
        resume(exit)
      })
      return Effect.suspend(() => {
        leave()
        return Fiber.interrupt(fiber)
      })
    })
  })
