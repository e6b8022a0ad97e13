import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Watchdog from "../../src/internal/watchdog.ts"

/** Something that never moves on its own, given up after so many seconds since it last moved; tells when that was. */
const stuck = Effect.fnUntraced(function*(seconds: number, self: Effect.Effect<string> = Effect.never) {
  const clock = yield* Clock.Clock
  const begin = clock.currentTimeMillisUnsafe()
  const moved = { at: begin }
  const fiber = yield* Effect.forkChild(
    Effect.match(
      Watchdog.guard(self, clock, () => moved.at + seconds * 1000, () => "given up" as const),
      {
        onFailure: (failure) => `${failure} after ${(clock.currentTimeMillisUnsafe() - begin) / 1000} s`,
        onSuccess: (value) => value
      }
    ),
    { startImmediately: true }
  )
  return { fiber, move: Effect.map(Clock.currentTimeMillis, (now) => void (moved.at = now)) }
})

describe("watchdog", () => {
  it.effect("gives each up at its own time, whichever began first", () =>
    Effect.gen(function*() {
      const slow = yield* stuck(30)
      yield* TestClock.adjust("5 seconds")
      const quick = yield* stuck(1)
      const middle = yield* stuck(10)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(quick.fiber), "given up after 1 s")
      assert.isUndefined(middle.fiber.pollUnsafe())
      yield* TestClock.adjust("24 seconds")
      assert.strictEqual(yield* Fiber.join(middle.fiber), "given up after 10 s")
      assert.strictEqual(yield* Fiber.join(slow.fiber), "given up after 30 s")
    }))

  it.effect("waits on for what has moved", () =>
    Effect.gen(function*() {
      const { fiber, move } = yield* stuck(30)
      for (let i = 0; i < 5; i++) {
        yield* TestClock.adjust("29 seconds")
        yield* move
      }
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "given up after 175 s")
    }))

  it.effect("leaves what ends by itself, at once or later, and watches what comes after it", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Fiber.join((yield* stuck(1, Effect.succeed("at once"))).fiber), "at once")
      const later = yield* stuck(30, Effect.delay(Effect.succeed("later"), "10 seconds"))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Fiber.join(later.fiber), "later")
      const { fiber } = yield* stuck(30)
      yield* TestClock.adjust("29 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "given up after 30 s")
    }))

  it.effect("interrupts what it gives up, and is interrupted with what it watches", () =>
    Effect.gen(function*() {
      let interrupted = 0
      const self = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
      const given = yield* stuck(1, self)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(given.fiber), "given up after 1 s")
      assert.strictEqual(interrupted, 1)
      const { fiber } = yield* stuck(1, self)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(interrupted, 2)
    }))
})
