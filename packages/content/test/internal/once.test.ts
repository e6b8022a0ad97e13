import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Once from "../../src/internal/once.ts"

/** Something that is done when told to, with how often it was begun. */
const slow = Effect.map(Deferred.make<string, string>(), (gate) => {
  let runs = 0
  return { gate, runs: () => runs, once: Once.make(Effect.suspend(() => (runs++, Deferred.await(gate)))) }
})

describe("once", () => {
  it.effect("is done once, for those that come meanwhile and those that come later", () =>
    Effect.gen(function*() {
      const { gate, once, runs } = yield* slow
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(once.get(), { startImmediately: true }))
      yield* Deferred.succeed(gate, "a")
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), ["a", "a", "a"])
      assert.isTrue(Exit.isExit(once.get()))
      assert.deepStrictEqual([yield* once.get(), runs()], ["a", 1])
    }))

  it.effect("fails for all that came meanwhile, and is tried anew for who comes later", () =>
    Effect.gen(function*() {
      let runs = 0
      const gate = yield* Deferred.make<void>()
      const once = Once.make(
        Effect.andThen(
          Deferred.await(gate),
          Effect.suspend(() => runs++ === 0 ? Effect.fail("no") : Effect.succeed("b"))
        )
      )
      const fibers = yield* Effect.forEach([1, 2], () => Effect.forkChild(once.get(), { startImmediately: true }))
      yield* Deferred.succeed(gate, undefined)
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(exits, [Exit.fail("no"), Exit.fail("no")])
      assert.deepStrictEqual([yield* once.get(), runs], ["b", 2])
    }))

  it.effect("goes on for others where who began it was interrupted", () =>
    Effect.gen(function*() {
      const { gate, once, runs } = yield* slow
      const [first, second] = yield* Effect.forEach(
        [1, 2],
        () => Effect.forkChild(once.get(), { startImmediately: true })
      )
      yield* Fiber.interrupt(first!)
      yield* Deferred.succeed(gate, "c")
      assert.deepStrictEqual([yield* Fiber.join(second!), runs()], ["c", 2])
    }))

  it.effect("ends the wait of who is interrupted, and is done for the others all the same", () =>
    Effect.gen(function*() {
      const { gate, once, runs } = yield* slow
      const [first, second] = yield* Effect.forEach(
        [1, 2],
        () => Effect.forkChild(once.get(), { startImmediately: true })
      )
      yield* Fiber.interrupt(second!)
      yield* Deferred.succeed(gate, "d")
      assert.deepStrictEqual([yield* Fiber.join(first!), runs()], ["d", 1])
    }))

  it.effect("is done anew once it was let go of", () =>
    Effect.gen(function*() {
      const { gate, once, runs } = yield* slow
      yield* Deferred.succeed(gate, "e")
      yield* once.get()
      once.forget()
      assert.deepStrictEqual([yield* once.get(), runs()], ["e", 2])
    }))
})
