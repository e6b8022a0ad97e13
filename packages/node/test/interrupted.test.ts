import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as Scheduler from "effect/Scheduler"
import * as Stream from "effect/Stream"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as NodeLane from "../src/NodeLane.ts"
import { ok } from "./clients.ts"
import * as Wire from "./wire.ts"

/** Runs an effect up to its nth step, those of its children counted in, and interrupts it there; whether it got so far. */
const interruptedAt = <A, E, R>(self: Effect.Effect<A, E, R>, nth: number) =>
  Effect.gen(function*() {
    let steps = 0
    const scheduler = new Scheduler.MixedScheduler()
    scheduler.shouldYield = () => {
      if (++steps !== nth) return false
      queueMicrotask(() => fiber.interruptUnsafe())
      return true
    }
    const fiber = yield* Effect.forkChild(Effect.provideService(self, Scheduler.Scheduler, scheduler))
    yield* Fiber.await(fiber)
    return steps >= nth
  })

/** Collects what nobody holds any more; what is done then is done a turn later. */
const collected = Effect.sync(() => {
  setFlagsFromString("--expose-gc")
  const collect: unknown = runInNewContext("gc")
  if (typeof collect === "function") collect()
}).pipe(Effect.andThen(Effect.sleep("5 millis")))

it.live.each([["small", 100], ["large", 300_000]] as const)(
  "whoever is interrupted, at whatever step, gives the connection back: a %s body",
  ([, size]) =>
    Effect.scoped(Effect.gen(function*() {
      const wire = yield* Wire.serve((_, socket) => void socket.write(ok("x".repeat(size))))
      const nobody = HttpClient.make(() => Effect.die(new Error("asked")))
      const client = yield* NodeLane.make(nobody, { connections: 1, patience: 1_000_000 })
      const ask = client.get(wire.url).pipe(
        Effect.provideService(ResponseBody.Attended, true),
        Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
        Effect.flatMap((response) =>
          Stream.runFold(ResponseBody.stream(response), () => 0, (sum, chunk) => sum + chunk.length)
        )
      )
      let step = 0
      while (yield* interruptedAt(ask, ++step)) {
        // A reply that was there, and that nobody had begun to read.
        const again = Effect.andThen(collected, ask)
        const got = yield* Effect.timeoutOrElse(ask, { duration: "20 millis", orElse: () => again }).pipe(
          Effect.timeout("5 seconds")
        )
        assert.strictEqual(got, size, `interrupted at step ${step}`)
      }
      assert.isAbove(step, 20)
    })),
  60_000
)
