import { assert, describe, it } from "@effect/vitest"
import * as NameError from "../src/NameError.ts"

const error = (input: string, suggestion?: string) =>
  new NameError.NameError({
    kind: "Tag",
    input,
    detail: "must not be so",
    ...(suggestion === undefined ? {} : { suggestion })
  })

describe("NameError", () => {
  it("says what is wrong with what, and what may have been meant", () => {
    assert.strictEqual(error("a b").message, "Invalid tag \"a b\": must not be so")
    assert.strictEqual(error("-v1", "v1").message, "Invalid tag \"-v1\": must not be so (did you mean \"v1\"?)")
  })

  it("stays on one line and short, whatever the input is", () => {
    assert.strictEqual(error("a\n\u001b[2J\"").message, "Invalid tag \"a\\n\\u001b[2J\\\"\": must not be so")
    assert.strictEqual(error("x".repeat(256)).message, `Invalid tag "${"x".repeat(256)}": must not be so`)
    assert.strictEqual(error("x".repeat(9999)).message, `Invalid tag "${"x".repeat(256)}…": must not be so`)
    assert.strictEqual(error("x".repeat(9999)).input.length, 9999)
  })

  it("is known by its mark, not by its looks", () => {
    assert.isTrue(NameError.isNameError(error("a b")))
    for (const other of [undefined, new Error("x"), { _tag: "NameError", kind: "Tag", input: "", detail: "" }]) {
      assert.isFalse(NameError.isNameError(other))
    }
  })
})
