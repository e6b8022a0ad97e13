/**
 * The anatomy of images and of their uploads: a test for each section of the README that this library began with, that of
 * go-containerregistry's `remote`.
 */
import * as Compression from "@effect-oci/content/Compression"
import * as Hasher from "@effect-oci/content/Hasher"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as WriteGraph from "@effect-oci/content/WriteGraph"
import * as WriteNode from "@effect-oci/content/WriteNode"
import * as Tag from "@effect-oci/name/Tag"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Remote from "../src/Remote.ts"
import { bytes, json } from "./image.ts"
import { layer, patiently, requestsOf } from "./registries.ts"

const app = "ghcr.io/acme/app"
const digestOf = (data: Uint8Array) => Effect.map(Hasher.Hashing, (start) => Hasher.digestOf(start, data))
const text = (data: Uint8Array) => new TextDecoder().decode(data)

/** An image of two compressed layers, in memory. */
const twoLayers = Effect.gen(function*() {
  const store = MemoryStore.make()
  const plain = [bytes(200_000, 1), bytes(300_000, 2)]
  const layers = yield* Effect.forEach(plain, (data) =>
    Effect.flatMap(
      Stream.mkUint8Array(Compression.compress("gzip", { location: "" })(Stream.succeed(data))),
      (packed) => store.add(MediaType.ociLayerGzip, packed)
    ))
  const diffIds = yield* Effect.forEach(plain, digestOf)
  const config = yield* store.add(
    MediaType.ociConfig,
    json({
      os: "linux",
      architecture: "amd64",
      config: { Cmd: ["/app"] },
      rootfs: { type: "layers", diff_ids: diffIds }
    })
  )
  const descriptor = yield* store.add(
    MediaType.ociManifest,
    json({ schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers })
  )
  return { store, descriptor, plain, layers, diffIds, config }
})

const ready = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** Until something has been asked for. */
const until = (is: (made: FakeRegistry.Made) => boolean) =>
  Effect.gen(function*() {
    const fake = yield* FakeRegistry.FakeRegistry
    while (!(yield* fake.requests).some(is)) yield* ready
  })

