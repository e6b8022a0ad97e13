import * as Bytes from "@effect-oci/content/Bytes"
import * as Repository from "@effect-oci/name/Repository"
import * as Tag from "@effect-oci/name/Tag"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Lent from "../../content/test/lent.ts"
import * as RemoteStore from "../src/RemoteStore.ts"
import * as Uploads from "../src/Uploads.ts"
import { layer } from "./registries.ts"

const store = RemoteStore.make(Repository.parseUnsafe("ghcr.io/acme/app"))

describe("RemoteStore", () => {
  describe.each([
    ["in one request", 100_001],
    ["that resumes", Uploads.monolithicLimit + 100_001],
    ["in more than one chunk", Uploads.chunkSize + 100_001]
  ])("%s", (_, size) => {
    it.effect(
      "keeps what it was only lent",
      () => Effect.flatMap(store, (store) => Lent.keeps(store, size)).pipe(Effect.provide(layer())),
      30_000
    )
  })

  describe("B36: a size that HEAD lies about", () => {
    const lies = Effect.gen(function*() {
      const fake = yield* FakeRegistry.FakeRegistry
      const content = yield* FakeImage.image()
      yield* fake.seed("ghcr.io/acme/app:1", content)
      yield* fake.inject(Fault.lie({ length: 7 }).on("HEAD").always())
      return { root: content.root, store: yield* store }
    })

    it.effect("is told, and is not held against the bytes", () =>
      Effect.gen(function*() {
        const { root, store } = yield* lies
        const told = yield* store.resolve(Tag.parseUnsafe("1"))
        assert.deepStrictEqual(told, { mediaType: root.mediaType, digest: root.digest, size: 7 })
        assert.strictEqual((yield* Bytes.collect({ location: "" })(store.fetch(told))).length, root.size)
        // What somebody else says of the size is.
        const error = yield* Effect.flip(Stream.runDrain(store.fetch({ ...told })))
        assert.strictEqual(error.reason._tag, "DigestMismatch")
      }).pipe(Effect.provide(layer())))

    it.effect("does not make absent what is there, nor present what is not", () =>
      Effect.gen(function*() {
        const { root, store } = yield* lies
        assert.isTrue(yield* store.exists(root))
        assert.isTrue(yield* store.exists(yield* store.resolve(root.digest)))
        assert.isFalse(yield* store.exists({ ...root, size: root.size + 1 }))
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(Fault.corrupt(3).on("GET", "/manifests/"))
        assert.isFalse(yield* store.exists(root))
      }).pipe(Effect.provide(layer())))
  })
})
