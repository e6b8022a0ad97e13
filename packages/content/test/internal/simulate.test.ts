import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Copy from "../../src/Copy.ts"
import * as MemoryStore from "../../src/MemoryStore.ts"
import type { Target } from "../../src/Store.ts"
import * as WriteGraph from "../../src/WriteGraph.ts"
import { shared, strict, v1 } from "../graphs.ts"

describe("simulate", () => {
  /** A target a round trip away, that does one thing after the other as the simulation does. */
  const distant = (millis: number) => {
    const { order, target } = strict()
    const trips = (count: number) => Effect.sleep(millis * count)
    return {
      order,
      target: {
        ...target,
        push: (descriptor, body) =>
          Effect.andThen(trips(MediaType.isDocument(descriptor.mediaType) ? 1 : 2), target.push(descriptor, body)),
        tag: (descriptor, tag) => Effect.andThen(trips(1), target.tag(descriptor, tag))
      } satisfies Target as Target
    }
  }

  for (const concurrency of [1, 2, 16]) {
    it.effect(`takes the time and the order that a run takes, ${concurrency} at once`, () =>
      Effect.gen(function*() {
        const { root, store } = yield* shared
        const { order, target } = distant(50)
        const plan = yield* WriteGraph.plan(WriteGraph.to(target, Copy.roots(store, root, { tags: [v1] })))
        const link = { latency: "50 millis", bandwidth: Infinity, concurrency } as const
        const imagined = WriteGraph.simulate(plan, link)
        assert.deepStrictEqual(imagined, WriteGraph.simulate(plan, link))
        const before = yield* Clock.currentTimeMillis
        const fiber = yield* Effect.forkChild(
          Effect.andThen(WriteGraph.run(plan, { concurrency }), Clock.currentTimeMillis)
        )
        yield* TestClock.adjust("1 hour")
        const took = (yield* Fiber.join(fiber)) - before
        assert.strictEqual(took, Duration.toMillis(imagined.duration))
        assert.deepStrictEqual(
          order,
          imagined.order.map(({ node }) => node.kind === "tag" ? node.label : node.id)
        )
        assert.strictEqual(imagined.requests, 3 * 2 + 3 + 1)
      }))
  }

  it.effect("shares the link among those who send", () =>
    Effect.gen(function*() {
      const store = MemoryStore.make("source")
      const layers = yield* Effect.forEach(
        [1000, 3000],
        (size) => store.add(MediaType.ociLayer, new Uint8Array(size))
      )
      const roots = layers.flatMap((layer) => WriteGraph.to(strict().target, Copy.roots(store, layer)))
      const plan = yield* WriteGraph.plan(roots)
      const { bytes, duration, order } = WriteGraph.simulate(plan, { latency: 0, bandwidth: 1000 })
      assert.strictEqual(bytes, 4000)
      // Half of the link each for two seconds, then all of it for the other.
      assert.deepStrictEqual(order.map(({ end }) => Math.round(end)), [2000, 4000])
      assert.strictEqual(Math.round(Duration.toMillis(duration)), 4000)
    }))
})
