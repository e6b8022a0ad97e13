import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import * as Stream from "effect/Stream"
import * as Tee from "../../src/internal/tee.ts"

/** Lets another fiber run now and then, wherever one is, the same way each time. */
class Interleaving extends Scheduler.MixedScheduler {
  #state: number
  constructor(seed: number) {
    super()
    this.#state = seed
  }
  override shouldYield() {
    this.#state = (this.#state * 1_103_515_245 + 12_345) & 0x7fffffff
    return (this.#state >>> 16) % 100 < 30
  }
}

describe("tee", () => {
  it.live("misses no change, whenever fibers take turns", () =>
    Effect.gen(function*() {
      const chunks = Array.from({ length: 20 }, (_, n) => Uint8Array.of(n))
      const others = { arrive: () => {}, areExpected: () => false, held: { bytes: 0 } }
      for (let seed = 0; seed < 400; seed++) {
        const body = (offset: number) =>
          Stream.fromIterable(chunks.slice(offset)).pipe(Stream.rechunk(1), Stream.tap(() => Effect.yieldNow))
        const tee = Tee.make(body, chunks.length)
        const all = yield* Effect.replicateEffect(Stream.mkUint8Array(tee.body(others)(0)), 3, {
          concurrency: "unbounded"
        }).pipe(
          Effect.provideService(Scheduler.Scheduler, new Interleaving(seed)),
          Effect.timeoutOrElse({
            duration: "1 second",
            orElse: () => Effect.die(new Error(`seed ${seed}: it hangs`))
          })
        )
        for (const bytes of all) assert.deepStrictEqual([...bytes], chunks.map(([byte]) => byte))
      }
    }))
})
