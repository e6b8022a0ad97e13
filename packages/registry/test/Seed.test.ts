import * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FakeImage from "../src/FakeImage.ts"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import * as Seed from "../src/Seed.ts"
import { Storage } from "../src/Storage.ts"
import { encode, send } from "./registry.ts"

const v1 = Tag.parseUnsafe("v1")

const put = Effect.fnUntraced(function*(
  to: { readonly repository: string; readonly tag?: Tag.Tag; readonly digest?: Digest.Digest },
  content: Parameters<typeof Seed.put>[2]
) {
  return yield* Seed.put(yield* Storage, to, content)
})

const status = (path: string) => Effect.map(send("GET", path), (answer) => answer.status)

describe("Seed", () => {
  describe("put", () => {
    it.effect("puts an image where it is to be, under its tag, with all that it names", () =>
      Effect.gen(function*() {
        const image = yield* FakeImage.image()
        const root = yield* put({ repository: "acme/app", tag: v1 }, image)
        assert.strictEqual(root.digest, image.root.digest)
        assert.deepStrictEqual((yield* send("GET", "/v2/acme/app/manifests/v1")).bytes, image.manifests[0]!.bytes)
        for (const { bytes, descriptor } of image.blobs) {
          assert.deepStrictEqual((yield* send("GET", `/v2/acme/app/blobs/${descriptor.digest}`)).bytes, bytes)
        }
        assert.strictEqual(yield* status("/v2/other/manifests/v1"), 404)
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("makes what is still to be made, and gives no name that was not asked for", () =>
      Effect.gen(function*() {
        const { digest } = yield* put({ repository: "app" }, FakeImage.index())
        assert.strictEqual(yield* status(`/v2/app/manifests/${digest}`), 200)
        assert.deepStrictEqual(JSON.parse((yield* send("GET", "/v2/app/tags/list")).text).tags, [])
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("tags the root, not its members, in whatever order they come", () =>
      Effect.gen(function*() {
        const index = yield* FakeImage.index()
        const root = index.manifests.at(-1)!.bytes
        for (const [repository, manifests] of [["a", index.manifests], ["b", index.manifests.toReversed()]] as const) {
          yield* put({ repository, tag: v1 }, { ...index, manifests })
          assert.deepStrictEqual((yield* send("GET", `/v2/${repository}/manifests/v1`)).bytes, root)
        }
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("takes content that leaves out what it names, and a manifest of any size", () =>
      Effect.gen(function*() {
        const image = yield* FakeImage.image()
        yield* put({ repository: "sparse", tag: v1 }, { ...image, blobs: [] })
        assert.strictEqual(yield* status("/v2/sparse/manifests/v1"), 200)
        const annotations = { padding: "x".repeat(5 * 1024 * 1024) }
        yield* put({ repository: "large", tag: v1 }, FakeImage.indexOf([], { annotations }))
        assert.strictEqual(yield* status("/v2/large/manifests/v1"), 200)
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("dies of what could not be pushed, and says what is wrong with it", () =>
      Effect.gen(function*() {
        const image = yield* FakeImage.image()
        const wrong = Digest.parseUnsafe(`sha256:${"0".repeat(64)}`)
        const table = [
          [{ repository: "app", digest: wrong }, image, "DIGEST_INVALID"],
          [{ repository: "APP" }, image, "NAME_INVALID"],
          [{ repository: "app" }, yield* FakeImage.raw(MediaType.ociManifest, encode("{")), "MANIFEST_INVALID"]
        ] as const
        for (const [to, content, code] of table) {
          const exit = yield* Effect.exit(put(to, content))
          const said = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
          assert.include(said, `seed ${to.repository}: `)
          assert.include(said, code)
        }
      }).pipe(Effect.provide(MemoryStorage.layer)))
  })
})
