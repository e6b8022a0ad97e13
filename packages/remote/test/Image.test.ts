import * as Compression from "@effect-oci/content/Compression"
import * as Hasher from "@effect-oci/content/Hasher"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Platform from "@effect-oci/spec/Platform"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Stream from "effect/Stream"
import * as Remote from "../src/Remote.ts"
import { bytes, json } from "./image.ts"
import { layer, requestsOf } from "./registries.ts"

const app = "ghcr.io/acme/app"
const linux = (architecture: string, variant?: string): Platform.Platform => ({
  os: "linux",
  architecture,
  ...(variant === undefined ? {} : { variant })
})

const gzip = (data: Uint8Array) =>
  Stream.mkUint8Array(Compression.compress("gzip", { location: "test" })(Stream.succeed(data)))

const digestOf = (data: Uint8Array) => Effect.map(Hasher.Hashing, (start) => Hasher.digestOf(start, data))

/** An image whose layer is compressed, pushed; `diffId` is the right one unless told. */
const compressed = Effect.fnUntraced(function*(diffId?: string) {
  const store = MemoryStore.make()
  const plain = bytes(300_000, 7)
  const layer = yield* store.add(MediaType.ociLayerGzip, yield* gzip(plain))
  const config = yield* store.add(
    MediaType.ociConfig,
    json({
      os: "linux",
      architecture: "amd64",
      rootfs: { type: "layers", diff_ids: [diffId ?? (yield* digestOf(plain))] }
    })
  )
  const descriptor = yield* store.add(MediaType.ociManifest, json({ schemaVersion: 2, config, layers: [layer] }))
  const remote = yield* Remote.Remote
  yield* remote.copy({ store, descriptor }, `${app}:1`)
  return { plain, layer, config }
})

/** Puts a manifest that names what is not there. */
const manifest = Effect.fnUntraced(function*(value: object, mediaType: string = MediaType.ociManifest) {
  const fake = yield* FakeRegistry.FakeRegistry
  const data = json({ schemaVersion: 2, mediaType, ...value })
  const root = { mediaType, digest: yield* digestOf(data), size: data.length }
  yield* fake.seed(`${app}:1`, { root, blobs: [], manifests: [{ descriptor: root, bytes: data }] })
  return root
})

const described = Effect.fnUntraced(function*(mediaType: string, data: Uint8Array) {
  return { mediaType, digest: yield* digestOf(data), size: data.length } satisfies Descriptor.Descriptor
})

const configOf = (architecture: string) => json({ os: "linux", architecture, rootfs: { type: "layers", diff_ids: [] } })

