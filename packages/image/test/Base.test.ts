import * as MemoryStore from "@effect-oci/content/MemoryStore"
import type { Source } from "@effect-oci/content/Store"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Base from "../src/Base.ts"
import { base, json, sha256 } from "./image.ts"

/** An image whose config says what it is told. */
const imageOf = Effect.fnUntraced(function*(config: unknown) {
  const store = MemoryStore.make("base")
  const descriptor = yield* store.add(MediaType.ociConfig, json(config))
  const image = yield* store.add(MediaType.ociManifest, json({ schemaVersion: 2, config: descriptor, layers: [] }))
  return { store, image, config: descriptor }
})

describe("Base", () => {
  describe("scratch", () => {
    it("is an image of a platform, without layers and without a place", () => {
      const scratch = Base.scratch({ os: "linux", architecture: "arm64", variant: "v8" })
      assert.deepStrictEqual(scratch.config, { os: "linux", architecture: "arm64", variant: "v8" })
      assert.deepStrictEqual([scratch.layers, scratch.diffIds, Option.isNone(scratch.source)], [[], [], true])
      assert.deepStrictEqual([scratch.mediaType, scratch.configType], [MediaType.ociManifest, MediaType.ociConfig])
    })
  })

  describe("read", () => {
    it.effect.each(["oci", "docker"] as const)(
      "keeps all that an image of %s says, also what nobody knows",
      (kind) =>
        Effect.gen(function*() {
          const { config, image, layers, store } = yield* base(kind)
          const read = yield* Base.read(store, image)
          assert.strictEqual(Option.getOrThrow(read.source), store)
          assert.deepStrictEqual([read.mediaType, read.configType], [image.mediaType, config.mediaType])
          assert.deepStrictEqual(read.layers.map(({ digest }) => digest), layers.map(({ digest }) => digest))
          assert.deepStrictEqual(read.diffIds, [sha256(json("diff one")), sha256(json("diff two"))])
          assert.deepInclude(read.manifest, { annotations: { kept: "yes" } })
          assert.deepInclude(read.config, { "x-unknown": 1, variant: "v8" })
        })
    )

    it.effect("leaves the layers where they are", () =>
      Effect.gen(function*() {
        const { config, image, store } = yield* base()
        const fetched: Array<string> = []
        const watched: Source = {
          ...store,
          fetch: (descriptor, offset) => {
            fetched.push(descriptor.digest)
            return store.fetch(descriptor, offset)
          }
        }
        yield* Base.read(watched, image)
        assert.deepStrictEqual(fetched, [image.digest, config.digest])
      }))

    it.effect("refuses what is no image", () =>
      Effect.gen(function*() {
        const store = MemoryStore.make("base")
        const index = yield* store.add(MediaType.ociIndex, json({ schemaVersion: 2, manifests: [] }))
        const config = yield* store.add("text/plain", json("note"))
        const artifact = yield* store.add(MediaType.ociManifest, json({ schemaVersion: 2, config, layers: [] }))
        for (const descriptor of [index, artifact]) {
          assert.include((yield* Effect.flip(Base.read(store, descriptor))).message, "is no image")
        }
      }))

    it.effect("refuses an image whose config counts other layers", () =>
      Effect.gen(function*() {
        const rootfs = { type: "layers", diff_ids: [sha256(json(1))] }
        const { image, store } = yield* imageOf({ os: "linux", architecture: "amd64", rootfs })
        assert.include((yield* Effect.flip(Base.read(store, image))).message, "has 0 layers, its config 1")
      }))

    it.effect("names the document that cannot be read", () =>
      Effect.gen(function*() {
        const { config, image, store } = yield* imageOf("no object")
        const error = yield* Effect.flip(Base.read(store, image))
        assert.strictEqual(error.reason._tag, "Invalid")
        assert.include(error.message, `read at base: ${config.digest}: `)
        const broken = yield* store.add(MediaType.ociManifest, json([]))
        assert.include((yield* Effect.flip(Base.read(store, broken))).message, `read at base: ${broken.digest}: `)
      }))
  })
})
