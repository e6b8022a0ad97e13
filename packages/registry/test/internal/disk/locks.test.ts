import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Locks from "../../../src/internal/disk/locks.ts"

describe("locks", () => {
  it.effect("let in one at a time, for each name, and are forgotten when nobody is left", () =>
    Effect.gen(function*() {
      const locks = Locks.make()
      const latch = yield* Latch.make(false)
      const order: Array<string> = []
      const enter = (name: string, what: string, wait: Effect.Effect<unknown> = Effect.void) =>
        Effect.forkChild(
          locks.hold(name)(Effect.andThen(Effect.sync(() => order.push(what)), wait)),
          { startImmediately: true }
        )
      const first = yield* enter("a", "first", latch.await)
      const second = yield* enter("a", "second")
      const third = yield* enter("a", "third")
      yield* Fiber.join(yield* enter("b", "other"))
      assert.deepStrictEqual([order, locks.size()], [["first", "other"], 1])
      yield* Fiber.interrupt(second)
      yield* latch.open
      yield* Fiber.join(first)
      yield* Fiber.join(third)
      assert.deepStrictEqual([order, locks.size()], [["first", "other", "third"], 0])
    }))

  it.effect("are free again after who fails", () =>
    Effect.gen(function*() {
      const locks = Locks.make()
      assert.strictEqual(yield* Effect.flip(locks.hold("a")(Effect.fail("mine"))), "mine")
      assert.strictEqual(yield* locks.hold("a")(Effect.succeed(1)), 1)
      assert.strictEqual(locks.size(), 0)
    }))
})
