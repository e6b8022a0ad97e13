import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as MediaType from "../src/MediaType.ts"

const { isConfig, isDocument, isForeign, isIndex, isLayer, isManifest, isSchema1 } = MediaType
const predicates = { isConfig, isDocument, isForeign, isIndex, isLayer, isManifest, isSchema1 }

const kindsOf = (mediaType: string) =>
  Object.entries(predicates).filter(([, is]) => is(mediaType)).map(([name]) => name)

describe("MediaType", () => {
  it.each([
    [MediaType.ociManifest, ["isDocument", "isManifest"]],
    [MediaType.dockerManifest, ["isDocument", "isManifest"]],
    [MediaType.ociIndex, ["isDocument", "isIndex"]],
    [MediaType.dockerManifestList, ["isDocument", "isIndex"]],
    [MediaType.dockerSchema1, ["isDocument", "isSchema1"]],
    [MediaType.dockerSchema1Signed, ["isDocument", "isSchema1"]],
    [MediaType.ociConfig, ["isConfig"]],
    [MediaType.dockerConfig, ["isConfig"]],
    [MediaType.ociEmpty, []],
    [MediaType.ociLayer, ["isLayer"]],
    [MediaType.ociLayerGzip, ["isLayer"]],
    [MediaType.ociLayerZstd, ["isLayer"]],
    [MediaType.dockerLayer, ["isLayer"]],
    [MediaType.dockerLayerGzip, ["isLayer"]],
    [MediaType.dockerForeignLayer, ["isForeign", "isLayer"]],
    [MediaType.ociLayerNondistributable, ["isForeign", "isLayer"]],
    [MediaType.ociLayerNondistributableGzip, ["isForeign", "isLayer"]],
    [MediaType.ociLayerNondistributableZstd, ["isForeign", "isLayer"]],
    ["application/xml", []],
    ["", []],
    ["__proto__", []]
  ])("%s is %j", (mediaType, kinds) => {
    assert.deepStrictEqual(kindsOf(mediaType), kinds)
  })

  it("asks for every document, and for nothing else", () => {
    assert.isTrue(MediaType.manifestTypes.every(MediaType.isDocument))
    assert.strictEqual(new Set(MediaType.manifestTypes).size, 6)
    assert.strictEqual(MediaType.manifestTypes[0], MediaType.ociIndex)
  })

  it.each([
    ["application/json", "application/json"],
    ["application/json;charset=utf-8", "application/json"],
    [" Application/JSON ; charset=\"a;b\"", "application/json"],
    [";charset=utf-8", ""],
    ["", ""]
  ])("strips %j to %j", (contentType, expected) => {
    assert.strictEqual(MediaType.withoutParameters(contentType), expected)
  })

  it.prop("strips once and for all", [Schema.String], ([text]) => {
    const stripped = MediaType.withoutParameters(text)
    assert.strictEqual(MediaType.withoutParameters(stripped), stripped)
    assert.notInclude(stripped, ";")
  })
})
