import * as Bytes from "@effect-oci/content/Bytes"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Platform from "@effect-oci/spec/Platform"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Subset from "../src/Subset.ts"
import { json } from "./image.ts"
import { storeOf } from "./registries.ts"

const platforms = (...texts: ReadonlyArray<string>) => texts.map((text) => Result.getOrThrow(Platform.parse(text)))

const membersOf = Effect.fnUntraced(function*({ descriptor, store }: Subset.Placed) {
  const bytes = yield* Bytes.collect({ location: "" })(store.fetch(descriptor))
  const document = Result.getOrThrow(Document.parse(bytes, descriptor.mediaType))
  return document._tag === "ImageIndex" ? document : yield* Effect.die("no index")
})

const attestationOf = Effect.fnUntraced(function*(image: FakeImage.Content) {
  const content = yield* FakeImage.artifact({
    artifactType: "application/vnd.in-toto+json",
    bytes: json(image.root.digest)
  })
  return {
    ...content,
    root: {
      ...content.root,
      platform: { os: "unknown", architecture: "unknown" },
      annotations: {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image.root.digest
      }
    }
  }
})

describe("Subset", () => {
  it.effect("leaves in what fits, with its attestation, and nothing else", () =>
    Effect.gen(function*() {
      const [amd, arm, s390] = yield* Effect.forEach(["linux/amd64", "linux/arm64", "linux/s390x"], (platform) =>
        FakeImage.image({ platform, seed: platform.replaceAll("/", "-") }))
      const index = yield* FakeImage.indexOf(
        [amd!, arm!, s390!, yield* attestationOf(arm!), yield* attestationOf(amd!)],
        { annotations: { kept: "yes" } }
      )
      const subset = yield* Subset.of(yield* storeOf(index), platforms("linux/arm64", "linux/s390x"))
      const made = yield* membersOf(subset)
      assert.notStrictEqual(subset.descriptor.digest, index.root.digest)
      assert.deepStrictEqual(
        made.manifests.map(({ digest }) =>
          digest
        ),
        [
          arm!.root.digest,
          s390!.root.digest,
          (yield* attestationOf(arm!)).root.digest
        ]
      )
      assert.strictEqual(made.annotations["kept"], "yes")
    }))

  it.effect("is the index as it was where nothing is left out", () =>
    Effect.gen(function*() {
      const placed = yield* storeOf(yield* FakeImage.index())
      const subset = yield* Subset.of(placed, platforms("linux/arm64", "linux/amd64"))
      assert.strictEqual(subset.descriptor, placed.descriptor)
    }))

  it.effect("leaves out what was inline of a nested index that is made anew", () =>
    Effect.gen(function*() {
      const inner = yield* FakeImage.index({ platforms: ["linux/amd64", "linux/arm64"] })
      const outer = yield* storeOf(yield* FakeImage.indexOf([inner]))
      const { bytes } = inner.manifests.find(({ descriptor }) => descriptor.digest === inner.root.digest)!
      const descriptor = yield* outer.store.add(
        MediaType.ociIndex,
        json({ schemaVersion: 2, manifests: [Descriptor.toJson({ ...inner.root, data: bytes })] })
      )
      const subset = yield* Subset.of({ ...outer, descriptor }, platforms("linux/arm64"))
      const [nested] = (yield* membersOf(subset)).manifests
      assert.notStrictEqual(nested?.digest, inner.root.digest)
      assert.isUndefined(nested?.data)
    }))

  it.effect("makes nested indexes anew", () =>
    Effect.gen(function*() {
      const inner = yield* FakeImage.index({ platforms: ["linux/amd64", "linux/arm64"], seed: "inner" })
      const outer = yield* FakeImage.image({ platform: "linux/s390x", seed: "outer" })
      const subset = yield* Subset.of(
        yield* storeOf(yield* FakeImage.indexOf([inner, outer])),
        platforms("linux/arm64")
      )
      const [nested, ...rest] = (yield* membersOf(subset)).manifests
      assert.deepStrictEqual(rest, [])
      const members = yield* membersOf({ store: subset.store, descriptor: nested! })
      assert.deepStrictEqual(members.manifests.map(({ platform }) => Platform.format(platform!)), ["linux/arm64"])
    }))

  it.effect("fails where a platform is not to be had, and takes an image for its own", () =>
    Effect.gen(function*() {
      const index = yield* storeOf(yield* FakeImage.index())
      const error = yield* Effect.flip(Subset.of(index, platforms("linux/amd64", "linux/s390x")))
      assert.include(error.message, "linux/s390x")
      const image = yield* storeOf(yield* FakeImage.image({ platform: "linux/arm64" }))
      assert.strictEqual((yield* Subset.of(image, platforms("linux/arm64"))).descriptor, image.descriptor)
      assert.include((yield* Effect.flip(Subset.of(image, platforms("linux/amd64")))).message, "linux/amd64")
      const store = MemoryStore.make()
      const opaque = yield* store.add("application/vnd.acme", json({}))
      assert.strictEqual(
        (yield* Effect.flip(Subset.of({ store, descriptor: opaque }, platforms("linux/amd64")))).reason._tag,
        "Unsupported"
      )
    }))
})
