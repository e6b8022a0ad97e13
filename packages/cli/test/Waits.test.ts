import { RegistryError, Unreachable } from "@effect-oci/transport/RegistryError"
import type * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { TestClock, TestConsole } from "effect/testing"
import * as Waits from "../src/Waits.ts"

const wait = (host: string, seconds = 2, attempt = 1): RetryPolicy.Wait => ({
  error: new RegistryError({
    method: "GET",
    url: `http://${host}/v2/`,
    reason: new Unreachable({ detail: "refused", code: "ECONNREFUSED", transient: true })
  }),
  duration: Duration.seconds(seconds),
  attempt,
  retries: 8
})

describe("Waits", () => {
  it("are for a terminal, for a program that asks for JSON, or for nobody", () => {
    assert.deepStrictEqual(
      [
        Waits.readerOf(["copy", "a", "b"], true),
        Waits.readerOf(["copy", "--json", "a", "b"], true),
        Waits.readerOf(["copy", "--json", "a", "b"], false),
        Waits.readerOf(["copy", "a", "b"], false)
      ],
      ["terminal", "terminal", "json", "nobody"]
    )
  })

  it.effect("are told of once where many wait for one registry, and again when they have waited", () =>
    Effect.gen(function*() {
      const tell = Waits.tell("terminal")
      yield* tell(wait("localhost:5000"))
      for (let i = 0; i < 50; i++) yield* tell(wait("localhost:5000"))
      yield* tell(wait("b.test"))
      yield* tell(wait("c.test", 0.99))
      yield* TestClock.adjust("2 seconds")
      yield* tell(wait("localhost:5000", 4, 2))
      assert.deepStrictEqual(yield* TestConsole.errorLines, [
        "effect-oci: waiting 2 s: connection refused by localhost:5000 (try 2 of 9)",
        "effect-oci: waiting 2 s: connection refused by b.test (try 2 of 9)",
        "effect-oci: waiting 4 s: connection refused by localhost:5000 (try 3 of 9)"
      ])
      assert.deepStrictEqual(yield* TestConsole.logLines, [])
    }))

  it.effect("are events for a program, and nothing for nobody", () =>
    Effect.gen(function*() {
      yield* Waits.tell("nobody")(wait("a.test"))
      yield* Waits.tell("json")(wait("b.test"))
      const [line, ...rest] = yield* TestConsole.errorLines
      assert.deepStrictEqual(rest, [])
      assert.deepInclude(JSON.parse(String(line)), { event: "waiting", host: "b.test", millis: 2000, try: 2, tries: 9 })
    }))
})
