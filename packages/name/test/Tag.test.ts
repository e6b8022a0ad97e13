import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Tag from "../src/Tag.ts"

const First = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_]$/))
const Rest = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_.-]{0,127}$/))

const failure = (input: string) => Result.getOrThrow(Result.flip(Tag.parse(input)))

describe("Tag", () => {
  describe("parse", () => {
    it.each(["latest", "1", "_", "A", "v1.2.3-rc.1", "a..b", "a--b", "1.", "a-", "t".repeat(128)])(
      "takes %s as it is",
      (input) => {
        assert.strictEqual(Tag.parseUnsafe(input), input)
      }
    )

    it.each([
      ["", "must not be empty"],
      ["t".repeat(129), "must be at most 128 characters"],
      [".hidden", "must start with a letter, a digit or an underscore"],
      ["-rc", "must start with a letter, a digit or an underscore"],
      ["a b", "may hold only letters, digits, underscores, dots and dashes"],
      ["a/b", "may hold only letters, digits, underscores, dots and dashes"],
      ["a:b", "may hold only letters, digits, underscores, dots and dashes"],
      ["a@b", "may hold only letters, digits, underscores, dots and dashes"],
      ["a%2fb", "may hold only letters, digits, underscores, dots and dashes"],
      ["1+build", "may hold only letters, digits, underscores, dots and dashes"],
      ["latest\n", "may hold only letters, digits, underscores, dots and dashes"],
      ["lätest", "may hold only letters, digits, underscores, dots and dashes"],
      ["１", "may hold only letters, digits, underscores, dots and dashes"]
    ])("refuses %j: it %s", (input, rule) => {
      const error = failure(input)
      assert.strictEqual(error.kind, "Tag")
      assert.strictEqual(error.input, input)
      assert.strictEqual(error.detail, rule)
      assert.throws(() => Tag.parseUnsafe(input), error.message)
    })

    it.each([
      [" latest ", "latest"],
      ["latest\n", "latest"],
      [".1", "1"],
      ["--v1", "v1"],
      ["a/b", undefined],
      ["...", undefined],
      ["", undefined],
      ["t".repeat(129), undefined],
      [` ${"t".repeat(300)}`, undefined]
    ])("suggests for %j what may have been meant", (input, suggestion) => {
      assert.strictEqual(failure(input).suggestion, suggestion)
    })

    it.prop("gives back each valid tag unchanged", [First, Rest], ([first, rest]) => {
      assert.strictEqual(Tag.parseUnsafe(first + rest), first + rest)
    })

    it.prop("never throws; what it suggests is valid", [Schema.String], ([input]) => {
      const result = Tag.parse(input)
      if (Result.isSuccess(result)) assert.strictEqual(result.success, input)
      else if (result.failure.suggestion !== undefined) Tag.parseUnsafe(result.failure.suggestion)
    })

    it.prop(
      "refuses whatever follows a valid tag and no tag has",
      [First, Rest, Schema.String],
      ([first, rest, more]) => {
        for (const forbidden of ["/", ":", "@", " ", "\n", "\0", "é"]) {
          assert.isTrue(Result.isFailure(Tag.parse(`${first}${rest}${forbidden}${more}`)))
        }
      }
    )

    it("takes a million characters in its stride", () => {
      for (const unit of ["a", ".", "-", " "]) assert.isTrue(Result.isFailure(Tag.parse(unit.repeat(1_000_000))))
    })
  })

  it("is checked on decoding as well", () => {
    assert.strictEqual(Schema.decodeSync(Tag.Tag)("v1"), Tag.parseUnsafe("v1"))
    for (const input of ["", "a b", "v1\n", ".v1", "t".repeat(129)]) {
      assert.throws(() => Schema.decodeSync(Tag.Tag)(input), "a tag")
    }
  })

  it("is ordered as text", () => {
    const tags = ["b", "a", "10", "9", "B"].map(Tag.parseUnsafe)
    assert.deepStrictEqual(tags.sort(Tag.Order) as ReadonlyArray<string>, ["10", "9", "B", "a", "b"])
  })
})
