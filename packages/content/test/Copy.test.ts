import * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ContentError, Unavailable } from "../src/ContentError.ts"
import * as Copy from "../src/Copy.ts"
import * as MemoryStore from "../src/MemoryStore.ts"
import type { Source, Target } from "../src/Store.ts"

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const [v1, v2, latest] = ["v1", "v2", "latest"].map(Tag.parseUnsafe) as [Tag.Tag, Tag.Tag, Tag.Tag]

const image = Effect.fnUntraced(function*(store: MemoryStore.MemoryStore, name: string) {
  const config = yield* store.add(MediaType.ociConfig, json({ name }))
  const layer = yield* store.add(MediaType.ociLayer, json(["layer of", name]))
  const manifest = yield* store.add(MediaType.ociManifest, json({ schemaVersion: 2, config, layers: [layer] }))
  return { config, layer, manifest }
})

const tagged = Effect.gen(function*() {
  const source = MemoryStore.make("source")
  const { config, layer, manifest } = yield* image(source, "a")
  yield* source.tag(manifest, v1)
  return { source, target: MemoryStore.make("target"), config, layer, manifest }
})

describe("Copy", () => {
  describe("copy", () => {
    it.effect("copies what a tag stands for with all that it leads to, and names nothing unasked", () =>
      Effect.gen(function*() {
        const { config, layer, manifest, source, target } = yield* tagged
        const report = yield* Copy.copy(source, target, v1)
        assert.strictEqual(report.descriptor.digest, manifest.digest)
        assert.sameMembers([...target.contents.keys()], [config.digest, layer.digest, manifest.digest])
        for (const digest of target.contents.keys()) {
          assert.deepStrictEqual(target.contents.get(digest)!.bytes, source.contents.get(digest)!.bytes)
        }
        assert.strictEqual((yield* Effect.flip(target.resolve(v1))).reason._tag, "NotFound")
      }))

    it.effect("copies a digest, and a descriptor without asking what it stands for", () =>
      Effect.gen(function*() {
        const { manifest, source, target } = yield* tagged
        assert.strictEqual((yield* Copy.copy(source, target, manifest.digest)).descriptor.digest, manifest.digest)
        const mute: Source = { ...source, resolve: () => Effect.die("asked") }
        const other = MemoryStore.make("other")
        assert.strictEqual((yield* Copy.copy(mute, other, manifest)).descriptor, manifest)
        assert.isTrue(other.contents.has(manifest.digest))
      }))

    it.effect("gives the content each name that it is to have at the target", () =>
      Effect.gen(function*() {
        const { manifest, source, target } = yield* tagged
        yield* Copy.copy(source, target, v1, { tags: [v2, latest] })
        for (const tag of [v2, latest]) assert.strictEqual((yield* target.resolve(tag)).digest, manifest.digest)
        assert.strictEqual((yield* Effect.flip(target.resolve(v1))).reason._tag, "NotFound")
      }))

    it.effect("resolves a tag once: the digest is what is copied, however the tag moves meanwhile", () =>
      Effect.gen(function*() {
        const { manifest, source, target } = yield* tagged
        const newer = yield* image(source, "b")
        let asked = 0
        const moving: Source = {
          ...source,
          resolve: (identifier) => {
            asked++
            return Effect.tap(source.resolve(identifier), () => source.tag(newer.manifest, v1))
          }
        }
        const { descriptor } = yield* Copy.copy(moving, target, v1, { tags: [v1] })
        assert.strictEqual(asked, 1)
        assert.strictEqual(descriptor.digest, manifest.digest)
        assert.strictEqual((yield* target.resolve(v1)).digest, manifest.digest)
        assert.isFalse(target.contents.has(newer.layer.digest))
        assert.strictEqual((yield* source.resolve(v1)).digest, newer.manifest.digest)
      }))

    it.effect("sends what the target lacks, and nothing the second time", () =>
      Effect.gen(function*() {
        const { layer, manifest, source, target } = yield* tagged
        yield* Copy.copy(source, target, layer)
        assert.deepStrictEqual([...target.contents.keys()], [layer.digest])
        const first = yield* Copy.copy(source, target, manifest)
        const second = yield* Copy.copy(source, target, manifest)
        assert.deepInclude(first, { sent: 2 })
        assert.deepInclude(second, { sent: 0 })
      }))

    it.effect("says that it stopped at the source, where that does not know the name", () =>
      Effect.gen(function*() {
        const { source, target } = yield* tagged
        for (const what of [latest, Digest.parseUnsafe(`sha256:${"0".repeat(64)}`)]) {
          const error = yield* Effect.flip(Copy.copy(source, target, what))
          assert.deepInclude(error, { side: "source", subject: what, written: 0 })
          assert.match(error.message, new RegExp(`^copy ${what} stopped at the source: `))
        }
        assert.strictEqual(target.contents.size, 0)
      }))

    it.effect("says that it stopped at the target, and leaves no name there", () =>
      Effect.gen(function*() {
        const { source, target } = yield* tagged
        const reason = new Unavailable({ detail: "the disk is full" })
        const full: Target = {
          ...target,
          push: () => Effect.fail(new ContentError({ operation: "write", location: "target", reason }))
        }
        const error = yield* Effect.flip(Copy.copy(source, full, v1, { tags: [v1] }))
        assert.strictEqual(error.side, "target")
        assert.include(error.message, "the disk is full")
        assert.strictEqual((yield* Effect.flip(target.resolve(v1))).reason._tag, "NotFound")
      }))
  })

  describe("roots", () => {
    it.effect("are one for each name, or the content alone", () =>
      Effect.gen(function*() {
        const { manifest, source } = yield* tagged
        const labels = (tags?: ReadonlyArray<Tag.Tag>) =>
          Copy.roots(source, manifest, { tags }).map(({ kind, label }) => `${kind} ${label}`)
        assert.strictEqual(labels().length, 1)
        assert.deepStrictEqual(labels([]), labels())
        assert.strictEqual(labels([v1, v2]).length, 2)
        assert.isTrue(labels([v1, v2]).every((label) => label.startsWith("tag ")))
        assert.isFalse(labels()[0]!.startsWith("tag "))
      }))
  })
})
