import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Lead from "../../src/internal/lead.ts"

const MiB = 1024 * 1024
const piece = (n: number, size = MiB) => new Uint8Array(size).fill(n)

/** What is taken, as it is. */
const take = (lead: Lead.Lead) =>
  Effect.gen(function*() {
    const taken: Array<number> = []
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(lead.bytes, (bytes) => Effect.sync(() => void taken.push(bytes[0]!))),
      { startImmediately: true }
    )
    return { taken, fiber }
  })

describe("lead", () => {
  it.effect("gives what is offered, in order, and ends", () =>
    Effect.gen(function*() {
      const room = { free: 100 * MiB }
      const lead = Lead.make(room)
      assert.isTrue(lead.offer(piece(1)))
      const { fiber, taken } = yield* take(lead)
      for (const n of [2, 3]) {
        while (taken.length < n - 1) yield* Effect.yieldNow
        assert.isTrue(lead.offer(piece(n)))
      }
      while (taken.length < 3) yield* Effect.yieldNow
      lead.close()
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(taken, [1, 2, 3])
      assert.strictEqual(room.free, 100 * MiB)
    }))

  it.effect("holds little for a client that takes nothing, and nothing once all is elsewhere", () =>
    Effect.gen(function*() {
      const room = { free: 100 * MiB }
      const lead = Lead.make(room)
      assert.deepStrictEqual([1, 2, 3, 4, 5, 6].map((n) => lead.offer(piece(n))), [
        true,
        true,
        true,
        true,
        false,
        false
      ])
      assert.strictEqual(room.free, 96 * MiB)
      lead.close()
      assert.strictEqual(room.free, 100 * MiB)
      const { fiber, taken } = yield* take(lead)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(taken, [])
    }))

  it.effect("gives one that is behind what there is, and no more", () =>
    Effect.gen(function*() {
      const lead = Lead.make({ free: 2 * MiB })
      assert.deepStrictEqual([1, 2, 3].map((n) => lead.offer(piece(n))), [true, true, false])
      const { fiber, taken } = yield* take(lead)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(taken, [1, 2])
      assert.isFalse(lead.offer(piece(4, 1)))
    }))

  it.effect("has room for all together, and takes back what a client had that has gone", () =>
    Effect.gen(function*() {
      const room = { free: 3 * MiB }
      const [one, two] = [Lead.make(room), Lead.make(room)]
      assert.isTrue(one.offer(piece(1)))
      const client = yield* Effect.forkChild(Stream.runForEach(one.bytes, () => Effect.never), {
        startImmediately: true
      })
      assert.isTrue(one.offer(piece(2)))
      assert.deepStrictEqual([3, 4].map((n) => two.offer(piece(n))), [true, false])
      yield* Fiber.interrupt(client)
      one.close()
      two.close()
      assert.strictEqual(room.free, 3 * MiB)
    }))
})
