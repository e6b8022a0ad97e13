import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as ErrorBody from "../src/ErrorBody.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const parse = (text: string) => ErrorBody.parse(bytes(text))

describe("ErrorBody", () => {
  it("names the fourteen codes of the specification", () => {
    assert.strictEqual(new Set(ErrorBody.codes).size, 14)
    assert.isTrue(ErrorBody.codes.every((code) => /^[A-Z_]+$/.test(code)))
  })

  it("reads code, message and detail", () => {
    const detail = { Tag: "x" }
    const [entry, ...others] = parse(
      JSON.stringify({ errors: [{ code: "MANIFEST_UNKNOWN", message: "gone", detail }] })
    )
    assert.strictEqual(entry?.code, "MANIFEST_UNKNOWN")
    assert.strictEqual(entry?.message, "gone")
    assert.strictEqual(JSON.stringify(entry?.detail), JSON.stringify(detail))
    assert.deepStrictEqual(others, [])
  })

  it.each([
    "",
    "{",
    "null",
    "[]",
    "<html>502</html>",
    "{\"errors\":null}",
    "{\"errors\":{}}",
    "{\"errors\":[null,1,\"a\",[]]}",
    "{\"message\":\"no\"}"
  ])(
    "has no entries for %j",
    (text) => {
      assert.deepStrictEqual(parse(text), [])
    }
  )

  it("reads as much of an entry as there is", () => {
    assert.deepStrictEqual(parse("{\"errors\":[{\"code\":1},{\"message\":\"m\",\"detail\":null}]}"), [
      { code: "UNKNOWN", message: "", detail: undefined },
      { code: "UNKNOWN", message: "m", detail: null }
    ])
  })

  it.each([
    ["a byte order mark", "\ufeff{\"errors\":[{\"code\":\"DENIED\",\"message\":\"m\"}]}"],
    ["a large number", "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"m\",\"detail\":9223372036854775807}]}"],
    ["a key twice", "{\"errors\":[{\"code\":\"DENIED\",\"code\":\"DENIED\",\"message\":\"m\"}]}"],
    ["deep detail", `{"errors":[{"code":"DENIED","message":"m","detail":${"[".repeat(1000)}${"]".repeat(1000)}}]}`]
  ])("keeps the code of a body with %s, without the detail", (_, text) => {
    assert.deepStrictEqual(parse(text), [{ code: "DENIED", message: "m", detail: undefined }])
  })

  it("reads at most a hundred entries", () => {
    assert.strictEqual(
      parse(JSON.stringify({ errors: Array.from({ length: 1000 }, () => ({ code: "DENIED" })) })).length,
      100
    )
  })

  const Entry = Schema.Struct({ code: Schema.String, message: Schema.String, detail: Schema.Json })

  it.prop("reads what it writes", [Schema.Array(Entry)], ([entries]) => {
    const read = ErrorBody.parse(ErrorBody.encode(entries.slice(0, 100)))
    assert.deepStrictEqual(
      read.map(({ code, message }) => ({ code, message })),
      entries.slice(0, 100).map(({ code, message }) => ({ code, message }))
    )
  })

  it.prop("never throws", [Schema.Uint8Array], ([bytes]) => {
    ErrorBody.parse(bytes)
  })
})
