import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as NameList from "../src/NameList.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

describe("NameList", () => {
  it.each([
    ["{\"name\":\"a/b\",\"tags\":[\"1\",\"2\"]}", ["1", "2"]],
    ["{\"name\":\"a/b\",\"tags\":[]}", []],
    ["{\"name\":\"a/b\",\"tags\":null}", []],
    ["{\"name\":\"a/b\"}", []],
    ["{}", []]
  ])("reads the tags of %s", (text, expected) => {
    assert.deepStrictEqual(Result.getOrThrow(NameList.tags(bytes(text))), expected)
  })

  it("reads repositories", () => {
    assert.deepStrictEqual(Result.getOrThrow(NameList.repositories(bytes("{\"repositories\":[\"a\",\"b/c\"]}"))), [
      "a",
      "b/c"
    ])
    assert.deepStrictEqual(Result.getOrThrow(NameList.repositories(bytes("{\"repositories\":null}"))), [])
  })

  it.each([
    ["{\"tags\":{}}", "tags"],
    ["{\"tags\":\"a\"}", "tags"],
    ["{\"tags\":[\"a\",1]}", "tags[1]"],
    ["[\"a\"]", ""],
    ["<html>", ""],
    ["", ""]
  ])("refuses %s", (text, path) => {
    const error = Result.getOrThrow(Result.flip(NameList.tags(bytes(text))))
    assert.strictEqual(error.path, path)
    assert.strictEqual(error.document, "tag list")
  })

  it.prop("reads any list of names", [Schema.Array(Schema.String)], ([names]) => {
    const tags = names.filter((name) => name.isWellFormed())
    assert.deepStrictEqual(Result.getOrThrow(NameList.tags(bytes(JSON.stringify({ tags })))), tags)
  })

  it.prop("never throws", [Schema.Uint8Array], ([bytes]) => {
    NameList.tags(bytes)
    NameList.repositories(bytes)
  })
})
