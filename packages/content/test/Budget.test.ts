import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Budget from "../src/Budget.ts"

/** Counts who is at work, and how many were at most. */
const meter = () => {
  const state = { now: 0, most: 0 }
  const work = Effect.acquireUseRelease(
    Effect.sync(() => state.most = Math.max(state.most, ++state.now)),
    () => Effect.sleep("1 second"),
    () => Effect.sync(() => state.now--)
  )
  return { state, work }
}

const wait = (origin: string, seconds: number, isRateLimited = false): Budget.Wait => ({
  origin,
  duration: Duration.seconds(seconds),
  isRateLimited,
  detail: "as told"
})

const seconds = Effect.map(Effect.clockWith((clock) => clock.currentTimeMillis), (millis) => millis / 1000)

/** How long something takes, and what it gives, with all the time in the world. */
const timed = Effect.fnUntraced(function*<A, E, R>(self: Effect.Effect<A, E, R>) {
  const before = yield* seconds
  const fiber = yield* Effect.forkChild(
    Effect.flatMap(self, (value) => Effect.map(seconds, (at) => [value, at] as const))
  )
  yield* TestClock.adjust("1 hour")
  const [value, at] = yield* Fiber.join(fiber)
  return { value, took: at - before }
})

const all = <E, R>(count: number, self: Effect.Effect<unknown, E, R>) =>
  Effect.forEach(Array.from({ length: count }), () => self, { concurrency: "unbounded", discard: true })

