import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"

/** Runs to the end, letting time pass in steps; dies where it does not come to one. */
export const settled = Effect.fnUntraced(
  function*<A, E>(self: Effect.Effect<A, E>, step: Duration.Input = "10 seconds") {
    const fiber = yield* Effect.forkChild(self)
    for (let i = 0; i < 300 && fiber.pollUnsafe() === undefined; i++) {
      for (let n = 0; n < 30; n++) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust(step)
    }
    return yield* (fiber.pollUnsafe() ?? Effect.die("hangs"))
  }
)
