import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as Failure from "../src/internal/failure.ts"
import * as RegistryError from "../src/RegistryError.ts"

const {
  Blocked,
  ContentMismatch,
  Denied,
  InternalAddress,
  NoCredentials,
  NoToken,
  NotFound,
  ProtocolViolation,
  RateLimited,
  Rejected,
  SessionLost,
  Unauthorized,
  Unavailable,
  Unreachable,
  Unsupported
} = RegistryError

const url = "https://a.test/v2/app/manifests/1"
const fail = (reason: RegistryError.Reason, method = "GET") => new RegistryError.RegistryError({ method, url, reason })

const said = (status: number, ...diagnostics: ReadonlyArray<RegistryError.Diagnostic>) => ({ status, diagnostics })
const unauthorized = { ...said(401), challenges: [], identified: false }
const unreachable = { detail: "connect ECONNREFUSED", code: "ECONNREFUSED", transient: true }

/** Each reason, its words, whether it may pass, and its status. */
const reasons: ReadonlyArray<readonly [RegistryError.Reason, string, boolean, number | undefined]> = [
  [new Unauthorized(unauthorized), "401 authentication required", false, 401],
  [new Denied(said(403)), "403 access denied", false, 403],
  [new NotFound(said(404)), "404 not found", false, 404],
  [new RateLimited({ ...said(429), retryAfter: undefined }), "429 too many requests", true, 429],
  [new Unavailable({ ...said(503), retryAfter: undefined }), "503 registry unavailable", true, 503],
  [new Unsupported(said(405)), "405 not supported by this registry", false, 405],
  [new Rejected(said(400)), "400 refused", false, 400],
  [new SessionLost(said(416)), "416 upload session lost", true, 416],
  [new Unreachable(unreachable), "connect ECONNREFUSED", true, undefined],
  [new Unreachable({ ...unreachable, transient: false }), "connect ECONNREFUSED", false, undefined],
  [new ProtocolViolation({ detail: "no digest" }), "no digest", false, undefined],
  [
    new InternalAddress({ host: "evil.test", address: "10.0.0.1" }),
    "evil.test is at the internal address 10.0.0.1",
    false,
    undefined
  ],
  [
    new Blocked({ detail: "evil.test/app is blocked by x.conf" }),
    "evil.test/app is blocked by x.conf",
    false,
    undefined
  ],
  [new ContentMismatch({ detail: "other bytes" }), "other bytes", false, undefined],
  [new NoCredentials({ detail: "no such helper" }), "no such helper", false, undefined],
  [new NoToken({ answer: said(404) }), "the token server answers 404", false, undefined]
]