describe("Budget", () => {
  describe("within", () => {
    it.effect("lets so many work at once, over all origins", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 3 })
        const { state, work } = meter()
        const { took } = yield* timed(Effect.all([
          all(6, budget.within(["a"])(work)),
          all(6, budget.within(["b"])(work))
        ], { concurrency: "unbounded" }))
        assert.strictEqual(state.most, 3)
        assert.strictEqual(took, 4)
      }))

    it.effect("ends what was begun before it begins more", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 1 })
        const said: Array<string> = []
        const step = (name: string, origin: string, turn: Budget.Turn) =>
          budget.within([origin], { turn })(
            Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => said.push(name)))
          )
        const both = (name: string) => {
          const turn: Budget.Turn = { ticket: undefined }
          return Effect.andThen(step(`${name} asks`, "a", turn), step(`${name} writes`, "b", turn))
        }
        yield* timed(Effect.forEach(["first", "second", "third"], both, { concurrency: "unbounded" }))
        // By the time that one has asked, the next has been let in already.
        assert.deepStrictEqual(said, [
          "first asks",
          "second asks",
          "first writes",
          "second writes",
          "third asks",
          "third writes"
        ])
      }))

    it.effect("lets fewer of those work that move much, and small ones beside them", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 8, transfers: 2 })
        const large = meter()
        const small = meter()
        const { took } = yield* timed(Effect.all([
          all(6, budget.within(["a"], { isBulk: true })(large.work)),
          all(12, budget.within(["a"])(small.work))
        ], { concurrency: "unbounded" }))
        assert.deepStrictEqual([large.state.most, small.state.most], [2, 6])
        assert.strictEqual(took, 3)
      }))

    it.effect("lets others that move much go on while one waits", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ transfers: 1 })
        const { took } = yield* timed(Effect.all([
          budget.within(["a"], { isBulk: true })(
            Effect.andThen(Budget.waiting(wait("a", 10)), Effect.sleep("10 seconds"))
          ),
          budget.within(["b"], { isBulk: true })(Effect.sleep("4 seconds"))
        ], { concurrency: "unbounded" }))
        assert.strictEqual(took, 10)
      }))

    it.effect("lets so many work at once at one origin, and others go on elsewhere", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 8, perOrigin: 2 })
        const a = meter()
        const b = meter()
        const { took } = yield* timed(Effect.all([
          all(6, budget.within(["a"])(a.work)),
          all(4, budget.within(["b"])(b.work)),
          all(2, budget.within(["b", "a"])(a.work))
        ], { concurrency: "unbounded" }))
        assert.strictEqual(a.state.most, 2)
        assert.strictEqual(b.state.most, 2)
        assert.strictEqual(took, 4)
      }))

    it.effect("is taken in the order of asking", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 1 })
        const order: Array<number> = []
        yield* timed(Effect.forEach([0, 1, 2, 3, 4], (i) =>
          budget.within([i % 2 === 0 ? "a" : "b"])(
            Effect.andThen(Effect.sync(() => order.push(i)), Effect.sleep("1 second"))
          ), { concurrency: "unbounded" }))
        assert.deepStrictEqual(order, [0, 1, 2, 3, 4])
      }))

    it.effect("counts a group once in all, and lets it follow as far as its origins bear it", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 1, perOrigin: 2 })
        const { state, work } = meter()
        const group = {}
        const other = meter()
        const { took } = yield* timed(Effect.all([
          Effect.forEach(["a", "b", "c", "c", "c"], (origin) => budget.within([origin], { group })(work), {
            concurrency: "unbounded"
          }),
          budget.within(["a"])(other.work)
        ], { concurrency: "unbounded" }))
        // One each at a and b, and two at c; the third follows while another of the group is at work, or when it comes first.
        assert.strictEqual(state.most, 4)
        assert.isAtMost(took, 3)
      }))

    it.effect("counts a group once among what moves much", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ transfers: 1 })
        const { state, work } = meter()
        const group = {}
        const { took } = yield* timed(
          Effect.forEach(["a", "b", "c"], (origin) => budget.within([origin], { group, isBulk: true })(work), {
            concurrency: "unbounded"
          })
        )
        assert.deepStrictEqual([state.most, took], [3, 1])
      }))

    it.effect("counts what moves much though others of its group only ask", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ transfers: 1 })
        const { state, work } = meter()
        const [one, other] = [{}, {}]
        yield* timed(Effect.all([
          budget.within(["a"], { group: one })(Effect.sleep("1 second")),
          budget.within(["a"], { group: other })(Effect.sleep("1 second")),
          budget.within(["b"], { group: one, isBulk: true })(work),
          budget.within(["b"], { group: other, isBulk: true })(work),
          budget.within(["c"], { isBulk: true })(work)
        ], { concurrency: "unbounded" }))
        assert.strictEqual(state.most, 1)
      }))

    it.effect("lets those that only ask follow one of their group that moves much", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 1 })
        const group = {}
        const write = budget.within(["a"], { group, isBulk: true })(Effect.sleep("2 seconds"))
        const ask = budget.within(["b"], { group })(Effect.sleep("3 seconds"))
        const last = budget.within(["c"], { isBulk: true })(Effect.sleep("1 second"))
        const { took } = yield* timed(Effect.all([write, ask, last], { concurrency: "unbounded" }))
        assert.strictEqual(took, 4)
      }))

    it.effect("counts a group as long as one of it is at work", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 1 })
        const group = {}
        const at: Array<string> = []
        const note = (what: string) => Effect.sync(() => at.push(what))
        const first = budget.within(["a"], { group })(Effect.sleep("1 second"))
        const second = budget.within(["b"], { group })(
          Effect.andThen(Effect.sleep("2 seconds"), note("the group ends"))
        )
        const other = budget.within(["c"])(note("another begins"))
        yield* timed(Effect.all([first, second, other], { concurrency: "unbounded" }))
        assert.deepStrictEqual(at, ["the group ends", "another begins"])
      }))

    it.effect("ends thousands that wait, none of them inside of another", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 2 })
        let done = 0
        const waiting = all(20_000, budget.within(["a"])(Effect.sync(() => done++)))
        yield* timed(Effect.all([all(2, budget.within(["a"])(Effect.sleep("1 second"))), waiting], {
          concurrency: "unbounded"
        }))
        assert.strictEqual(done, 20_000)
      }))

    it.effect("is given back by who fails or is interrupted, at work or waiting", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 1 })
        yield* Effect.exit(budget.within(["a"])(Effect.fail("no")))
        const working = yield* Effect.forkChild(budget.within(["a"])(Effect.never), { startImmediately: true })
        const waiting = yield* Effect.forkChild(budget.within(["a"])(Effect.never), { startImmediately: true })
        yield* Fiber.interrupt(waiting)
        yield* Fiber.interrupt(working)
        const { took } = yield* timed(budget.within(["a"])(Effect.sleep("1 second")))
        assert.strictEqual(took, 1)
      }))
  })

  describe("waiting", () => {
    it.effect("lends the slot meanwhile, and tells of the wait", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 1 })
        const told: Array<string> = []
        const retried = budget.within(["a"], { told: ({ detail, origin }) => told.push(`${origin}: ${detail}`) })(
          Effect.andThen(Budget.waiting(wait("a", 10)), Effect.sleep("10 seconds"))
        )
        const { took } = yield* timed(Effect.all([retried, all(9, budget.within(["a"])(Effect.sleep("1 second")))], {
          concurrency: "unbounded"
        }))
        assert.strictEqual(took, 10)
        assert.deepStrictEqual(told, ["a: as told"])
      }))

    it.effect("counts again once its wait is over", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 1 })
        const { state, work } = meter()
        const retried = budget.within(["a"])(
          Effect.andThen(
            Effect.andThen(Budget.waiting(wait("a", 2)), Effect.sleep("2 seconds")),
            all(5, Effect.sleep("5 seconds"))
          )
        )
        // Two seconds for two of them; then whoever waited works for five, and the rest comes after.
        const { took } = yield* timed(Effect.all([retried, all(4, budget.within(["a"])(work))], {
          concurrency: "unbounded"
        }))
        assert.strictEqual(state.most, 1)
        assert.isAtLeast(took, 8)
      }))

    it.effect("halves the share of an origin that asks for less, down to one, and gives one back for each success", () =>
      Effect.gen(function*() {
        const budget = Budget.make({ concurrency: 16 })
        const limits: Array<number> = []
        const limited = Effect.exit(
          budget.within(["a", "b"])(Effect.andThen(Budget.waiting(wait("a", 0, true)), Effect.fail("429")))
        )
        for (let i = 0; i < 6; i++) {
          yield* limited
          limits.push(budget.limit("a"))
        }
        assert.deepStrictEqual(limits, [8, 4, 2, 1, 1, 1])
        assert.strictEqual(budget.limit("b"), 16)
        for (let i = 0; i < 20; i++) {
          yield* budget.within(["a"])(Effect.void)
          limits.push(budget.limit("a"))
        }
        assert.deepStrictEqual(limits.slice(6, 9), [2, 3, 4])
        assert.strictEqual(limits.at(-1), 16)
      }))

    it.effect("is nothing outside of a budget", () => Budget.waiting(wait("a", 1, true)))
  })
})
