import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { EncodeError, HttpClientError, InvalidUrlError, TransportError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Challenge from "../../src/Challenge.ts"
import * as Failure from "../../src/internal/failure.ts"
import * as Refused from "../../src/internal/refused.ts"
import { Unauthorized } from "../../src/RegistryError.ts"

const url = "https://a.test/v2/app/manifests/1?sig=canary"
const request = HttpClientRequest.get(url)

const failed = (
  status: number,
  { headers = {}, body = "", identified = false }: {
    readonly headers?: Record<string, string>
    readonly body?: BodyInit
    readonly identified?: boolean
  } = {}
) =>
  Refused.fromResponse(
    "GET",
    url,
    HttpClientResponse.fromWeb(request, new Response(body, { status, headers })),
    { identified }
  )

const errors = (code: string) => JSON.stringify({ errors: [{ code, message: "m" }] })
const coded = (code: string, message = "m", more: object = {}) => Object.assign(new Error(message, more), { code })

const lost = (cause: unknown) =>
  Failure.fromHttpClient("GET", url, new HttpClientError({ reason: new TransportError({ request, cause }) }))

describe("failure", () => {
  describe("fromResponse", () => {
    it.effect.each<readonly [number, string]>([
      [400, "Rejected"],
      [401, "Unauthorized"],
      [403, "Denied"],
      [404, "NotFound"],
      [405, "Unsupported"],
      [408, "Unavailable"],
      [409, "Rejected"],
      [413, "Rejected"],
      [416, "Rejected"],
      [418, "Rejected"],
      [425, "Unavailable"],
      [429, "RateLimited"],
      [499, "Unavailable"],
      [500, "Unavailable"],
      [501, "Unsupported"],
      [502, "Unavailable"],
      [503, "Unavailable"],
      [504, "Unavailable"],
      [505, "Rejected"],
      [524, "Unavailable"]
    ])("reads %d as %s, whatever its body is", ([status, reason]) =>
      Effect.gen(function*() {
        for (const body of ["", "<html>", errors("UNKNOWN")]) {
          const error = yield* failed(status, { body })
          assert.strictEqual(error.reason._tag, reason)
          assert.strictEqual(error.status, status)
        }
      }))

    it.effect("reads 400 as unsupported where the registry says so", () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* failed(400, { body: errors("UNSUPPORTED") })).reason._tag, "Unsupported")
      }))

    it.effect("reads 403 as unauthorized where a token allows too little, as RFC 6750 has it", () =>
      Effect.gen(function*() {
        const headers = { "www-authenticate": "Bearer realm=\"https://a.test/t\",error=\"insufficient_scope\"" }
        const { reason } = yield* failed(403, { headers, identified: true })
        assert.deepInclude(reason, { _tag: "Unauthorized", identified: true })
      }))

    it.effect("keeps the registry's words and how long it asks to wait", () =>
      Effect.gen(function*() {
        for (const status of [429, 503]) {
          const error = yield* failed(status, { body: errors("TOOMANYREQUESTS"), headers: { "retry-after": "7" } })
          assert.deepStrictEqual(error.retryAfter, Duration.seconds(7))
          assert.strictEqual(
            error.message,
            `GET https://a.test/v2/app/manifests/1?sig=…: ${status} TOOMANYREQUESTS: m, asks to wait 7s`
          )
        }
      }))

    it.effect("keeps the status where the body breaks off", () =>
      Effect.gen(function*() {
        const body = new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) })
        assert.strictEqual((yield* failed(404, { body })).message.slice(-13), "404 not found")
      }))
  })

  describe("fromHttpClient", () => {
    it.each(["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "EPIPE", "UND_ERR_SOCKET"])(
      "takes %s for what may pass",
      (code) => {
        const error = lost(coded(code))
        assert.deepInclude(error.reason, { _tag: "Unreachable", code, transient: true })
        assert.isTrue(error.isRetryable)
      }
    )

    it.each([
      "ENOTFOUND",
      "EPROTO",
      "CERT_HAS_EXPIRED",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "SELF_SIGNED_CERT_IN_CHAIN",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "HPE_INVALID_CONSTANT"
    ])("takes %s for what stays", (code) => {
      assert.isFalse(lost(coded(code)).isRetryable)
    })

    it("says the innermost cause, which says most", () => {
      const inner = coded("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1")
      const nested = new TypeError("fetch failed", { cause: new AggregateError([inner, coded("EPIPE")], "") })
      assert.deepInclude(lost(nested).reason, { code: "ECONNREFUSED", detail: inner.message })
      const circle = coded("EPIPE", "around")
      assert.deepInclude(lost(Object.assign(circle, { cause: circle })).reason, { code: "EPIPE", detail: "around" })
      for (const nothing of [undefined, null, "text", {}]) assert.notStrictEqual(lost(nothing).message, "")
    })

    it("takes a request that cannot be made for what stays", () => {
      for (const Reason of [InvalidUrlError, EncodeError]) {
        const error = Failure.fromHttpClient("GET", url, new HttpClientError({ reason: new Reason({ request }) }))
        assert.deepInclude(error.reason, { _tag: "Unreachable", transient: false })
      }
    })
  })

  it("withoutChallenges forgets what somebody else than the registry asks for, and nothing more", () => {
    const challenges = Challenge.parse("Basic realm=\"x\"")
    assert.strictEqual(challenges.length, 1)
    const about = { status: 401, diagnostics: [], identified: true }
    const error = Failure.make("GET", url, new Unauthorized({ ...about, challenges }))
    assert.deepInclude(Failure.withoutChallenges(error).reason, { ...about, challenges: [] })
    const other = lost(coded("EPIPE"))
    assert.strictEqual(Failure.withoutChallenges(other), other)
  })
})
