import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { TestClock } from "effect/testing"
import * as Pauses from "../../src/internal/pauses.ts"

const limited = HttpClientResponse.fromWeb(
  HttpClientRequest.get("https://a.test/"),
  new Response(null, { status: 429, headers: { "retry-after": "1" } })
)

describe("pauses", () => {
  it.effect("forgets an origin whose time is up, though nobody has come back to it", () =>
    Effect.gen(function*() {
      const pauses = Pauses.make()
      yield* pauses.begin("https://a.test", limited)
      assert.isTrue(pauses.isHeld("https://a.test"))
      yield* TestClock.adjust("1 second")
      yield* pauses.begin("https://b.test", limited)
      assert.deepStrictEqual(["https://a.test", "https://b.test"].map(pauses.isHeld), [false, true])
    }))
})
