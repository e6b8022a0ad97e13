import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import * as Dial from "../../src/internal/dial.ts"

const client = HttpClient.make((request) =>
  Effect.succeed(HttpClientResponse.fromWeb(request, new Response(null, { status: 200 })))
)
const ask = Dial.execute(client, HttpClientRequest.get("https://a.test/v2/?secret=canary&n=1"), true)

describe("dial", () => {
  it.effect("has a span for each request where somebody listens, without secrets, and none otherwise", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      yield* ask
      yield* ask.pipe(Effect.withTracer(tracer), Effect.provideService(References.TracerEnabled, false))
      assert.strictEqual(spans.length, 0)
      yield* Effect.withTracer(ask, tracer)
      assert.deepStrictEqual(spans.map(({ name }) => name), ["GET"])
      const said = JSON.stringify([...spans[0]!.attributes])
      assert.include(said, "a.test")
      assert.notInclude(said, "canary")
    }))
})
