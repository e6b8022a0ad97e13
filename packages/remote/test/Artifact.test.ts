import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Remote from "../src/Remote.ts"
import { layer, requestsOf } from "./registries.ts"

const app = "ghcr.io/acme/app"
const bytes = new Uint8Array([1, 2, 3])

describe("Artifact", () => {
  it.effect("says what it is, and what it is about", () =>
    Effect.gen(function*() {
      const fake = yield* FakeRegistry.FakeRegistry
      const image = yield* FakeImage.image()
      yield* fake.seed(`${app}:1`, image)
      yield* fake.seed(`${app}:sbom`, FakeImage.artifact({ artifactType: "application/sbom", subject: image, bytes }))
      const artifact = yield* (yield* Remote.Remote).artifact(`${app}:sbom`)
      assert.strictEqual(artifact.artifactType, "application/sbom")
      assert.strictEqual(artifact.subject?.digest, image.root.digest)
      assert.strictEqual(artifact.manifest.layers.length, 1)
    }).pipe(Effect.provide(layer())))

  it.effect("is of its config's type where it says none, as an image is", () =>
    Effect.gen(function*() {
      yield* (yield* FakeRegistry.FakeRegistry).seed(`${app}:1`, FakeImage.image())
      const artifact = yield* (yield* Remote.Remote).artifact(`${app}:1`)
      assert.strictEqual(artifact.artifactType, MediaType.ociConfig)
      assert.isUndefined(artifact.subject)
    }).pipe(Effect.provide(layer())))

  it.effect("fetches what it holds when the bytes are asked for, not before", () =>
    Effect.gen(function*() {
      const fake = yield* FakeRegistry.FakeRegistry
      yield* fake.seed(`${app}:1`, FakeImage.artifact({ artifactType: "application/sbom", bytes }))
      const remote = yield* Remote.Remote
      const read = yield* requestsOf(remote.artifact(`${app}:1`))
      assert.isFalse(read.made.some(({ path }) => path.includes("/blobs/")))
      const [blob] = read.result.blobs
      const fetched = yield* requestsOf(Stream.mkUint8Array(blob!.bytes))
      assert.deepStrictEqual(fetched.result, bytes)
      assert.deepStrictEqual(fetched.made.map(({ path }) => path), [`/v2/acme/app/blobs/${blob!.descriptor.digest}`])
    }).pipe(Effect.provide(layer())))

  it.effect("is no index", () =>
    Effect.gen(function*() {
      const index = yield* FakeImage.index()
      yield* (yield* FakeRegistry.FakeRegistry).seed(`${app}:1`, index)
      const error = yield* Effect.flip((yield* Remote.Remote).artifact(`${app}:1`))
      assert.isTrue(error._tag === "ContentError" && error.reason._tag === "Unsupported")
      assert.include(error.message, `${index.root.digest} is a ${MediaType.ociIndex}, not an artifact`)
    }).pipe(Effect.provide(layer())))
})
