import { assert, describe, it } from "@effect/vitest"
import * as ContentError from "../src/ContentError.ts"
import * as CopyError from "../src/CopyError.ts"

const digest = `sha256:${"a".repeat(64)}`
const detail = "as told"

/** Each reason, its words, and whether it may pass. */
const reasons: ReadonlyArray<readonly [ContentError.Reason, string, boolean]> = [
  [new ContentError.NotFound({ what: "v1" }), "v1 not found", false],
  [
    new ContentError.DigestMismatch({ expected: "sha256:aa", actual: "sha256:bb" }),
    "the bytes have digest sha256:bb, not sha256:aa",
    true
  ],
  [new ContentError.SizeMismatch({ digest, expected: 3, actual: 2 }), `${digest}: 2 bytes, not 3`, true],
  [new ContentError.Invalid({ detail }), detail, false],
  [new ContentError.Incomplete({ detail }), detail, true],
  [new ContentError.NoSpace({ detail }), `no space left: ${detail}`, false],
  [new ContentError.Refused({ detail }), detail, false],
  [new ContentError.Unsupported({ detail }), detail, false],
  [new ContentError.Unavailable({ detail }), detail, true]
]

const fail = (reason: ContentError.Reason, cause?: unknown) =>
  new ContentError.ContentError({
    operation: "read",
    location: "ghcr.io/acme/app",
    reason,
    ...(cause === undefined ? {} : { cause })
  })

describe("ContentError", () => {
  for (const [reason, words, isRetryable] of reasons) {
    it(`says of ${reason._tag} what, where and why; it ${isRetryable ? "may pass" : "stays"}`, () => {
      const error = fail(reason)
      assert.strictEqual(error.message, `read at ghcr.io/acme/app: ${words}`)
      assert.strictEqual(error.isRetryable, isRetryable)
      const copy = CopyError.at("target", digest)(error)
      assert.strictEqual(copy.message, `copy ${digest} stopped at the target: ${error.message}`)
      assert.strictEqual(copy.isRetryable, isRetryable)
    })
  }

  it("has a row above for each reason", () => {
    assert.deepStrictEqual(
      new Set(reasons.map(([{ _tag }]) => _tag)),
      new Set(ContentError.Reason.members.map(({ fields }) => fields._tag.schema.literal))
    )
  })

  it("shows the place's own words, which say more, where there are any", () => {
    const reason = new ContentError.Refused({ detail })
    assert.strictEqual(fail(reason, new Error("GET https://a.test/: 403")).message, "GET https://a.test/: 403")
    for (const cause of [new Error(""), "text", { message: "none of an error" }]) {
      assert.strictEqual(fail(reason, cause).message, `read at ghcr.io/acme/app: ${detail}`)
    }
  })
})
