import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Json from "../src/Json.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const parse = (text: string) => Json.parse(bytes(text), "test")
const reason = (text: string) => Result.getOrThrow(Result.flip(parse(text))).reason

describe("Json", () => {
  it.prop("reads what JSON.parse reads", [Schema.fromJsonString(Schema.Json)], ([value]) => {
    const text = JSON.stringify(value)
    // Refused on purpose: half of a surrogate pair, which JSON.stringify escapes, and what JavaScript would round.
    if (/\\ud[89a-f]/.test(text) || /(?<![\d.e+-])-?\d{16,}(?![\d.e])/.test(text)) return
    assert.deepStrictEqual(JSON.stringify(Result.getOrThrow(parse(text))), text)
  })

  it.prop("never throws, and takes nothing that JSON.parse refuses", [Schema.String], ([text]) => {
    if (Result.isSuccess(parse(text))) JSON.parse(text)
  })

  it.each([
    ["", "Syntax"],
    ["{", "Syntax"],
    ["[1,]", "Syntax"],
    ["{\"a\":1,}", "Syntax"],
    ["[1 2]", "Syntax"],
    ["{\"a\" 1}", "Syntax"],
    ["01", "Syntax"],
    ["+1", "Syntax"],
    ["NaN", "Syntax"],
    ["'a'", "Syntax"],
    ["\"\t\"", "Syntax"],
    ["\"\\x\"", "Syntax"],
    ["\"\\ud800\"", "Syntax"],
    ["\ufeff{}", "Syntax"],
    ["{} {}", "Syntax"],
    ["{\"a\":1,\"a\":2}", "Syntax"],
    ["{\"a\":1,\"\\u0061\":2}", "Syntax"],
    ["{\"size\":9007199254740992}", "Limit"],
    ["{\"size\":9007199254740993}", "Limit"],
    ["{\"size\":9223372036854775808}", "Limit"],
    ["[".repeat(65), "Limit"],
    ["[".repeat(1_000_000), "Limit"]
  ])("refuses %s", (text, expected) => {
    assert.strictEqual(reason(text), expected)
  })

  it("refuses bytes that are not UTF-8", () => {
    assert.isTrue(Result.isFailure(Json.parse(new Uint8Array([0x22, 0xff, 0x22]), "test")))
    assert.isTrue(Result.isFailure(Json.parse(new Uint8Array([0x22, 0xc0, 0xaf, 0x22]), "test")))
  })

  it("reads 64 levels, and the largest number that is exact", () => {
    assert.isTrue(Result.isSuccess(parse("[".repeat(64) + "]".repeat(64))))
    assert.strictEqual(Result.getOrThrow(parse("9007199254740991")), Number.MAX_SAFE_INTEGER)
  })

  it("keeps __proto__ as a key like any other", () => {
    const value = Result.getOrThrow(parse("{\"__proto__\":{\"polluted\":1},\"constructor\":2}"))
    assert.strictEqual(JSON.stringify(value), "{\"__proto__\":{\"polluted\":1},\"constructor\":2}")
    assert.strictEqual(({} as { polluted?: unknown }).polluted, undefined)
  })
})
