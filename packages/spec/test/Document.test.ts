import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
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
      const read = Result.getOrThrow(parse("not even json", contentType))
      assert.strictEqual(read._tag, "Opaque")
      assert.deepStrictEqual(Document.successors(read), [])
    }
  )

  it("reads null lists as empty ones", () => {
    const read = Result.getOrThrow(parse({ ...manifest, layers: null, annotations: null }))
    assert.strictEqual(Document.successors(read).length, 1)
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

  it("refuses more layers than any image has", () => {
    assert.strictEqual(error({ ...manifest, layers: Array(4097).fill(layer) }).reason, "Limit")
  })
})