describe("anatomy", () => {
  it.effect("of an image: tag, manifest, config and compressed layers, diff ids, image id", () =>
    Effect.gen(function*() {
      const { config, descriptor, diffIds, layers, plain, store } = yield* twoLayers
      const remote = yield* Remote.Remote
      yield* remote.copy({ store, descriptor }, `${app}:1`)
      // A tag refers to an image manifest,
      assert.strictEqual((yield* remote.head(`${app}:1`)).digest, descriptor.digest)
      const image = yield* remote.image(`${app}:1`)
      // which references a config and an ordered list of compressed layers by digest,
      assert.strictEqual(image.manifest.config.digest, config.digest)
      assert.deepStrictEqual(image.manifest.layers.map(({ digest }) => digest), layers.map(({ digest }) => digest))
      // a config references an ordered list of uncompressed layers and says what runs,
      const read = yield* image.config
      assert.deepStrictEqual(read.diffIds, diffIds)
      assert.deepStrictEqual(read.cmd, ["/app"])
      // and its digest is the image's id.
      assert.strictEqual(yield* digestOf(read.bytes), config.digest)
      for (const [at, layer] of image.layers.entries()) {
        assert.strictEqual(yield* layer.diffId, diffIds[at])
        assert.strictEqual((yield* Stream.mkUint8Array(layer.compressed)).length, layers[at]!.size)
        assert.deepStrictEqual(yield* Stream.mkUint8Array(layer.uncompressed), plain[at])
      }
    }).pipe(Effect.provide(layer())))

  it.effect("of an index: images by platform, an index in it, and an application/xml document", () =>
    Effect.gen(function*() {
      const xml = new TextEncoder().encode(`<?xml version="1.0"?><sbom/>`)
      const root = yield* MemoryStore.make().add("application/xml", xml)
      const document: FakeImage.Content = { root, blobs: [{ descriptor: root, bytes: xml }], manifests: [] }
      const nested = yield* FakeImage.index({ platforms: ["linux/s390x", "linux/riscv64"], seed: "nested" })
      const arm = yield* FakeImage.image({ platform: "linux/arm64", seed: "arm" })
      const outer = yield* FakeImage.indexOf([arm, nested, document])
      const fake = yield* FakeRegistry.FakeRegistry
      yield* fake.seed(`${app}:all`, outer)
      const remote = yield* Remote.Remote

      const copied = yield* remote.copy(`${app}:all`, "registry.acme.dev/app:all")
      assert.strictEqual(copied.descriptor.digest, outer.root.digest)
      const index = yield* remote.index("registry.acme.dev/app:all")
      const [first, second, third] = index.index.manifests
      assert.strictEqual((yield* index.image({ os: "linux", architecture: "arm64" })).descriptor.digest, first!.digest)
      const inner = yield* index.nested(second!)
      assert.deepStrictEqual(inner.index.manifests.map(({ platform }) => platform?.architecture), ["s390x", "riscv64"])
      assert.strictEqual(text(yield* Stream.mkUint8Array(index.member(third!))), text(xml))
      // Found through the index that is in the index.
      const riscv = yield* remote.image("registry.acme.dev/app:all", { platform: "linux/riscv64" })
      assert.strictEqual(riscv.descriptor.digest, inner.index.manifests[1]!.digest)
    }).pipe(Effect.provide(layer())))

  it.effect("of an upload where everything is known: all blobs at once, then the manifest under its tag", () =>
    Effect.gen(function*() {
      const { config, descriptor, layers, store } = yield* twoLayers
      const fake = yield* FakeRegistry.FakeRegistry
      const remote = yield* Remote.Remote
      // The layers do not end, and the config goes all the same.
      yield* fake.inject(Fault.latency("1 hour").on("PUT", "/blobs/uploads/").times(2))
      const fiber = yield* Effect.forkChild(remote.copy({ store, descriptor }, `${app}:1`))
      yield* until(({ method, query, status }) =>
        method === "POST" && status === 201 && query.includes(encodeURIComponent(config.digest))
      )
      const before = yield* fake.requests
      assert.isFalse(before.some(({ method, path }) => method === "PUT" && path.includes("/manifests/")))
      yield* patiently(Fiber.interrupt(fiber))

      const { made } = yield* requestsOf(remote.copy({ store, descriptor }, "registry.acme.dev/app:1"))
      const writes = made.filter(({ method, status }) => (method === "PUT" || method === "POST") && status === 201)
      assert.strictEqual(writes.length, layers.length + 2)
      const last = writes.at(-1)!
      assert.isTrue(last.path.endsWith("/manifests/1"))
    }).pipe(Effect.provide(layer())))

  it.effect("of an upload with a streamed layer: config and manifest wait for what it comes to", () =>
    Effect.gen(function*() {
      const known = bytes(50_000, 3)
      const streamed = bytes(400_000, 4)
      const store = MemoryStore.make()
      const first = yield* store.add(MediaType.ociLayer, known)
      const stream = WriteNode.stream(
        "streamed",
        MediaType.ociLayerGzip,
        Compression.compress("gzip", { location: "" })(Stream.make(streamed.subarray(0, 1000), streamed.subarray(1000)))
      )
      const diffId = yield* digestOf(streamed)
      const layers = [WriteNode.content(store, first), stream]
      const config = WriteNode.computed("config", MediaType.ociConfig, layers, ([first]) =>
        json({
          os: "linux",
          architecture: "amd64",
          rootfs: { type: "layers", diff_ids: [first!.descriptor.digest, diffId] }
        }))
      const manifest = WriteNode.computed(
        "manifest",
        MediaType.ociManifest,
        [config, ...layers],
        ([config, ...layers]) =>
          json({
            schemaVersion: 2,
            mediaType: MediaType.ociManifest,
            config: config!.descriptor,
            layers: layers.map(({ descriptor }) => descriptor)
          })
      )
      const remote = yield* Remote.Remote
      const target = yield* remote.store(app)
      const roots = WriteGraph.to(target, [WriteNode.tag(manifest, Tag.parseUnsafe("1"))])
      const { made } = yield* requestsOf(WriteGraph.run(roots))
      const at = (is: (made: FakeRegistry.Made) => boolean) => made.findIndex(is)
      const streamEnds = at(({ method, query, status }) =>
        method === "PUT" && query.includes("digest=") && status === 201
      )
      const manifestPut = at(({ method, path }) => method === "PUT" && path.includes("/manifests/"))
      const tagPut = at(({ method, path }) => method === "PUT" && path.endsWith("/manifests/1"))
      assert.isTrue(streamEnds >= 0 && streamEnds < manifestPut && manifestPut < tagPut)
      const image = yield* remote.image(`${app}:1`)
      assert.deepStrictEqual(yield* Stream.mkUint8Array(image.layers[1]!.uncompressed), streamed)
    }).pipe(Effect.provide(layer())))

  it.effect("of schema 1: not supported, and something useful can be done with it by get", () =>
    Effect.gen(function*() {
      const store = MemoryStore.make()
      const blob = bytes(1000, 5)
      const layer = yield* store.add(MediaType.dockerLayerGzip, blob)
      const old = json({ schemaVersion: 1, name: "acme/app", tag: "old", fsLayers: [{ blobSum: layer.digest }] })
      const root = yield* store.add(MediaType.dockerSchema1, old)
      const fake = yield* FakeRegistry.FakeRegistry
      yield* fake.seed(`${app}:old`, {
        root,
        blobs: [{ descriptor: layer, bytes: blob }],
        manifests: [{ descriptor: root, bytes: old }]
      })
      const remote = yield* Remote.Remote
      const error = yield* Effect.flip(remote.image(`${app}:old`))
      assert.strictEqual(error._tag === "ContentError" && error.reason._tag, "Unsupported")
      const got = yield* remote.get(`${app}:old`)
      assert.deepStrictEqual(got.bytes, old)
      assert.strictEqual(got.descriptor.mediaType, MediaType.dockerSchema1)
      // What was got can be copied, layers and all, and is what it was.
      yield* remote.copy(got, "registry.acme.dev/app:old")
      assert.deepStrictEqual(Option.getOrThrow(yield* fake.manifest("registry.acme.dev/app:old")).bytes, old)
      assert.deepStrictEqual(yield* fake.blobs("registry.acme.dev/app"), [layer.digest])
    }).pipe(Effect.provide(layer())))
})
