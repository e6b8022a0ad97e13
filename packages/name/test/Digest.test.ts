import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Digest from "../src/Digest.ts"
import * as Tag from "../src/Tag.ts"

const Hex64 = Schema.String.check(Schema.isPattern(/^[a-f0-9]{64}$/))
const message = (input: string) => Result.getOrThrow(Result.flip(Digest.parse(input))).message

describe("Digest", () => {
  it.prop("accepts 64 lowercase hex characters after sha256:", [Hex64], ([hex]) => {
    const digest = Digest.parseUnsafe(`sha256:${hex}`)
    assert.strictEqual(Digest.algorithm(digest), "sha256")
    assert.strictEqual(Digest.hex(digest), hex)
  })

  it.prop("refuses anything after the hex", [Hex64, Schema.NonEmptyString], ([hex, more]) => {
    assert.isTrue(Result.isFailure(Digest.parse(`sha256:${hex}${more}`)))
  })

  it.prop("never throws", [Schema.String], ([input]) => {
    Digest.parse(input)
  })

  it("quotes the input and names the rule it breaks", () => {
    assert.strictEqual(message("md5:abc"), "Invalid digest \"md5:abc\": must start with sha256: or sha512:")
    assert.strictEqual(message("constructor:x"), "Invalid digest \"constructor:x\": must start with sha256: or sha512:")
    assert.strictEqual(
      message("sha256:ABC"),
      "Invalid digest \"sha256:ABC\": sha256 takes exactly 64 lowercase hex characters"
    )
    assert.include(message(`SHA256:${"A".repeat(64)}`), `did you mean "sha256:${"a".repeat(64)}"`)
    assert.include(message("sha256:../../x"), "64 lowercase hex")
  })

  it("is told from a tag", () => {
    assert.isTrue(Digest.isDigest(Digest.parseUnsafe(`sha256:${"0".repeat(64)}`)))
    assert.isFalse(Digest.isDigest(Tag.parseUnsafe(`sha256-${"0".repeat(64)}`)))
  })
})
