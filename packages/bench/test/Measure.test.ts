import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Measure from "../src/Measure.ts"

const node = (script: string) => Measure.program([process.execPath, "-e", script])

describe("Measure", () => {
  it.live(
    "tells a program that works from one that waits, and one that holds much from one that does not",
    () =>
      Effect.gen(function*() {
        const waits = yield* node("setTimeout(() => {}, 300)")
        const works = yield* node("const start = process.cpuUsage(); while (process.cpuUsage(start).user < 300_000);")
        const holds = yield* node("globalThis.kept = Buffer.alloc(200e6, 1); setTimeout(() => {}, 300)")
        assert.isAtLeast(waits.wall, 0.3)
        assert.isAtLeast(works.cpu, 0.3)
        assert.isBelow(waits.cpu, works.cpu)
        assert.isAbove(holds.memory, waits.memory + 150)
      }),
    30_000
  )

  it.live("says what a program complained of that failed", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(node("console.error('no way'); process.exit(3)"))
      assert.strictEqual(error.message, "node: exit code 3: no way")
    }), 30_000)
})
