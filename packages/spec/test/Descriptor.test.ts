import * as Digest from "@effect-oci/name/Digest"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Descriptor from "../src/Descriptor.ts"

const digest = `sha256:${"a".repeat(64)}`
const least = { mediaType: "application/xml", digest, size: 3 }
const decode = (value: unknown) => Result.getOrThrow(Descriptor.decode(value))
const error = (value: unknown) => Result.getOrThrow(Result.flip(Descriptor.decode(value)))

const Hex = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Literals([..."0123456789abcdef"])), { minLength: 128, maxLength: 128 }),
  (characters) => characters.join("")
)
const DigestText = Arbitrary.map(
  Arbitrary.all([Hex, Arbitrary.schema(Schema.Boolean)]),
  ([hex, isLong]) => Digest.parseUnsafe(isLong ? `sha512:${hex}` : `sha256:${hex.slice(64)}`)
)
const Rest = Schema.Struct({
  mediaType: Schema.String,
  size: Schema.Natural,
  urls: Schema.optionalKey(Schema.Array(Schema.String)),
  annotations: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  data: Schema.optionalKey(Schema.Uint8Array),
  artifactType: Schema.optionalKey(Schema.String),
  platform: Schema.optionalKey(Schema.Struct({
    os: Schema.String,
    architecture: Schema.String,
    variant: Schema.optionalKey(Schema.String),
    "os.version": Schema.optionalKey(Schema.String),
    "os.features": Schema.optionalKey(Schema.Array(Schema.String))
  }))
})
const Any = Arbitrary.map(
  Arbitrary.all([DigestText, Arbitrary.schema(Rest)]),
  ([digest, rest]) => Descriptor.make({ ...rest, digest })
)

const throughText = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe("Descriptor", () => {
  it("reads the least that a descriptor has", () => {
    assert.deepStrictEqual<unknown>(decode(least), least)
  })

  it("reads all that a descriptor may have", () => {
    const platform = { os: "linux", architecture: "arm", variant: "v7", "os.version": "1", "os.features": ["a"] }
    const full = { ...least, urls: ["https://a.example/b"], annotations: { a: "b" }, artifactType: "a/b", platform }
    const read = decode({ ...full, data: "AQID" })
    assert.deepStrictEqual(read.data, new Uint8Array([1, 2, 3]))
    assert.deepStrictEqual(throughText(Descriptor.toJson(read)), { ...full, data: "AQID" })
  })

  it("reads null as absent", () => {
    const nothing = { urls: null, annotations: null, data: null, artifactType: null, platform: null }
    assert.deepStrictEqual<unknown>(decode({ ...least, ...nothing }), least)
  })

  it("reads empty content", () => {
    assert.strictEqual(decode({ ...least, size: 0, data: "" }).data?.length, 0)
    assert.isTrue(Object.is(decode({ ...least, size: -0 }).size, 0))
  })

  it.each([
    [null, ""],
    [[], ""],
    ["a", ""],
    [{}, "digest"],
    [{ ...least, mediaType: undefined }, "mediaType"],
    [{ ...least, mediaType: null }, "mediaType"],
    [{ ...least, size: null }, "size"],
    [{ ...least, size: NaN }, "size"],
    [{ ...least, size: Infinity }, "size"],
    [{ ...least, size: 2 ** 53 }, "size"],
    [{ ...least, size: "3" }, "size"],
    [{ ...least, size: 3n }, "size"],
    [{ ...least, digest: 1 }, "digest"],
    [{ ...least, digest: "" }, "digest"],
    [{ ...least, digest: digest.toUpperCase() }, "digest"],
    [{ ...least, digest: digest.slice(1) }, "digest"],
    [{ ...least, digest: `${digest}0` }, "digest"],
    [{ ...least, digest: `sha384:${"a".repeat(96)}` }, "digest"],
    [{ ...least, digest: `sha1:${"a".repeat(40)}` }, "digest"],
    [{ ...least, digest: `sha256:../../../../../../${"a".repeat(46)}` }, "digest"],
    [{ ...least, urls: "a" }, "urls"],
    [{ ...least, urls: [null] }, "urls[0]"],
    [{ ...least, annotations: [] }, "annotations"],
    [{ ...least, annotations: { "": null } }, "annotations[\"\"]"],
    [{ ...least, data: "=" }, "data"],
    [{ ...least, data: [1] }, "data"],
    [{ ...least, artifactType: {} }, "artifactType"],
    [{ ...least, platform: "linux/amd64" }, "platform"],
    [{ ...least, platform: { architecture: 1 } }, "platform.architecture"],
    [{ ...least, platform: { "os.features": [1] } }, "platform.os.features[0]"],
    [{ ...least, Size: 4 }, ""]
  ])("refuses %o at %j", (value, path) => {
    assert.strictEqual(error(value).path, path)
  })

  it("keeps annotations whatever they are called", () => {
    const read = decode(JSON.parse(`{"mediaType":"a","digest":"${digest}","size":1,"annotations":{"__proto__":"x"}}`))
    assert.deepStrictEqual(Object.entries(read.annotations ?? {}), [["__proto__", "x"]])
    assert.include(JSON.stringify(Descriptor.toJson(read)), "\"__proto__\":\"x\"")
  })

  it.prop("reads what it writes", [Any], ([descriptor]) => {
    const read = decode(throughText(Descriptor.toJson(descriptor)))
    assert.deepStrictEqual(throughText(Descriptor.toJson(read)), throughText(Descriptor.toJson(descriptor)))
    assert.deepStrictEqual(read.data, descriptor.data)
  })

  it.prop("goes through its Schemas and comes back", [Any], ([descriptor]) => {
    assert.isTrue(Descriptor.isDescriptor(descriptor))
    for (const codec of [Schema.toCodecJson(Descriptor.Descriptor), Descriptor.DescriptorFromJson]) {
      const back = Schema.decodeUnknownSync(codec)(throughText(Schema.encodeSync(codec)(descriptor)))
      assert.deepStrictEqual(throughText(Descriptor.toJson(back)), throughText(Descriptor.toJson(descriptor)))
      assert.deepStrictEqual(back.data, descriptor.data)
    }
  })

  it.prop("never throws", [Schema.fromJsonString(Schema.Json)], ([value]) => {
    Descriptor.decode(value)
    Descriptor.decode({ ...least, platform: value, annotations: value, data: value })
  })

  it("tells descriptors from other values", () => {
    for (const value of [undefined, null, {}, { ...least, digest: "a" }, { ...least, annotations: null }]) {
      assert.isFalse(Descriptor.isDescriptor(value))
    }
  })
})
