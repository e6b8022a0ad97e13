import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { remembered } from "../../src/internal/answers.ts"

/** Answers by hashes that take 100 ms each, and what was asked for when. */
const slow = Effect.gen(function*() {
  const asked: Array<string> = []
  let running = 0
  let most = 0
  const check = yield* remembered((name, password) =>
    Effect.gen(function*() {
      most = Math.max(most, ++running)
      asked.push(password)
      yield* Effect.sleep("100 millis")
      running--
      return name === password
    })
  )
  const fork = (name: string, password: string) => Effect.forkChild(check(name, password), { startImmediately: true })
  return { asked, check, fork, most: () => most }
})

describe("answers", () => {
  it.effect("have one hash made at a time, also when those go away who wait for them", () =>
    Effect.gen(function*() {
      const { asked, fork, most } = yield* slow
      const gone = yield* fork("ann", "1")
      const waiting = yield* fork("ann", "2")
      const right = yield* fork("ann", "ann")
      const interrupting = yield* Effect.forkChild(Effect.andThen(Fiber.interrupt(gone), Fiber.interrupt(waiting)), {
        startImmediately: true
      })
      yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(asked, ["1"])
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(interrupting)
      assert.isTrue(yield* Fiber.join(right))
      assert.strictEqual(most(), 1)
    }))

  it.effect("leave as much time for all else as each took", () =>
    Effect.gen(function*() {
      const { asked, fork } = yield* slow
      const one = yield* fork("ann", "1")
      const two = yield* fork("ann", "2")
      yield* TestClock.adjust("100 millis")
      assert.isFalse(yield* Fiber.join(one))
      yield* TestClock.adjust("99 millis")
      assert.deepStrictEqual(asked, ["1"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(asked, ["1", "2"])
      yield* TestClock.adjust("100 millis")
      assert.isFalse(yield* Fiber.join(two))
    }))

  it.effect("that are right are remembered, however many are wrong", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const check = yield* remembered((name, password) => {
        asked.push(password)
        return Effect.succeed(name === password)
      })
      assert.isTrue(yield* check("ann", "ann"))
      for (let i = 0; i < 2000; i++) assert.isFalse(yield* check("ann", `${i}`))
      assert.isTrue(yield* check("ann", "ann"))
      assert.strictEqual(asked.filter((password) => password === "ann").length, 1)
      assert.isFalse(yield* check("ann", "1999"))
      assert.strictEqual(asked.length, 2001)
      yield* TestClock.adjust("10 seconds")
      yield* check("ann", "1999")
      assert.strictEqual(asked.length, 2002)
      yield* TestClock.adjust("5 minutes")
      yield* check("ann", "ann")
      assert.strictEqual(asked.length, 2003)
    }))
})
