import type * as Digest from "@effect-oci/name/Digest"
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Names from "../../../src/internal/disk/names.ts"

const digest = `sha256:${"ab".repeat(32)}` as Digest.Digest

describe("names", () => {
  it("are read by people, too", () => {
    assert.strictEqual(Names.encode("library/alpine_3.22-x"), "library+alpine_3.22-x")
    assert.strictEqual(Names.encode("V1.0-RC"), "~v1.0-~r~c")
    assert.strictEqual(Names.ofDigest(digest), `sha256-${"ab".repeat(32)}`)
    assert.strictEqual(Names.ofLink(digest, 12), `sha256-${"ab".repeat(32)}.12`)
  })

  it("lead nowhere", () => {
    for (const name of ["", ".", "..", "../..", "/", "/etc", "a/../../b", "a\\b", "a\u0000b"]) {
      const file = Names.encode(name)
      assert.isFalse(file === "" || /^\.|[/\\\u0000]/.test(file), file)
      assert.deepStrictEqual(Names.decode(file), Option.some(name))
    }
  })

  it.prop("come back as they were", [Schema.String], ([name]) => {
    const file = Names.encode(name)
    assert.strictEqual(file, file.toLowerCase())
    assert.notInclude(file, "/")
    assert.deepStrictEqual(Names.decode(file), Option.some(name))
  })

  it("are short enough for every tag and repository", () => {
    const longest = [
      "A".repeat(128),
      `a${"A".repeat(127)}`,
      `_${"Z".repeat(127)}`,
      "a".repeat(128),
      `${"a/".repeat(127)}a`
    ]
    const files = longest.map(Names.encode)
    for (const [at, file] of files.entries()) {
      assert.isAtMost(file.length, 255)
      assert.strictEqual(file, file.toLowerCase())
      assert.deepStrictEqual(Names.decode(file), Option.some(longest[at]))
    }
    assert.strictEqual(new Set(files).size, longest.length)
    for (const file of ["=", "=a", "=%", "==", `=${"~a".repeat(100)}`]) {
      assert.isTrue(Option.isNone(Names.decode(file)), file)
    }
  })

  it.prop("are not made of what something else put there", [Schema.String], ([file]) => {
    const name = Names.decode(file)
    if (Option.isSome(name)) assert.strictEqual(Names.encode(name.value), file)
  })

  it("know digests and links from other files", () => {
    assert.deepStrictEqual(Names.toDigest(Names.ofDigest(digest)), Option.some(digest))
    assert.deepStrictEqual(Names.fromLink(Names.ofLink(digest, 12)), Option.some(digest))
    for (const file of ["", ".DS_Store", "sha256", "sha256-", digest, `sha256-${"AB".repeat(32)}`, "sha1-ab"]) {
      assert.deepStrictEqual(Names.toDigest(file), Option.none(), file)
    }
  })
})