describe("RegistryError", () => {
  for (const [reason, words, isRetryable, status] of reasons) {
    it(`says of ${reason._tag}: ${words}; ${isRetryable ? "it may pass" : "it stays"}`, () => {
      const error = fail(reason)
      assert.strictEqual(error.message, `GET ${url}: ${words}`)
      assert.strictEqual(error.isRetryable, isRetryable)
      assert.strictEqual(error.status, status)
      assert.isUndefined(error.retryAfter)
    })
  }

  it("A48 says no more in a line than fits there, however much a registry has to say", () => {
    const diagnostic = { code: "UNKNOWN", message: "x".repeat(60_000), detail: undefined }
    const { message, reason } = fail(new Rejected(said(400, diagnostic)))
    assert.isAtMost(message.length, 1100)
    assert.isTrue(message.endsWith("x…"))
    assert.strictEqual("diagnostics" in reason && reason.diagnostics[0]?.message.length, 60_000)
  })

  it("has a row above for each reason", () => {
    assert.deepStrictEqual(
      new Set(reasons.map(([{ _tag }]) => _tag)),
      new Set(RegistryError.Reason.members.map(({ fields }) => fields._tag.schema.literal))
    )
  })

  describe("message", () => {
    it("has the registry's own codes and words, where it says any", () => {
      const about = said(
        403,
        { code: "DENIED", message: "quota exceeded", detail: null },
        { code: "UNKNOWN", message: "", detail: {} }
      )
      assert.strictEqual(fail(new Denied(about)).message, `GET ${url}: 403 DENIED: quota exceeded; UNKNOWN`)
    })

    it("has a token server's own words, where it says any", () => {
      const answer = said(400, { code: "UNKNOWN", message: "no such service", detail: null })
      assert.strictEqual(
        fail(new NoToken({ answer })).message,
        `GET ${url}: the token server answers 400 UNKNOWN: no such service`
      )
    })

    it("says how long the registry asks to be left alone", () => {
      for (const Reason of [RateLimited, Unavailable]) {
        const error = fail(new Reason({ ...said(429), retryAfter: Duration.seconds(90) }))
        assert.match(error.message, /, asks to wait 1m 30s$/)
        assert.deepStrictEqual(error.retryAfter, Duration.seconds(90))
      }
    })

    it("has no secret of the URL that the request was to", () => {
      const signed = "https://ann:canary-password@cdn.test/blob?X-Sig=canary-sig&digest=sha256:aa#canary-fragment"
      const error = Failure.make("GET", signed, new NotFound(said(404)))
      assert.strictEqual(error.message, "GET https://cdn.test/blob?X-Sig=…&digest=sha256:aa: 404 not found")
      assert.notInclude(`${error.stack} ${JSON.stringify(error)} ${error.url}`, "canary")
    })
  })

  describe("hint", () => {
    const table: ReadonlyArray<readonly [string, string, RegistryError.Reason, string | undefined]> = [
      ["one who said nothing", "GET", new Unauthorized(unauthorized), "No credentials were sent: none are known"],
      [
        "one who was refused",
        "GET",
        new Unauthorized({ ...unauthorized, identified: true }),
        "The credentials were refused; log in again."
      ],
      [
        "one whose credentials were kept back",
        "GET",
        new Unauthorized({ ...unauthorized, withheld: "auth.test" }),
        "If auth.test is the registry's token server, pair them (EFFECT_OCI_TOKEN_SERVERS)."
      ],
      [
        "one who gets no token",
        "GET",
        new NoToken({ answer: said(404) }),
        "The registry names this address for tokens"
      ],
      ["one who deletes where nothing is deleted", "DELETE", new Unsupported(said(405)), "does not delete here"],
      ["one who asks for what is not there", "PATCH", new Unsupported(said(501)), "does not support it, for anybody"],
      [
        "one who misspelled a registry",
        "GET",
        new Unreachable({ ...unreachable, code: "ENOTFOUND" }),
        "Check the name of the registry."
      ],
      [
        "one who speaks TLS to plain http",
        "GET",
        new Unreachable({ ...unreachable, code: "ERR_SSL_WRONG_VERSION_NUMBER" }),
        "EFFECT_OCI_PLAIN_HTTP"
      ],
      [
        "one whose registry has a certificate of its own making",
        "GET",
        new Unreachable({ ...unreachable, code: "DEPTH_ZERO_SELF_SIGNED_CERT" }),
        "Say whom to believe (ca.crt in its folder of certs.d)."
      ],
      [
        "one whose registry has the certificate of an authority that is not known",
        "GET",
        new Unreachable({ ...unreachable, code: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY" }),
        "Say whom to believe"
      ],
      [
        "one whose registry has a certificate that has ended",
        "GET",
        new Unreachable({ ...unreachable, code: "CERT_HAS_EXPIRED" }),
        undefined
      ],
      [
        "one who asks where nobody is",
        "GET",
        new Unreachable(unreachable),
        "Nothing listens there."
      ],
      ["one who was only unlucky", "GET", new Unreachable({ ...unreachable, code: "ETIMEDOUT" }), undefined],
      [
        "one who was led inside",
        "GET",
        new InternalAddress({ host: "cdn.corp", address: "10.0.0.1" }),
        "If cdn.corp is yours, name it (EFFECT_OCI_INTERNAL)."
      ],
      ["one who sees no reason, since HEAD has none", "HEAD", new Denied(said(403)), "GET says why"],
      ["one who asked whether it is there", "HEAD", new NotFound(said(404)), undefined],
      ["one who knows the reason", "GET", new Denied(said(403)), undefined],
      ["one who is known and may not", "POST", new Denied(said(401)), "may not do this"],
      ["one whose HEAD got no reply", "HEAD", new ProtocolViolation({ detail: "x" }), undefined]
    ]
    for (const [who, method, reason, hint] of table) {
      it(`helps ${who}${hint === undefined ? " with nothing" : ""}`, () => {
        const error = fail(reason, method)
        if (hint === undefined) assert.isUndefined(error.hint)
        else assert.include(error.hint, hint)
      })
    }

    it("helps one who speaks plain http to TLS, where that is likely", () => {
      const hint = (url: string) =>
        Failure.make("GET", url, new Unreachable({ ...unreachable, code: "ECONNRESET" })).hint
      assert.include(hint("http://localhost:5000/v2/"), "certs.d")
      assert.isUndefined(hint("http://localhost:5000/v2/a/tags/list"))
      assert.isUndefined(hint("https://a.test/v2/"))
    })
  })

  it("is known by its mark, not by its looks", () => {
    const error = fail(new NotFound(said(404)))
    assert.isTrue(RegistryError.isRegistryError(error))
    for (const other of [undefined, null, new Error("x"), "RegistryError", { _tag: "RegistryError" }]) {
      assert.isFalse(RegistryError.isRegistryError(other))
    }
  })

  it("goes through JSON and comes back", () => {
    for (const [reason] of reasons) {
      const json = JSON.parse(
        JSON.stringify(Schema.encodeSync(Schema.toCodecJson(RegistryError.RegistryError))(fail(reason)))
      )
      const back = Schema.decodeSync(Schema.toCodecJson(RegistryError.RegistryError))(json)
      assert.strictEqual(back.message, fail(reason).message)
      assert.strictEqual(back.isRetryable, fail(reason).isRetryable)
    }
  })
})
