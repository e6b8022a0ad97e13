import * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Bytes from "../src/Bytes.ts"
import * as MemoryStore from "../src/MemoryStore.ts"
import * as Lent from "./lent.ts"

const text = (value: string) => new TextEncoder().encode(value)
const json = (value: unknown) => text(JSON.stringify(value))
const abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
const none = Digest.parseUnsafe(`sha256:${"0".repeat(64)}`)
const v1 = Tag.parseUnsafe("v1")

describe("MemoryStore", () => {
  it.effect("keeps what it was only lent", () => Lent.keeps(MemoryStore.make()))

  it.effect("keeps bytes under their own digest, however they come", () =>
    Effect.gen(function*() {
      const store = MemoryStore.make()
      const added = yield* store.add("text/plain", text("abc"))
      assert.deepStrictEqual({ ...added }, { mediaType: "text/plain", digest: Digest.parseUnsafe(abc), size: 3 })
      const sent = yield* MemoryStore.make().pushStream(Stream.make(text("a"), text("bc")))
      assert.deepStrictEqual(sent, { digest: added.digest, size: 3 })
      const other = MemoryStore.make()
      assert.isFalse(yield* other.exists(added))
      assert.strictEqual(yield* other.push(added, Bytes.body(text("abc"))), "sent")
      assert.isTrue(yield* other.exists(added))
      const more = MemoryStore.make()
      yield* more.push(added, Bytes.body(text("abcd, which is nobody's")))
      assert.deepStrictEqual(more.contents.get(added.digest)?.bytes, text("abc"))
    }))

  it.effect("gives bytes from an offset on, where they are as the descriptor says", () =>
    Effect.gen(function*() {
      const store = MemoryStore.make()
      const descriptor = yield* store.add("text/plain", text("abc"))
      const from = (offset: number) =>
        Effect.map(Stream.mkUint8Array(store.fetch(descriptor, offset)), (bytes) => new TextDecoder().decode(bytes))
      assert.deepStrictEqual([yield* from(0), yield* from(1), yield* from(3)], ["abc", "bc", ""])
      const longer = yield* Effect.flip(Stream.runDrain(store.fetch({ ...descriptor, size: 4 })))
      assert.strictEqual(longer.reason._tag, "SizeMismatch")
    }))

  it.effect.each([["abx", "DigestMismatch"], ["ab", "SizeMismatch"]])(
    "takes nothing under a digest that is another's: %s",
    ([wrong, reason]) =>
      Effect.gen(function*() {
        const store = MemoryStore.make()
        const descriptor = yield* MemoryStore.make().add("text/plain", text("abc"))
        const error = yield* Effect.flip(store.push(descriptor, Bytes.body(text(wrong!))))
        assert.strictEqual(error.reason._tag, reason)
        assert.strictEqual(store.contents.size, 0)
      })
  )

  it.effect("resolves a tag to what it was given to, last, and a digest to what it holds", () =>
    Effect.gen(function*() {
      const store = MemoryStore.make("here")
      const [one, two] = [yield* store.add("text/plain", text("1")), yield* store.add("text/plain", text("2"))]
      yield* store.tag(one, v1)
      yield* store.tag(two, v1)
      assert.strictEqual((yield* store.resolve(v1)).digest, two.digest)
      assert.deepStrictEqual({ ...(yield* store.resolve(one.digest)) }, { ...one })
    }))

  it.effect("says where and what it does not have", () =>
    Effect.gen(function*() {
      const store = MemoryStore.make("here")
      const absent = { mediaType: "text/plain", digest: none, size: 1 }
      const errors = [
        yield* Effect.flip(store.resolve(v1)),
        yield* Effect.flip(store.resolve(none)),
        yield* Effect.flip(Stream.runDrain(store.fetch(absent))),
        yield* Effect.flip(store.tag(absent, v1))
      ]
      assert.deepStrictEqual(errors.map(({ message }) => message), [
        "resolve at here: v1 not found",
        `resolve at here: ${none} not found`,
        `read at here: ${none} not found`,
        `tag at here: ${none} not found`
      ])
      assert.strictEqual(store.tags.size, 0)
    }))

  it.effect("finds the manifests that are about another", () =>
    Effect.gen(function*() {
      const store = MemoryStore.make()
      const config = yield* store.add(MediaType.ociConfig, json({}))
      const manifest = (more: object) =>
        store.add(MediaType.ociManifest, json({ schemaVersion: 2, config, layers: [], ...more }))
      const image = yield* manifest({})
      const sbom = yield* manifest({ subject: image, artifactType: "application/sbom" })
      const ofSbom = yield* manifest({ subject: sbom, artifactType: "application/signature" })
      const about = (subject: Digest.Digest) =>
        Effect.map(Stream.runCollect(store.referrers!(subject)), (found) =>
          found.map(({ artifactType, digest }) => [digest, artifactType]))
      assert.deepStrictEqual(yield* about(image.digest), [[sbom.digest, "application/sbom"]])
      assert.deepStrictEqual(yield* about(sbom.digest), [[ofSbom.digest, "application/signature"]])
      assert.deepStrictEqual(yield* about(config.digest), [])
    }))
})
