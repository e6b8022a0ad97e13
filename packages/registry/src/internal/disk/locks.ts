/**
 * What is done by one at a time, for each name: by the fibers of this process, for another one has locks of its own.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

export type Locks = ReturnType<typeof make>

/** A lock is kept only as long as somebody holds it or waits for it. */
export const make = () => {
  const locks = new Map<string, { readonly gate: Semaphore.Semaphore; users: number }>()

  const enter = (name: string) =>
    Effect.sync(() => {
      const lock = locks.get(name) ?? { gate: Semaphore.makeUnsafe(1), users: 0 }
      lock.users++
      locks.set(name, lock)
      return lock
    })

  return {
    /** How many names are locked. */
    size: () => locks.size,

    hold: (name: string) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.acquireUseRelease(
        enter(name),
        ({ gate }) => gate.withPermit(self),
        (lock) =>
          Effect.sync(() => {
            if (--lock.users === 0) locks.delete(name)
          })
      )
  }
}
