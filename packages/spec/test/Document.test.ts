import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Document from "../src/Document.ts"
import * as MediaType from "../src/MediaType.ts"

const digest = (character: string) => `sha256:${character.repeat(64)}`
const descriptor = (mediaType: string, character = "a", more: object = {}) => ({
  mediaType,
  digest: digest(character),
  size: 3,
  ...more
})
const config = descriptor(MediaType.ociConfig)
const layer = descriptor(MediaType.ociLayerGzip, "b")
const manifest = { schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers: [layer] }
const index = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: [descriptor(MediaType.ociManifest)] }

const parse = (document: unknown, contentType?: string) =>
  Document.parse(
    new TextEncoder().encode(typeof document === "string" ? document : JSON.stringify(document)),
    contentType
  )

const error = (document: unknown, contentType?: string) => Result.getOrThrow(Result.flip(parse(document, contentType)))

describe("Document", () => {
  it("reads a manifest, and what it leads to: the config, then the layers", () => {
    const read = Result.getOrThrow(parse(manifest, `${MediaType.ociManifest}; charset=utf-8`))
    assert.strictEqual(read._tag, "Manifest")
    assert.deepStrictEqual(Document.successors(read).map((member) => member.mediaType), [
      MediaType.ociConfig,
      MediaType.ociLayerGzip
    ])
  })

  it("reads an index with any descriptor in it", () => {
    const read = Result.getOrThrow(parse({ ...index, manifests: [descriptor("application/xml")] }))
    assert.deepStrictEqual(Document.successors(read).map((member) => member.mediaType), ["application/xml"])
  })

  it("keeps the bytes and the keys it does not know", () => {
    const text = JSON.stringify({ ...manifest, "x-more": [1], __proto__: null })
    const read = Result.getOrThrow(parse(text))
    assert.strictEqual(new TextDecoder().decode(read.bytes), text)
    assert.deepStrictEqual(read._tag === "Manifest" ? read.json["x-more"] : undefined, [1])
  })

  it.each([MediaType.dockerSchema1, MediaType.dockerSchema1Signed, "application/vnd.acme.thing"])(
    "passes %s on without reading it",
    (contentType) => {
      const read = Result.getOrThrow(parse(" {not even json", contentType))
      assert.strictEqual(read._tag, "Opaque")
      assert.deepStrictEqual(Document.successors(read), [])
    }
  )

  it.each(["text/html", "application/vnd.acme.thing", MediaType.dockerSchema1, "application/json", ""])(
    "takes no page for a document, though it comes as %s",
    (contentType) => {
      for (const page of ["<!doctype html><html></html>", "", "[]", "\u{feff}{}"]) {
        assert.isTrue(Result.isFailure(parse(page, contentType)), page)
      }
    }
  )

  it("reads null lists as empty ones", () => {
    const read = Result.getOrThrow(parse({ ...manifest, layers: null, annotations: null }))
    assert.strictEqual(Document.successors(read).length, 1)
  })

  it("reads lists in their order, twice the same layer included", () => {
    const members = ["c", "a", "b", "a"].map((character) => descriptor(MediaType.ociManifest, character))
    const read = Result.getOrThrow(parse({ ...index, manifests: members }))
    assert.deepStrictEqual(
      Document.successors(read).map((member) => member.digest as string),
      members.map((m) => m.digest)
    )
    const layers = [layer, layer, config]
    const image = Result.getOrThrow(parse({ ...manifest, layers }))
    assert.deepStrictEqual(
      Document.successors(image).map((member) => member.digest as string),
      [config, ...layers].map((m) => m.digest)
    )
  })

  it("reads the subject, the artifact type and annotations, and does not count the subject among the successors", () => {
    const subject = descriptor(MediaType.ociManifest, "f")
    const about = { subject, artifactType: "application/vnd.acme.sbom", annotations: { __proto__: null, a: "b" } }
    for (const document of [manifest, index]) {
      const read = Result.getOrThrow(parse({ ...document, ...about }))
      if (read._tag === "Opaque") assert.fail("was read as something unknown")
      assert.strictEqual(read.subject?.digest as string | undefined, subject.digest)
      assert.strictEqual(read.artifactType, "application/vnd.acme.sbom")
      assert.strictEqual(read.annotations["a"], "b")
      assert.isFalse(Document.successors(read).some((member) => member.digest === read.subject?.digest))
    }
  })

  it.each([
    [manifest, undefined, MediaType.ociManifest],
    [{ ...manifest, mediaType: undefined }, undefined, MediaType.ociManifest],
    [{ ...manifest, mediaType: undefined }, MediaType.dockerManifest, MediaType.dockerManifest],
    [{ ...manifest, mediaType: MediaType.dockerManifest }, "application/json", MediaType.dockerManifest],
    [{ ...index, mediaType: undefined }, "", MediaType.ociIndex],
    [{ ...index, mediaType: undefined }, MediaType.dockerManifestList, MediaType.dockerManifestList],
    [index, "Application/VND.OCI.image.index.v1+JSON ; charset=\"utf-8\"; q=1", MediaType.ociIndex],
    [{ mediaType: "application/vnd.acme.thing" }, "application/octet-stream", "application/vnd.acme.thing"]
  ])("takes %j served as %s for %s", (document, contentType, expected) => {
    assert.strictEqual(Result.getOrThrow(parse(document, contentType)).mediaType, expected)
  })

  it("keeps annotations whatever they are called", () => {
    const text = `{"schemaVersion":2,"manifests":[],"annotations":{"__proto__":"a","constructor":"b","toString":"c"}}`
    const read = Result.getOrThrow(parse(text))
    if (read._tag !== "ImageIndex") assert.fail("is an index")
    assert.strictEqual(
      JSON.stringify(read.annotations),
      "{\"__proto__\":\"a\",\"constructor\":\"b\",\"toString\":\"c\"}"
    )
    assert.strictEqual(read.annotations["hasOwnProperty"], undefined)
    assert.strictEqual(JSON.stringify(read.json), text)
  })

  it.each([
    ["Layers", { ...manifest, Layers: [] }],
    ["MANIFESTS", { ...manifest, MANIFESTS: [] }],
    ["MediaType", { ...manifest, MediaType: MediaType.ociIndex }],
    ["layer\u017f", { ...manifest, layerſ: [] }],
    ["Digest", { ...manifest, config: { ...config, Digest: digest("e") } }],
    ["SIZE", { ...index, manifests: [{ ...layer, SIZE: 4 }] }],
    ["OS", { ...index, manifests: [{ ...layer, platform: { os: "linux", architecture: "arm", OS: "windows" } }] }]
  ])("refuses the key %s, which others would read", (_, document) => {
    assert.include(error(document).detail, "which is not")
  })

  it.each([
    ["layers", { ...manifest, layers: {} }, "layers"],
    ["manifests", { ...index, manifests: "none" }, "manifests"],
    ["a layer", { ...manifest, layers: [layer, null] }, "layers[1]"],
    ["config", { ...manifest, config: null }, "config"],
    ["subject", { ...manifest, subject: [] }, "subject"],
    ["subject's digest", { ...manifest, subject: { ...layer, digest: "sha256:0" } }, "subject.digest"],
    ["artifactType", { ...manifest, artifactType: 1 }, "artifactType"],
    ["an annotation", { ...manifest, annotations: { a: "b", "c d": 1 } }, "annotations[\"c d\"]"],
    ["schemaVersion", { ...manifest, schemaVersion: "2" }, "schemaVersion"],
    ["platform", { ...index, manifests: [{ ...layer, platform: { os: 1 } }] }, "manifests[0].platform.os"]
  ])("says where %s is not of its type", (_, document, path) => {
    const found = error(document)
    assert.strictEqual(found.path, path)
    assert.strictEqual(found.reason, "Shape")
  })

  it("refuses what says in the body that it is a manifest, and is served as something unknown", () => {
    for (const contentType of [MediaType.dockerSchema1Signed, "application/vnd.acme.thing", "text/html"]) {
      assert.strictEqual(error(manifest, contentType).reason, "MediaType")
      assert.strictEqual(error(index, contentType).reason, "MediaType")
    }
  })

  it.each([
    "[]",
    "null",
    "1",
    "\"a\"",
    "",
    "{",
    "{\"schemaVersion\":2,\"schemaVersion\":2}",
    "{\"schemaVersion\":1}",
    "\ufeff{}"
  ])("refuses %j", (text) => {
    assert.isTrue(Result.isFailure(parse(text)))
    assert.isTrue(Result.isFailure(parse(text, MediaType.ociManifest)))
  })

  it("prints no control characters of a stranger", () => {
    const { message } = error({ ...manifest, mediaType: "\u001b]0;x\u0007".repeat(1000) }, MediaType.ociManifest)
    assert.isFalse([...message].some((character) => character < " "), message)
    assert.isBelow(message.length, 4096)
  })

  it.prop(
    "never throws, and gives back the bytes",
    [Schema.Uint8Array, Schema.UndefinedOr(Schema.String)],
    ([bytes, contentType]) => {
      const read = Document.parse(bytes, contentType)
      if (Result.isSuccess(read)) assert.strictEqual(read.success.bytes, bytes)
    }
  )

  it.prop("reads any JSON at any key without throwing", [
    Schema.Literals(["schemaVersion", "mediaType", "config", "layers", "subject", "annotations", "artifactType"]),
    Schema.fromJsonString(Schema.Json)
  ], ([key, value]) => {
    const read = parse({ ...manifest, [key]: value }, MediaType.ociManifest)
    if (Result.isFailure(read)) assert.strictEqual(read.failure._tag, "SpecError")
  })

  it("goes through a Schema and comes back as the same bytes", () => {
    const bytes = new TextEncoder().encode(JSON.stringify(manifest, undefined, 3))
    const read = Schema.decodeSync(Document.DocumentFromBytes)(bytes)
    assert.strictEqual(read._tag, "Manifest")
    assert.strictEqual(Schema.encodeSync(Document.DocumentFromBytes)(read), bytes)
    assert.throws(() => Schema.decodeSync(Document.DocumentFromBytes)(new Uint8Array(1)), /Invalid manifest/)
    assert.isFalse(Document.isDocument({ _tag: "Manifest" }))
  })

  it.each([
    ["both shapes", { ...manifest, manifests: [] }, undefined],
    [
      "both shapes, served as an index",
      { ...manifest, mediaType: MediaType.ociIndex, manifests: [] },
      MediaType.ociIndex
    ],
    ["an index served as a manifest", index, MediaType.ociManifest],
    ["a manifest served as an index", manifest, MediaType.ociIndex],
    ["a manifest that says it is an index", { ...manifest, mediaType: MediaType.ociIndex }, undefined],
    ["an index that says it is a manifest", { ...index, mediaType: MediaType.ociManifest }, undefined],
    ["no type, index shape, served as a manifest", { schemaVersion: 2, manifests: [] }, MediaType.ociManifest],
    ["no type, manifest shape, served as an index", { schemaVersion: 2, config, layers: [] }, MediaType.ociIndex],
    ["Docker's type served as OCI's", { ...manifest, mediaType: MediaType.dockerManifest }, MediaType.ociManifest],
    ["no type and no shape", { schemaVersion: 2 }, undefined],
    ["a type that is no string", { ...manifest, mediaType: 1 }, undefined],
    ["schema version 1 in schema 2's type", { ...manifest, schemaVersion: 1 }, MediaType.ociManifest]
  ])("refuses %s", (_, document, contentType) => {
    assert.isTrue(Result.isFailure(parse(document, contentType)))
  })

  it.each([
    ["size below 0", { size: -1 }],
    ["size with a fraction", { size: 1.5 }],
    ["size as text", { size: "3" }],
    ["no size", { size: undefined }],
    ["an unknown algorithm", { digest: `md5:${"a".repeat(32)}` }],
    ["a path for a digest", { digest: "sha256:../../x" }],
    ["upper case", { digest: digest("A") }],
    ["a number for a media type", { mediaType: 1 }],
    ["annotations of numbers", { annotations: { a: 1 } }],
    ["urls of numbers", { urls: [1] }],
    ["data that is not base64", { data: "!" }]
  ])("says where a descriptor has %s", (_, change) => {
    assert.include(error({ ...manifest, layers: [layer, { ...layer, ...change }] }).path, "layers[1]")
  })

  it("refuses more layers and members than anything has", () => {
    assert.strictEqual(error({ ...manifest, layers: Array(4097).fill(layer) }).reason, "Limit")
    assert.strictEqual(error({ ...index, manifests: Array(10_001).fill(layer) }).reason, "Limit")
    assert.isTrue(Result.isSuccess(parse({ ...manifest, layers: Array(4096).fill(layer) })))
    assert.isTrue(Result.isSuccess(parse({ ...index, manifests: Array(10_000).fill(layer) })))
  })
})
