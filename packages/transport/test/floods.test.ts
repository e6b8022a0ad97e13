/**
 * Rows of the threat table that are about how much a stranger sends, how slowly, and how it is to be read.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as AccessScope from "../src/AccessScope.ts"
import * as Challenge from "../src/Challenge.ts"
import * as Redact from "../src/Redact.ts"
import * as ResponseBody from "../src/ResponseBody.ts"
import * as RetryPolicy from "../src/RetryPolicy.ts"
import * as Warning from "../src/Warning.ts"
import * as Internet from "./internet.ts"

const { failing, get, manifest, realm, registry, reply, transport } = Internet

describe("threats", { timeout: 60_000 }, () => {
  describe("A48 a bomb is read as far as its limit", () => {
    /** Counts what is read of an endless body. */
    const endless = () => {
      const counted = { bytes: 0 }
      const body = () =>
        new ReadableStream<Uint8Array>({
          pull: (controller) => {
            counted.bytes += 65_536
            controller.enqueue(new Uint8Array(65_536).fill(0x61))
          }
        }, { highWaterMark: 0 })
      return { counted, body }
    }
    const slack = 4 * 65_536

    it.effect("of a token server", () =>
      Effect.gen(function*() {
        const { body, counted } = endless()
        const internet = registry(({ url }) => url.pathname === "/token" ? new Response(body()) : undefined)
        assert.strictEqual((yield* failing(internet)).reason._tag, "ProtocolViolation")
        assert.isAtMost(counted.bytes, 128 * 1024 + slack)
      }))

    it.effect("of an error, whose status stays", () =>
      Effect.gen(function*() {
        const { body, counted } = endless()
        const internet = registry(({ url }) =>
          url.pathname === manifest ? new Response(body(), { status: 404 }) : undefined
        )
        assert.strictEqual((yield* failing(internet)).reason._tag, "NotFound")
        assert.isAtMost(counted.bytes, 64 * 1024 + slack)
      }))

    it.effect("of anything that is collected", () =>
      Effect.gen(function*() {
        const { body, counted } = endless()
        const internet = registry(({ url }) => url.pathname === manifest ? new Response(body()) : undefined)
        const response = yield* Effect.provide(get(), transport(internet))
        const error = yield* Effect.flip(ResponseBody.bytes(response, 1024 * 1024))
        assert.strictEqual(error.reason._tag, "ContentMismatch")
        assert.isAtMost(counted.bytes, 1024 * 1024 + slack)
      }))
  })

  describe("A48 a body that does not come is not waited for", () => {
    /** Says something and then nothing more, or now and then a byte. */
    const silent = (text: string, status: number) => {
      let isSaid = false
      return new Response(
        new ReadableStream<Uint8Array>({
          pull: (controller) => {
            if (!isSaid) {
              isSaid = true
              controller.enqueue(new TextEncoder().encode(text))
              return
            }
            return new Promise<void>((resume) => {
              ticks.push(() => {
                controller.enqueue(Uint8Array.of(0x20))
                resume()
              })
            })
          }
        }, { highWaterMark: 0 }),
        { status }
      )
    }
    const ticks: Array<() => void> = []
    const error = JSON.stringify({ errors: [{ code: "MANIFEST_UNKNOWN", message: "gone" }] })

    /** Lets a byte come every so many seconds, for ten minutes; how long something took. */
    const timed = Effect.fnUntraced(function*<A, E, R>(self: Effect.Effect<A, E, R>, every: number) {
      ticks.length = 0
      const fiber = yield* Effect.forkChild(self)
      let seconds = 0
      for (; seconds < 600 && fiber.pollUnsafe() === undefined; seconds++) {
        for (let i = 0; i < 5; i++) yield* Effect.promise(() => new Promise((resume) => setImmediate(resume)))
        if (seconds % every === 0) ticks.shift()?.()
        yield* TestClock.adjust("1 second")
      }
      assert.isDefined(fiber.pollUnsafe(), "still waiting after ten minutes")
      return { result: yield* Fiber.join(fiber), seconds }
    })

    for (const every of [601, 20]) {
      it.effect(`of an error, which says what had come, a byte every ${every} s`, () =>
        Effect.gen(function*() {
          const internet = registry(({ url }) => url.pathname === manifest ? silent(error, 404) : undefined)
          const { result, seconds } = yield* timed(failing(internet), every)
          assert.strictEqual(result.reason._tag, "NotFound")
          assert.include(result.message, "MANIFEST_UNKNOWN: gone")
          assert.isAtMost(seconds, 35)
        }))

      it.effect(`of a token server, a byte every ${every} s`, () =>
        Effect.gen(function*() {
          const internet = registry(({ url }) => url.pathname === "/token" ? silent("{", 200) : undefined)
          const { result, seconds } = yield* timed(
            Effect.provideService(failing(internet), RetryPolicy.RetryPolicy, RetryPolicy.challenge),
            every
          )
          assert.deepInclude(result.reason, { _tag: "Unreachable", transient: true })
          assert.isAtMost(seconds, 65)
        }))
    }
  })

  it.effect("A75 a challenge does not make a token server be asked for more than a few repositories", () =>
    Effect.gen(function*() {
      for (const scopeOf of [(n: number) => `repository:a${n}:pull`, (n: number) => `repository:app:${n}`]) {
        let scope = ""
        for (let n = 0; scope.length < 60_000; n++) scope += `${scopeOf(n)} `
        const internet = registry(({ url }) =>
          url.pathname === manifest
            ? reply(401, { "www-authenticate": `Bearer realm="${realm}",service="r",scope="${scope}"` })
            : undefined
        )
        assert.strictEqual((yield* failing(internet)).reason._tag, "Denied")
        assert.isAtMost(Math.max(...internet.seen.map(({ url }) => url.href.length)), 16 * 1024)
      }
    }))

  describe("A54 what a stranger sends is read in linear time", () => {
    const size = 1_000_000
    const units = [
      "a",
      ",",
      "=",
      "\"",
      "\\",
      " ",
      "\t",
      ";",
      ":",
      "/",
      "a=\"",
      "a=\"\\",
      "=\"\\\",",
      "a=b,",
      "a=b ",
      "Basic ",
      "Bearer realm=",
      "299 - \"",
      "299 - \"\\\",",
      "299 - \"a\",",
      "9",
      "Mon, ",
      "a:b:c ",
      "::",
      "//",
      "@",
      "?",
      "?a=b&"
    ]
    const prefixes = ["", "Bearer realm=\"", "299 - \"", "bytes ", "https://a/", "https://a/?"]
    const parsers: ReadonlyArray<readonly [string, (text: string) => unknown]> = [
      ["WWW-Authenticate", Challenge.parse],
      ["Warning", Warning.parse],
      ["scope", AccessScope.parseAll],
      ["Retry-After", (text) => Effect.runSync(RetryPolicy.parseRetryAfter(text, text))],
      ["URL", Redact.url]
    ]

    it.each(parsers)("%s", (_, parse) => {
      for (const prefix of prefixes) {
        for (const unit of units) {
          const text = (prefix + unit.repeat(size / unit.length)).slice(0, size)
          const start = performance.now()
          parse(text)
          // Work that grows with the square takes minutes.
          assert.isBelow(performance.now() - start, 10_000, `${prefix}${unit}`)
        }
      }
    })
  })

  it.effect("A75 a challenge is found among whatever else there is", () =>
    Effect.gen(function*() {
      const good = `Bearer realm="${realm}",service="r"`
      const junk = [
        "Negotiate",
        "Negotiate dG9rZW4=",
        "NTLM TlRMTVNTUAACAAAA==, Digest realm=\"a, Bearer b\", nonce=\"x\"",
        "Basic realm=\"a \\\"b\\\" c\"",
        "Bearer",
        "Bearer service=\"no realm\"",
        ",,, ,",
        "=, =x, \"a\"",
        "Basic realm = unquoted , charset=UTF-8",
        "x".repeat(60_000),
        "a=b,".repeat(15_000)
      ]
      for (const one of junk) {
        for (const header of [`${one}, ${good}`, `${good}, ${one}`]) {
          const internet = registry(({ headers, url }) =>
            url.pathname !== "/token" && headers["authorization"] === undefined
              ? reply(401, { "www-authenticate": header })
              : undefined
          )
          yield* Effect.provide(get(), transport(internet))
          assert.include(internet.asked()[2], `${realm}?service=r&`, header.slice(0, 100))
        }
      }
    }))

  describe("A76 a registry is waited for as long as it asks, up to a minute", () => {
    const here = "Thu, 01 Jan 1970 00:00:00 GMT"
    it.effect.each(
      [
        ["0", 0],
        ["1", 1],
        ["60", 60],
        ["61", undefined],
        ["1000000000", undefined],
        ["999999999999", undefined],
        [here, 0],
        ["Thu, 01 Jan 1970 00:00:42 GMT", 42],
        ["Wed, 01 Jan 2099 00:00:00 GMT", undefined],
        ["Sun, 06 Nov 1960 08:49:37 GMT", 0],
        // Nothing that says how long: a second, as the policy has it.
        ["-5", 1],
        ["NaN", 1],
        ["Infinity", 1],
        ["1e9", 1],
        ["9".repeat(100_000), 1]
      ] as const
    )("%j", ([header, seconds]) =>
      Effect.gen(function*() {
        let asked = 0
        const internet = registry(({ url }) =>
          url.pathname === manifest && asked++ === 0 ? reply(429, { "retry-after": header, date: here }) : undefined
        )
        const fiber = yield* Effect.forkChild(
          Effect.provide(Effect.timed(Effect.exit(get())), transport(internet))
        )
        yield* TestClock.adjust("10 minutes")
        const [duration, exit] = yield* Fiber.join(fiber)
        // Those that were held back do not all come at once.
        assert.isAtLeast(Duration.toSeconds(duration), seconds ?? 0)
        assert.isAtMost(Duration.toSeconds(duration), (seconds ?? 0) + 0.5)
        if (seconds !== undefined) return assert.strictEqual(exit._tag, "Success")
        assert.match(String(exit), /429 too many requests, asks to wait \d/)
      }))
  })
})