describe("Image", () => {
  describe("config", () => {
    it.effect("is fetched once, by however many it is asked for at once", () =>
      Effect.gen(function*() {
        yield* compressed()
        const remote = yield* Remote.Remote
        const image = yield* remote.image(`${app}:1`)
        const { lines } = yield* requestsOf(
          Effect.all([image.config, image.config, image.layers[0]!.diffId, image.config], { concurrency: "unbounded" })
        )
        assert.strictEqual(lines.length, 1)
      }).pipe(Effect.provide(layer())))

    it.effect("is asked for again where it failed", () =>
      Effect.gen(function*() {
        const { config } = yield* compressed()
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(Fault.status(404).on("GET", config.digest))
        const image = yield* remote.image(`${app}:1`)
        assert.include((yield* Effect.flip(image.config)).message, "404")
        assert.strictEqual((yield* image.config).platform.architecture, "amd64")
      }).pipe(Effect.provide(layer())))

    it.effect("comes with its descriptor where that has it, and is not asked for", () =>
      Effect.gen(function*() {
        const data = configOf("amd64")
        const config = { ...(yield* described(MediaType.ociConfig, data)), data: Base64.encode(data) }
        yield* manifest({ config, layers: [] })
        const remote = yield* Remote.Remote
        const image = yield* remote.image(`${app}:1`)
        const { lines, result } = yield* requestsOf(image.config)
        assert.strictEqual(result.platform.architecture, "amd64")
        assert.deepStrictEqual(lines, [])
      }).pipe(Effect.provide(layer())))

    it.effect("A42: believes nothing inline that is not what the descriptor says", () =>
      Effect.gen(function*() {
        const data = configOf("amd64")
        const right = yield* described(MediaType.ociConfig, data)
        const remote = yield* Remote.Remote
        const lies = [
          { ...right, data: Base64.encode(configOf("arm64")) },
          { ...right, data: Base64.encode(data.subarray(1)) },
          { ...right, size: right.size + 1, data: Base64.encode(data) }
        ]
        for (const config of lies) {
          yield* manifest({ config, layers: [] })
          const image = yield* remote.image(`${app}:1`)
          const { lines, result } = yield* requestsOf(Effect.flip(image.config))
          assert.include(["DigestMismatch", "SizeMismatch"], result.reason._tag)
          assert.deepStrictEqual(lines, [])
        }
      }).pipe(Effect.provide(layer())))

    it.effect("A46: of 1 GB is not asked for", () =>
      Effect.gen(function*() {
        const config = { ...(yield* described(MediaType.ociConfig, new Uint8Array(1))), size: 1_000_000_000 }
        yield* manifest({ config, layers: [] })
        const remote = yield* Remote.Remote
        const image = yield* remote.image(`${app}:1`)
        const { lines, result } = yield* requestsOf(Effect.flip(image.config))
        assert.include(result.message, "too large")
        assert.deepStrictEqual(lines, [])
      }).pipe(Effect.provide(layer())))
  })

  describe("layers", () => {
    it.effect("are read compressed and uncompressed, both verified", () =>
      Effect.gen(function*() {
        const { layer, plain } = yield* compressed()
        const remote = yield* Remote.Remote
        const [first] = (yield* remote.image(`${app}:1`)).layers
        assert.strictEqual((yield* Stream.mkUint8Array(first!.compressed)).length, layer.size)
        assert.deepStrictEqual(yield* Stream.mkUint8Array(first!.uncompressed), plain)
      }).pipe(Effect.provide(layer())))

    it.effect("fail uncompressed where the config names other bytes", () =>
      Effect.gen(function*() {
        yield* compressed(`sha256:${"0".repeat(64)}`)
        const remote = yield* Remote.Remote
        const [first] = (yield* remote.image(`${app}:1`)).layers
        const error = yield* Effect.flip(Stream.runDrain(first!.uncompressed))
        assert.strictEqual(error.reason._tag, "DigestMismatch")
      }).pipe(Effect.provide(layer())))

    it.effect("fail uncompressed where the config has another number of them", () =>
      Effect.gen(function*() {
        const data = configOf("amd64")
        const of = yield* described(MediaType.ociLayer, bytes(10, 1))
        const config = { ...(yield* described(MediaType.ociConfig, data)), data: Base64.encode(data) }
        yield* manifest({ config, layers: [of] })
        const remote = yield* Remote.Remote
        const [first] = (yield* remote.image(`${app}:1`)).layers
        assert.include((yield* Effect.flip(Stream.runDrain(first!.uncompressed))).message, "0 diff_ids for 1 layers")
      }).pipe(Effect.provide(layer())))

    it.effect("are had alone by their digest", () =>
      Effect.gen(function*() {
        const { layer, plain } = yield* compressed()
        const remote = yield* Remote.Remote
        const alone = yield* remote.layer(`${app}@${layer.digest}`)
        assert.strictEqual(alone.descriptor.size, layer.size)
        assert.deepStrictEqual(yield* Stream.mkUint8Array(alone.uncompressed), plain)
      }).pipe(Effect.provide(layer())))
  })

  describe("read", () => {
    it.effect("takes no attestation for an image, whatever platform it says", () =>
      Effect.gen(function*() {
        const image = yield* FakeImage.image({ platform: "linux/amd64", seed: "image" })
        const attestation = yield* FakeImage.image({ platform: "linux/amd64", seed: "attestation" })
        const marked = (platform: Platform.Platform): FakeImage.Content => ({
          ...attestation,
          root: {
            ...attestation.root,
            platform,
            annotations: {
              "vnd.docker.reference.type": "attestation-manifest",
              "vnd.docker.reference.digest": image.root.digest
            }
          }
        })
        const fake = yield* FakeRegistry.FakeRegistry
        const remote = yield* Remote.Remote
        for (const platform of [{ os: "unknown", architecture: "unknown" }, linux("amd64")]) {
          yield* fake.seed(`${app}:1`, FakeImage.indexOf([marked(platform), image]))
          assert.strictEqual((yield* remote.image(`${app}:1`)).descriptor.digest, image.root.digest)
          yield* fake.seed(`${app}:2`, FakeImage.indexOf([marked(platform)]))
          assert.strictEqual((yield* Effect.flip(remote.image(`${app}:2`)))._tag, "ContentError")
        }
      }).pipe(Effect.provide(layer())))

    it.effect("goes on where a nested index has nothing that fits", () =>
      Effect.gen(function*() {
        const arm = yield* FakeImage.index({ platforms: ["linux/arm64"], seed: "a" })
        const amd = yield* FakeImage.index({ platforms: ["linux/amd64"], seed: "b" })
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.seed(
          `${app}:1`,
          // The first one says what it does not have.
          FakeImage.indexOf([{ ...arm, root: { ...arm.root, platform: linux("amd64") } }, arm, amd])
        )
        const remote = yield* Remote.Remote
        const { lines, result } = yield* requestsOf(remote.image(`${app}:1`))
        assert.strictEqual((yield* result.config).platform.architecture, "amd64")
        // Read once, though the search comes by it twice.
        assert.strictEqual(lines.filter((line) => line.includes("/manifests/")).length, 4)
      }).pipe(Effect.provide(layer())))

    it.effect("refuses what is no image, each with its reason", () =>
      Effect.gen(function*() {
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.seed(`${app}:1`, FakeImage.artifact({ artifactType: "application/vnd.acme.chart" }))
        const artifact = yield* Effect.flip(remote.image(`${app}:1`))
        assert.include(artifact.message, "is an artifact of type application/vnd.acme.chart, not an image")
        assert.strictEqual((yield* remote.artifact(`${app}:1`)).artifactType, "application/vnd.acme.chart")
        const notIndex = yield* Effect.flip(remote.index(`${app}:1`))
        yield* fake.seed(`${app}:2`, FakeImage.index())
        const notArtifact = yield* Effect.flip(remote.artifact(`${app}:2`))
        for (const error of [artifact, notIndex, notArtifact]) {
          assert.strictEqual(error._tag === "ContentError" && error.reason._tag, "Unsupported")
        }
      }).pipe(Effect.provide(layer())))
  })

  describe("all", () => {
    it.effect("gives an image for each platform, in order, by the variants that run there", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.seed(`${app}:1`, FakeImage.index({ platforms: ["linux/amd64", "linux/arm/v7", "linux/arm/v6"] }))
        const remote = yield* Remote.Remote
        const images = yield* remote.images(`${app}:1`, {
          platforms: ["linux/arm/v7", "linux/amd64", linux("arm", "v6")]
        })
        const platforms = yield* Effect.forEach(images, (image) => Effect.map(image.config, ({ platform }) => platform))
        assert.deepStrictEqual(platforms.map(Platform.format), ["linux/arm/v7", "linux/amd64", "linux/arm/v6"])
        const error = yield* Effect.flip(remote.images(`${app}:1`, { platforms: ["linux/amd64", "linux/s390x"] }))
        assert.include(error.message, "linux/s390x")
      }).pipe(Effect.provide(layer())))

    it.effect("takes one image alone for the platforms that its config runs on", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.seed(`${app}:1`, FakeImage.image({ platform: "linux/arm/v6" }))
        const remote = yield* Remote.Remote
        assert.strictEqual((yield* remote.images(`${app}:1`, { platforms: ["linux/arm/v7"] })).length, 1)
        const error = yield* Effect.flip(remote.images(`${app}:1`, { platforms: ["linux/amd64"] }))
        assert.include(error.message, "an image for linux/amd64")
      }).pipe(Effect.provide(layer())))
  })
})
