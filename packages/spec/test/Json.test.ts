import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Json from "../src/Json.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const parse = (text: string) => Json.parse(bytes(text), "test")
const reason = (text: string) => Result.getOrThrow(Result.flip(parse(text))).reason

// Pieces of JSON, which put together at random are often nearly JSON and sometimes JSON.
const Pieces = Arbitrary.array(
  Arbitrary.schema(Schema.Literals([
    "{",
    "}",
    "[",
    "]",
    "[\"a\",",
    "\"b\"]",
    ",",
    ":",
    " ",
    "\n",
    "\ufeff",
    "\"a\"",
    "\"b\"",
    "\"__proto__\"",
    "\"\\u0061\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\",
    "\"",
    "\\",
    "é",
    "0",
    "1",
    "-",
    "1.5e3",
    "1e400",
    "9007199254740993",
    "true",
    "null",
    "nul"
  ])),
  { maxLength: 24 }
)
// What is refused beyond what JSON refuses.
const strictness = /twice|surrogate|byte order mark|2\^53/

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

  it.prop("takes and refuses what JSON.parse does, but for what it names", [Pieces], ([pieces]) => {
    const text = pieces.join("")
    const result = parse(text)
    if (Result.isFailure(result) && strictness.test(result.failure.detail)) return
    const expected = Result.try(() => JSON.parse(text) as unknown)
    assert.strictEqual(result._tag, expected._tag, text)
    if (Result.isSuccess(result) && Result.isSuccess(expected)) {
      assert.strictEqual(JSON.stringify(result.success), JSON.stringify(expected.success))
    }
  })

  it.prop("reads lists of names as other lists", [Arbitrary.array(Pieces)], ([lists]) => {
    const text = `[${lists.map((pieces) => JSON.stringify(pieces.join(""))).join(", ")}]`
    const [whole, apart] = [parse(text), parse(`[null,${text.slice(1)}`)]
    if (lists.length === 0) return
    assert.deepStrictEqual(whole._tag, apart._tag)
    if (Result.isSuccess(whole) && Result.isSuccess(apart)) {
      assert.deepStrictEqual([null, ...whole.success as Array<unknown>], apart.success)
    }
  })

  it.prop("reads indented documents alike", [Schema.fromJsonString(Schema.Json)], ([value]) => {
    const text = JSON.stringify(value, undefined, "\t\r\n ")
    const result = parse(text)
    if (Result.isFailure(result) && strictness.test(result.failure.detail)) return
    assert.strictEqual(JSON.stringify(Result.getOrThrow(result)), JSON.stringify(value))
  })

  it.prop("never throws on any bytes", [
    Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))))
  ], ([values]) => {
    Json.parse(Uint8Array.from(values), "test")
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
    ["{\"__proto__\":1,\"__proto__\":2}", "Syntax"],
    ["\"\\udc00\\ud800\"", "Syntax"],
    ["{\"\\ud800\":1}", "Syntax"],
    ["\"\\u12\"", "Syntax"],
    ["\"\u0000\"", "Syntax"],
    ["\"abc", "Syntax"],
    ["\"abc\\", "Syntax"],
    ["tru", "Syntax"],
    ["truee", "Syntax"],
    ["1.", "Syntax"],
    [".5", "Syntax"],
    ["-", "Syntax"],
    ["1e", "Syntax"],
    ["0x10", "Syntax"],
    ["\u00a0{}", "Syntax"],
    ["/**/{}", "Syntax"],
    ["{\"size\":-9007199254740993}", "Limit"],
    ["1e400", "Limit"],
    ["{\"a\":".repeat(65), "Limit"],
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

  it.each([
    ["a truncated character", [0x22, 0xe2, 0x82, 0x22]],
    ["a surrogate in UTF-8", [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ["an overlong quotation mark", [0xc0, 0xa2]],
    ["UTF-16", [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]]
  ])("refuses %s, and reads what comes next", (_, values) => {
    assert.isTrue(Result.isFailure(Json.parse(Uint8Array.from(values), "test")))
    assert.isTrue(Result.isSuccess(parse("{\"a\":\"é\"}")))
  })

  it.each([
    ["{\"layers\":[{},{\"size\":9007199254740993}]}", "layers[1].size"],
    ["[[0,1e999]]", "[0][1]"],
    ["{\"annotations\":{\"a b\":{\"x\":1,\"x\":2}}}", "annotations[\"a b\"]"],
    ["{\"a\":1,\"a\":2}", ""]
  ])("says where %s is wrong", (text, path) => {
    assert.strictEqual(Result.getOrThrow(Result.flip(parse(text))).path, path)
  })

  it("says nothing in an error that a terminal would obey", () => {
    const key = "\u001b[2J\u009b31m\u202egnp.exe" + "x".repeat(10_000)
    const { message } = Result.getOrThrow(Result.flip(parse(`{${JSON.stringify(key)}:1,${JSON.stringify(key)}:2}`)))
    assert.isFalse([...message].some((character) => /[\p{Cc}\p{Cf}]/u.test(character)), message)
    assert.isBelow(message.length, 256)
  })

  it("reads long strings, with and without escapes", () => {
    for (const text of ["x".repeat(5_000_000), "x\"\\\n".repeat(1_000_000)]) {
      assert.isTrue(Result.getOrThrow(parse(JSON.stringify(text))) === text)
    }
  })

  it.each(["[", "{\"a\":", "\"", "\\", "-", "9", "1e", " ", ",", "[]", "\"\\u"])(
    "takes a million times %j in its stride",
    (text) => {
      assert.isTrue(Result.isFailure(parse(text.repeat(1_000_000))))
    }
  )

  it("reads 64 levels, and the largest number that is exact", () => {
    assert.isTrue(Result.isSuccess(parse("[".repeat(64) + "]".repeat(64))))
    assert.strictEqual(Result.getOrThrow(parse("9007199254740991")), Number.MAX_SAFE_INTEGER)
  })

  it("keeps __proto__ as a key like any other", () => {
    const value = Result.getOrThrow(parse("{\"__proto__\":{\"polluted\":1},\"constructor\":2}"))
    assert.strictEqual(JSON.stringify(value), "{\"__proto__\":{\"polluted\":1},\"constructor\":2}")
    assert.strictEqual(({} as { polluted?: unknown }).polluted, undefined)
    assert.strictEqual(Object.getPrototypeOf(value), null)
  })

  it("gives back what was formatted", () => {
    const value = { a: [1, "ü", null, { b: true }] }
    assert.deepStrictEqual(
      JSON.stringify(Result.getOrThrow(Json.parse(Json.format(value), "test"))),
      JSON.stringify(value)
    )
  })
})
