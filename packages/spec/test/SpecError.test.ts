import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { SpecError } from "../src/SpecError.ts"

describe("SpecError", () => {
  it("says what is wrong, and where", () => {
    const error = new SpecError({
      document: "manifest",
      path: "layers[2].size",
      reason: "Shape",
      detail: "must be a number"
    })
    assert.strictEqual(error.message, "Invalid manifest at layers[2].size: must be a number")
  })

  it("says what is wrong with all of it", () => {
    const error = new SpecError({ document: "index", path: "", reason: "Syntax", detail: "is not UTF-8" })
    assert.strictEqual(error.message, "Invalid index: is not UTF-8")
  })

  it("can be sent as JSON", () => {
    const error = new SpecError({ document: "index", path: "", reason: "Limit", detail: "is too deep" })
    const codec = Schema.toCodecJson(SpecError)
    const back = Schema.decodeUnknownSync(codec)(JSON.parse(JSON.stringify(Schema.encodeSync(codec)(error))))
    assert.instanceOf(back, SpecError)
    assert.strictEqual(back.message, error.message)
  })
})
