import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import {
  NotFound,
  RateLimited,
  type Reason,
  RegistryError,
  Unauthorized,
  Unavailable,
  Unreachable
} from "../src/RegistryError.ts"
import * as RetryPolicy from "../src/RetryPolicy.ts"

const about = { diagnostics: [] }
const unauthorized = new Unauthorized({ status: 401, ...about, challenges: [], identified: false })
const limited = (seconds?: number) =>
  new RateLimited({ status: 429, ...about, retryAfter: seconds === undefined ? undefined : Duration.seconds(seconds) })
const unavailable = new Unavailable({ status: 503, ...about, retryAfter: undefined })
const cut = new Unreachable({ detail: "read ECONNRESET", code: "ECONNRESET", transient: true })
const distrusted = new Unreachable({ detail: "self-signed certificate", code: "CERT", transient: false })

/** Fails with the reasons one after the other, then succeeds; gives the times of the attempts, in milliseconds. */
const attempts = Effect.fnUntraced(function*(
  reasons: ReadonlyArray<Reason>,
  policy: RetryPolicy.Policy = RetryPolicy.standard
) {
  const start = yield* Clock.currentTimeMillis
  const at: Array<number> = []
  let answers = 0
  const request = Effect.gen(function*() {
    at.push((yield* Clock.currentTimeMillis) - start)
    const reason = reasons[at.length - 1]
    if (reason !== undefined) return yield* new RegistryError({ method: "GET", url: "https://a.example/", reason })
  })
  const fiber = yield* RetryPolicy.retry(
    request,
    () => Effect.sync(() => void answers++),
    Effect.succeed(policy)
  ).pipe(Effect.exit, Effect.forkChild)
  yield* TestClock.adjust("1 hour")
  const exit = yield* Fiber.join(fiber)
  return { at, answers, succeeded: exit._tag === "Success" }
})

describe("RetryPolicy", () => {
  it.effect("asks for a policy only when something has failed, and leaves what did not come from the registry", () =>
    Effect.gen(function*() {
      let asked = 0
      const policy = Effect.sync(() => (asked++, RetryPolicy.standard))
      const answer = () => Effect.void
      assert.strictEqual(yield* RetryPolicy.retry(Effect.succeed(1), answer, policy), 1)
      assert.strictEqual(yield* Effect.flip(RetryPolicy.retry(Effect.fail("mine"), answer, policy)), "mine")
      assert.strictEqual(asked, 0)
      let first = true
      const later = Effect.suspend((): Effect.Effect<number, RegistryError | string> => {
        if (!first) return Effect.fail("mine")
        first = false
        return Effect.fail(new RegistryError({ method: "GET", url: "https://a.example/", reason: unauthorized }))
      })
      assert.strictEqual(yield* Effect.flip(RetryPolicy.retry(later, answer, policy)), "mine")
      assert.strictEqual(asked, 1)
    }))

  it.effect("answers a challenge at once, and once", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* attempts([unauthorized]), { at: [0, 0], answers: 1, succeeded: true })
      assert.deepStrictEqual(yield* attempts([unauthorized, unauthorized]), {
        at: [0, 0],
        answers: 1,
        succeeded: false
      })
    }))

  it.effect("waits exactly as long as a registry asks", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* attempts([limited(30), limited(7)])).at, [0, 30_000, 37_000])
    }))

  it.effect("backs off from a registry that goes on asking to wait no time", () =>
    Effect.gen(function*() {
      const { at, succeeded } = yield* attempts([limited(0), limited(0), limited(0), limited(0), limited(5)])
      assert.isTrue(succeeded)
      assert.deepStrictEqual(at, [0, 0, 2000, 6000, 14_000, 19_000])
    }))

  it.effect("fails at once where it is asked to wait beyond a minute", () =>
    Effect.gen(function*() {
      const { at, succeeded } = yield* attempts([limited(61)])
      assert.deepStrictEqual([at, succeeded], [[0], false])
    }))

  it.effect("lasts longer than a registry takes to start, and no longer than one waits, whatever the jitter", () =>
    Effect.gen(function*() {
      for (const seed of ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]) {
        const { at } = yield* attempts(Array.from({ length: 9 }, () => cut)).pipe(Random.withSeed(seed))
        assert.strictEqual(at.length, 9)
        assert.isAtLeast(at.at(-1)!, 14_300)
        assert.isAtMost(at.at(-1)!, 28_800)
      }
    }))

  it.effect("backs off from what may mend, within 8 tries", () =>
    Effect.gen(function*() {
      const five = yield* attempts([unavailable, cut, unavailable, cut, unavailable])
      assert.isTrue(five.succeeded)
      const endless = yield* attempts(Array.from({ length: 20 }, () => cut))
      assert.isFalse(endless.succeeded)
      assert.strictEqual(endless.at.length, 9)
      assert.isAtMost(endless.at.at(-1)!, 120_000)
    }))

  it.effect("does not try again what time does not mend", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* attempts([distrusted])).at, [0])
      assert.deepStrictEqual((yield* attempts([new NotFound({ status: 404, ...about })])).at, [0])
    }))

  it.effect("keeps a count for each kind of failure", () =>
    Effect.gen(function*() {
      const { answers, succeeded } = yield* attempts([unavailable, unauthorized, limited(1), cut, limited(1)])
      assert.deepStrictEqual([answers, succeeded], [1, true])
    }))

  it.effect("can be put together anew", () =>
    Effect.gen(function*() {
      const policy = Schedule.min([RetryPolicy.challenge, RetryPolicy.transient.pipe(Schedule.upTo({ times: 1 }))])
      assert.isFalse((yield* attempts([cut, cut], policy)).succeeded)
      assert.isFalse((yield* attempts([limited(1)], policy)).succeeded)
      assert.isTrue((yield* attempts([cut], policy)).succeeded)
    }))

  describe("parseRetryAfter", () => {
    const parse = (header: string | undefined, date?: string) =>
      Effect.map(
        RetryPolicy.parseRetryAfter(header, date),
        (duration) => duration === undefined ? undefined : Duration.toMillis(duration)
      )

    it.effect.each(
      [
        ["0", 0],
        ["30", 30_000],
        [" 5 ", 5000],
        ["-1", undefined],
        ["1.5", undefined],
        ["1e3", undefined],
        ["NaN", undefined],
        ["soon", undefined],
        ["Thu, 01 Jan 1970 00:00:10 GMT", 10_000],
        ["Thu, 01 Jan 1960 00:00:10 GMT", 0]
      ] as const
    )("reads %j", ([header, expected]) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* parse(header), expected)
      }))

    it.effect("measures a date by the registry's own clock", () =>
      Effect.gen(function*() {
        assert.strictEqual(
          yield* parse("Tue, 24 Nov 2026 12:00:05 GMT", "Tue, 24 Nov 2026 12:00:00 GMT"),
          5000
        )
      }))
  })
})
