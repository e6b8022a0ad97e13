import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Remote from "../src/Remote.ts"
import { layer, requestsOf } from "./registries.ts"

const app = "ghcr.io/acme/app"

/** An index of two images, an index of one, and an artifact. */
const nested = Effect.gen(function*() {
  const fake = yield* FakeRegistry.FakeRegistry
  const images = yield* FakeImage.index({ seed: "outer" })
  const inner = yield* FakeImage.index({ platforms: ["linux/s390x"], seed: "inner" })
  const artifact = yield* FakeImage.artifact({ artifactType: "application/sbom", bytes: new Uint8Array([1, 2, 3]) })
  yield* fake.seed(`${app}:1`, FakeImage.indexOf([images, inner, artifact]))
  const index = yield* (yield* Remote.Remote).index(`${app}:1`)
  return { images, inner, artifact, index }
})

describe("ImageIndex", () => {
  it.effect("reads its members when they are asked for, each once", () =>
    Effect.gen(function*() {
      const { index, inner } = yield* nested
      const first = yield* requestsOf(index.nested(inner.root))
      assert.strictEqual(first.lines.length, 1)
      assert.strictEqual(first.result.descriptor.digest, inner.root.digest)
      assert.strictEqual(first.result.index.manifests.length, 1)
      const again = yield* requestsOf(Effect.all([index.nested(inner.root), index.nested(inner.root)]))
      assert.deepStrictEqual(again.lines, [])
    }).pipe(Effect.provide(layer())))

  it.effect("offers the image for a platform, of an index within it as well", () =>
    Effect.gen(function*() {
      const { images, index, inner } = yield* nested
      const arm = yield* index.image({ os: "linux", architecture: "arm64" })
      assert.strictEqual(arm.descriptor.digest, images.manifests[1]!.descriptor.digest)
      const mainframe = yield* index.image({ os: "linux", architecture: "s390x" })
      assert.strictEqual(mainframe.descriptor.digest, inner.manifests[0]!.descriptor.digest)
      assert.strictEqual(
        (yield* Effect.flip(index.image({ os: "plan9", architecture: "mips" }))).reason._tag,
        "NotFound"
      )
    }).pipe(Effect.provide(layer())))

  it.effect("gives the bytes of a member of any kind", () =>
    Effect.gen(function*() {
      const { artifact, index, inner } = yield* nested
      for (const { manifests, root } of [artifact, inner]) {
        const bytes = yield* Stream.mkUint8Array(index.member(root))
        assert.deepStrictEqual(bytes, manifests.at(-1)!.bytes)
      }
    }).pipe(Effect.provide(layer())))

  it.effect("refuses what is no index, by what it is", () =>
    Effect.gen(function*() {
      const { artifact, index } = yield* nested
      const error = yield* Effect.flip(index.nested(artifact.root))
      assert.strictEqual(error.reason._tag, "Unsupported")
      assert.include(error.message, `${artifact.root.digest} is a ${artifact.root.mediaType}, not an index`)
    }).pipe(Effect.provide(layer())))
})
