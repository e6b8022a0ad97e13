import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as WriteGraph from "@effect-oci/content/WriteGraph"
import * as WriteNode from "@effect-oci/content/WriteNode"
import * as Tag from "@effect-oci/name/Tag"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Append from "../src/Append.ts"
import * as Base from "../src/Base.ts"
import * as LayerStream from "../src/LayerStream.ts"
import { base, json, parse, sha256, slow, trickle } from "./image.ts"

const v1 = Tag.parseUnsafe("v1")
const none = { compression: "none" } as const

/** Writes an image under a tag, and reads it back. */
const write = Effect.fnUntraced(function*(image: WriteNode.WriteNode) {
  const store = MemoryStore.make("target")
  yield* WriteGraph.run(WriteGraph.to(store, [WriteNode.tag(image, v1)]))
  const manifest = parse(store.contents.get(store.tags.get(v1)!.digest)!.bytes)
  return { store, manifest, config: parse(store.contents.get(manifest.config.digest)!.bytes) }
})

describe("Append", () => {
  describe("layers", () => {
    it.effect("puts layers on top, and keeps what the base says", () =>
      Effect.gen(function*() {
        const { image, layers, store } = yield* base()
        const added = [
          LayerStream.make(Stream.make(json("three")), { ...none, createdBy: "three" }),
          // Of the same name, and yet another.
          LayerStream.make(Stream.make(json("four")), { ...none, annotations: { top: "yes" } })
        ]
        const { config, manifest, store: written } = yield* write(
          yield* Append.layers(yield* Base.read(store, image), added, {
            created: "2026-01-02T03:04:05Z",
            config: (config) => ({ ...config, config: { Cmd: ["/serve"] } })
          })
        )
        const three = sha256(json("three"))
        const four = sha256(json("four"))
        assert.deepStrictEqual(manifest.layers.map(({ digest }: { readonly digest: string }) => digest), [
          ...layers.map(({ digest }) => digest),
          three,
          four
        ])
        assert.deepStrictEqual(manifest.layers[1].annotations, { place: "1" })
        assert.deepStrictEqual(manifest.layers[3].annotations, { top: "yes" })
        assert.deepStrictEqual(manifest.annotations, { kept: "yes" })
        assert.deepStrictEqual(config, {
          architecture: "arm64",
          os: "linux",
          variant: "v8",
          config: { Cmd: ["/serve"] },
          rootfs: {
            type: "layers",
            diff_ids: [sha256(json("diff one")), sha256(json("diff two")), three, four]
          },
          history: [
            { created_by: "one" },
            { created_by: "two" },
            { created_by: "env", empty_layer: true },
            { created: "2026-01-02T03:04:05Z", created_by: "three" },
            { created: "2026-01-02T03:04:05Z", created_by: "effect-oci append" }
          ],
          "x-unknown": 1,
          created: "2026-01-02T03:04:05Z"
        })
        assert.strictEqual(written.contents.size, 6)
      }))

    it.effect("begins with nothing, and makes the same image each time", () =>
      Effect.gen(function*() {
        const scratch = Base.scratch({ os: "linux", architecture: "amd64" })
        const image = Append.layers(scratch, [LayerStream.make(Stream.make(json("only")), none)])
        const first = yield* write(yield* image)
        const second = yield* write(yield* image)
        assert.strictEqual(first.store.tags.get(v1)?.digest, second.store.tags.get(v1)?.digest)
        assert.strictEqual(first.manifest.mediaType, MediaType.ociManifest)
        assert.strictEqual(first.config.architecture, "amd64")
        assert.deepStrictEqual(first.config.rootfs.diff_ids, [sha256(json("only"))])
      }))

    it.effect("names Docker's types in Docker's manifests, and refuses what they have none for", () =>
      Effect.gen(function*() {
        const { image, store } = yield* base("docker")
        const docker = yield* Base.read(store, image)
        const tar = Stream.make(json("three"))
        const { manifest } = yield* write(yield* Append.layers(docker, [LayerStream.make(tar, none)]))
        assert.strictEqual(manifest.layers[2].mediaType, MediaType.dockerLayer)
        assert.strictEqual(manifest.config.mediaType, MediaType.dockerConfig)
        const error = yield* Effect.flip(Append.layers(docker, [LayerStream.make(tar, { compression: "zstd" })]))
        assert.include(error.message, "cannot be a layer of")
      }))

    it.effect("lets config and manifest wait for a streamed layer, and nothing else", () =>
      Effect.gen(function*() {
        const { image, store } = yield* base()
        const { steps, target } = slow()
        const streamed = LayerStream.make(trickle(9), none)
        const appended = yield* Append.layers(yield* Base.read(store, image), [streamed])
        const fiber = yield* Effect.forkChild(
          WriteGraph.run(WriteGraph.to(target, [WriteNode.tag(appended, v1)]))
        )
        yield* TestClock.adjust("1 hour")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(steps, [
          { what: MediaType.ociLayerGzip, start: 0, end: 1 },
          { what: MediaType.ociLayerGzip, start: 0, end: 1 },
          { what: "stream", start: 0, end: 10 },
          { what: MediaType.ociConfig, start: 10, end: 11 },
          { what: MediaType.ociManifest, start: 11, end: 12 },
          { what: "tag v1", start: 12, end: 13 }
        ])
      }))

    it.effect("writes all at once where all is known, the config with the layers", () =>
      Effect.gen(function*() {
        const { image, store } = yield* base()
        const { steps, target } = slow()
        const same = yield* Append.layers(yield* Base.read(store, image), [], {
          config: (config) => ({ ...config, config: { Cmd: ["/serve"] } })
        })
        const fiber = yield* Effect.forkChild(WriteGraph.run(WriteGraph.to(target, [same])))
        yield* TestClock.adjust("1 hour")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(steps.map(({ end, start }) => [start, end]), [[0, 1], [0, 1], [0, 1], [1, 2]])
        assert.strictEqual(steps.at(-1)?.what, MediaType.ociManifest)
      }))

    it.effect("shows in a plan what comes before what", () =>
      Effect.gen(function*() {
        const { image, store } = yield* base()
        const appended = yield* Append.layers(yield* Base.read(store, image), [LayerStream.make(trickle(1))])
        const plan = yield* WriteGraph.plan(WriteGraph.to(store, [WriteNode.tag(appended, v1)]))
        const summary = WriteGraph.summary(plan)
        assert.strictEqual(
          WriteGraph.formatSummary(summary),
          "would send 2 blobs and 1 manifest, at least 0 B; skip 2; tag 1"
        )
      }))
  })
})
