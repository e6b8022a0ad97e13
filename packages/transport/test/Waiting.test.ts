import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { RateLimited, type Reason, RegistryError, SessionLost, Unavailable, Unreachable } from "../src/RegistryError.ts"
import * as RetryPolicy from "../src/RetryPolicy.ts"
import * as Waiting from "../src/Waiting.ts"

const url = "https://localhost:5000/v2/app/blobs/sha256:0?sig=…"
const failed = (reason: Reason) => new RegistryError({ method: "GET", url, reason })
const unreachable = (code: string | undefined, detail = "d") => new Unreachable({ detail, code, transient: true })
const said = { diagnostics: [], retryAfter: undefined }

const wait = (reason: Reason, millis = 2000, attempt = 2, retries?: number): RetryPolicy.Wait => ({
  error: failed(reason),
  duration: Duration.millis(millis),
  attempt,
  retries
})

describe("Waiting", () => {
  it.each<readonly [Reason, string]>([
    [unreachable("ECONNREFUSED"), "connection refused by localhost:5000"],
    [unreachable("ECONNRESET"), "connection reset by localhost:5000"],
    [unreachable("EAI_AGAIN"), "no address is known for localhost:5000"],
    [unreachable("ETIMEDOUT", "nothing moved for 30s"), "localhost:5000: nothing moved for 30s"],
    [new Unavailable({ ...said, status: 503 }), "localhost:5000 answers 503"],
    [new Unavailable({ ...said, status: 503, retryAfter: Duration.seconds(9) }), "localhost:5000 asks for it"],
    [new RateLimited({ ...said, status: 429, retryAfter: Duration.seconds(9) }), "localhost:5000 asks for it"],
    [new RateLimited({ ...said, status: 429 }), "localhost:5000 is asked too much"],
    [new SessionLost({ diagnostics: [], status: 404 }), "localhost:5000 has lost the upload"]
  ])("says why: %s", (reason, why) => {
    assert.strictEqual(Waiting.format(wait(reason, 2000, 2, 8)), `waiting 2 s: ${why} (try 3 of 9)`)
  })

  it.each([[3, "0.1 s"], [250, "0.3 s"], [999, "1.0 s"], [1400, "1 s"], [12_000, "12 s"]])(
    "says of %d ms how long that is: %s",
    (millis, text) => {
      assert.include(Waiting.format(wait(unreachable("x"), millis)), `waiting ${text}: `)
    }
  )

  it("says of how many tries where that is known", () => {
    assert.include(Waiting.format(wait(unreachable("x"))), "(try 3)")
    assert.deepStrictEqual(Waiting.toJson(wait(unreachable("ECONNREFUSED"), 250.4, 1, 8)), {
      event: "waiting",
      host: "localhost:5000",
      millis: 250,
      reason: "Unreachable",
      detail: `GET ${url}: d`,
      try: 2,
      tries: 9
    })
    assert.notProperty(Waiting.toJson(wait(unreachable("x"))), "tries")
  })

  const waitsOf = Effect.fnUntraced(function*(policy?: RetryPolicy.Policy) {
    const waits: Array<RetryPolicy.Wait> = []
    const refused = Effect.fail(failed(unreachable("ECONNREFUSED")))
    const tried = Effect.flip(RetryPolicy.retry(refused, () => Effect.void)).pipe(
      Effect.provideService(RetryPolicy.OnWait, (wait) => Effect.sync(() => void waits.push(wait)))
    )
    const fiber = yield* Effect.forkChild(
      policy === undefined ? tried : Effect.provideService(tried, RetryPolicy.RetryPolicy, policy)
    )
    yield* TestClock.adjust("5 minutes")
    yield* Fiber.join(fiber)
    return waits.map(Waiting.format).map((text) => /\(.*\)$/.exec(text)?.[0])
  })

  it.effect("counts as the policy does", () =>
    Effect.gen(function*() {
      const all = [2, 3, 4, 5, 6, 7, 8, 9]
      assert.deepStrictEqual(yield* waitsOf(), all.map((n) => `(try ${n} of 9)`))
      assert.deepStrictEqual(yield* waitsOf(RetryPolicy.transient), all.map((n) => `(try ${n})`))
    }))
})
