import * as Document from "@effect-oci/spec/Document"
import * as ImageConfig from "@effect-oci/spec/ImageConfig"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Tar from "effect/encoding/Tar"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as FakeImage from "../src/FakeImage.ts"
import * as FakeRegistry from "../src/FakeRegistry.ts"
import { digestOf } from "./registry.ts"

const documentOf = (part: FakeImage.Part) => Result.getOrThrow(Document.parse(part.bytes, part.descriptor.mediaType))

describe("FakeImage", () => {
  it.effect("names all it holds, and holds all it names", () =>
    Effect.gen(function*() {
      const image = yield* FakeImage.image()
      const contents = [
        image,
        yield* FakeImage.index({ layers: 2 }),
        yield* FakeImage.artifact({ artifactType: "application/x.sbom", subject: image })
      ]
      for (const { blobs, manifests, root } of contents) {
        const held = new Set<string>()
        for (const { bytes, descriptor } of [...blobs, ...manifests]) {
          assert.strictEqual(descriptor.digest, digestOf(bytes))
          assert.strictEqual(descriptor.size, bytes.length)
          held.add(descriptor.digest)
        }
        for (const part of manifests) {
          for (const { digest } of Document.successors(documentOf(part))) assert.isTrue(held.has(digest))
        }
        assert.deepStrictEqual(manifests.at(-1)!.descriptor, root)
      }
    }))

  it.effect("makes the same bytes of the same seed, and other bytes of another", () =>
    Effect.gen(function*() {
      const digest = (seed: string) => Effect.map(FakeImage.index({ seed, layers: 3 }), ({ root }) => root.digest)
      assert.strictEqual(yield* digest("a"), yield* digest("a"))
      assert.notStrictEqual(yield* digest("a"), yield* digest("b"))
      const { blobs } = yield* FakeImage.index({ layers: 3 })
      assert.strictEqual(new Set(blobs.map(({ descriptor }) => descriptor.digest)).size, 8)
    }))

  describe("image", () => {
    it.effect("is of its platform, and its layers are tars", () =>
      Effect.gen(function*() {
        const { blobs, manifests } = yield* FakeImage.image({ layers: 2, size: 5000, platform: "linux/arm64/v8" })
        const manifest = documentOf(manifests[0]!)
        assert.strictEqual(manifest._tag, "Manifest")
        const config = Result.getOrThrow(ImageConfig.parse(blobs.at(-1)!.bytes))
        assert.strictEqual(config.platform.architecture, "arm64")
        const layers = blobs.slice(0, 2)
        assert.deepStrictEqual(config.diffIds, layers.map(({ descriptor }) => descriptor.digest))
        for (const { bytes, descriptor } of layers) {
          assert.strictEqual(descriptor.mediaType, MediaType.ociLayer)
          const sizes = yield* Stream.make(bytes).pipe(
            Stream.pipeThroughChannel(Tar.decode()),
            Stream.mapEffect((entry) => Effect.as(Stream.runDrain(entry.body), entry.header.size)),
            Stream.runCollect
          )
          assert.deepStrictEqual(sizes.map(Number), [5000])
        }
      }))
  })

  describe("index", () => {
    it.effect("has an image for each platform", () =>
      Effect.gen(function*() {
        const { manifests } = yield* FakeImage.index({ platforms: ["linux/amd64", "windows/amd64", "linux/arm/v7"] })
        const index = documentOf(manifests.at(-1)!)
        assert.deepStrictEqual(
          index._tag === "ImageIndex" ? index.manifests.map(({ platform }) => platform) : [],
          [
            { os: "linux", architecture: "amd64" },
            { os: "windows", architecture: "amd64" },
            { os: "linux", architecture: "arm", variant: "v7" }
          ]
        )
      }))
  })

  describe("artifact", () => {
    it.effect("is about its subject", () =>
      Effect.gen(function*() {
        const subject = yield* FakeImage.image()
        const bytes = new TextEncoder().encode("<sbom/>")
        const content = yield* FakeImage.artifact({ artifactType: "application/x.sbom", subject, bytes })
        const manifest = documentOf(content.manifests[0]!)
        assert.strictEqual(manifest._tag === "Manifest" ? manifest.subject?.digest : "", subject.root.digest)
        assert.strictEqual(manifest._tag === "Manifest" ? manifest.artifactType : "", "application/x.sbom")
        assert.deepStrictEqual(content.blobs.at(-1)!.bytes, bytes)
      }))
  })

  it.effect("nests indexes, and refers to whatever has a digest", () =>
    Effect.gen(function*() {
      const inner = yield* FakeImage.indexOf([yield* FakeImage.image({ seed: "a" }), yield* FakeImage.index()])
      const outer = yield* FakeImage.indexOf([inner])
      const sbom = yield* FakeImage.artifact({
        artifactType: "application/x.sbom",
        subject: outer,
        bytes: new Uint8Array(3)
      })
      const signature = yield* FakeImage.artifact({ artifactType: "application/x.sig", subject: sbom.root })
      const subjects = [sbom, signature].map(({ manifests: [manifest] }) => documentOf(manifest!))
        .map((document) => document._tag === "Manifest" && document.subject?.digest)
      assert.deepStrictEqual(subjects, [outer.root.digest, sbom.root.digest])
      const fake = yield* FakeRegistry.FakeRegistry
      yield* fake.seed("r.test/a:outer", outer)
      for (const content of [sbom, signature]) yield* fake.seed("r.test/a", content)
      assert.deepStrictEqual(yield* fake.tags("r.test/a"), ["outer"])
      for (const { descriptor } of [...outer.manifests, ...sbom.manifests, ...signature.manifests]) {
        assert.isTrue(Option.isSome(yield* fake.manifest(`r.test/a@${descriptor.digest}`)))
      }
    }).pipe(Effect.provide(FakeRegistry.layer({ hosts: ["r.test"] }))))

  it.effect("holds any bytes, and what Docker had before 2016", () =>
    Effect.gen(function*() {
      const layer = yield* FakeImage.blob("layer")
      const text = JSON.stringify({ schemaVersion: 2, mediaType: "application/x.other", thing: layer.descriptor })
      const raw = yield* FakeImage.raw("application/x.other", text, { blobs: [layer] })
      const old = yield* FakeImage.schema1()
      const fake = yield* FakeRegistry.FakeRegistry
      yield* fake.seed("r.test/a:raw", raw)
      yield* fake.seed("r.test/a:old", old)
      const stored = Option.getOrThrow(yield* fake.manifest("r.test/a:raw"))
      assert.deepStrictEqual([stored.mediaType, new TextDecoder().decode(stored.bytes)], ["application/x.other", text])
      assert.deepStrictEqual(yield* fake.blob(`r.test/a@${layer.descriptor.digest}`), Option.some(layer.bytes))
      const signed = Option.getOrThrow(yield* fake.manifest("r.test/a:old"))
      assert.strictEqual(signed.mediaType, MediaType.dockerSchema1Signed)
      const { fsLayers, signatures } = JSON.parse(new TextDecoder().decode(signed.bytes))
      assert.deepStrictEqual(fsLayers, [{ blobSum: old.blobs[0]!.descriptor.digest }])
      // The payload that was signed: what was there before the signatures, and the tail that they were put before.
      const { formatLength, formatTail } = JSON.parse(atob(signatures[0].protected))
      const payload = new TextDecoder().decode(signed.bytes.slice(0, formatLength)) + atob(formatTail)
      assert.deepStrictEqual(JSON.parse(payload).fsLayers, fsLayers)
    }).pipe(Effect.provide(FakeRegistry.layer({ hosts: ["r.test"] }))))
})
