/**
 * What any storage has to do: one suite for all of them.
 */
import type * as Tag from "@effect-oci/name/Tag"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { Storage } from "../src/Storage.ts"
import { digestOf, encode } from "./registry.ts"

const text = "hello world"
const digest = digestOf(text)
const tag = (text: string) => text as Tag.Tag

const push = Effect.fnUntraced(function*(repository: string, text: string) {
  const storage = yield* Storage
  const { id } = yield* storage.createUpload(repository)
  yield* storage.append(repository, id, 0, Stream.make(encode(text)))
  yield* storage.commit(repository, id, digestOf(text))
})

const read = Effect.fnUntraced(function*(start = 0, end = text.length) {
  const storage = yield* Storage
  return new TextDecoder().decode(yield* Effect.flatMap(storage.readBlob("a", digest, start, end), Stream.mkUint8Array))
})

const stored = (text: string) => ({ digest: digestOf(text), mediaType: "application/json", bytes: encode(text) })

const reasonOf = <A, E extends { readonly reason: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

export const suite = (name: string, layer: Layer.Layer<Storage>) =>
  describe(name, () => {
    describe("blobs", () => {
      it.effect("shows a blob where it was pushed, whole and in part", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          yield* push("a", text)
          assert.deepStrictEqual(yield* storage.blobSize("a", digest), Option.some(11))
          assert.deepStrictEqual(yield* storage.blobSize("b", digest), Option.none())
          assert.deepStrictEqual(yield* storage.blobs("a"), [digest])
          assert.deepStrictEqual(yield* storage.blobs("b"), [])
          assert.strictEqual(yield* read(), text)
          assert.strictEqual(yield* read(6, 8), "wo")
          assert.strictEqual(yield* read(6, 6), "")
        }).pipe(Effect.provide(layer)))

      it.effect("keeps a blob for the repositories that it is linked to", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          yield* push("a", text)
          assert.isTrue(yield* storage.linkBlob("b", digest, "a"))
          assert.isFalse(yield* storage.linkBlob("b", digest, "c"))
          assert.deepStrictEqual([...yield* storage.findBlob(digest)].sort(), ["a", "b"])
          assert.isTrue(yield* storage.deleteBlob("a", digest))
          assert.isFalse(yield* storage.deleteBlob("a", digest))
          assert.deepStrictEqual(yield* storage.findBlob(digest), ["b"])
          assert.strictEqual(yield* read(), text)
          assert.isTrue(yield* storage.deleteBlob("b", digest))
          assert.deepStrictEqual(yield* storage.findBlob(digest), [])
        }).pipe(Effect.provide(layer)))

      it.effect("lists its repositories in order", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          for (const name of ["b", "a/b", "a"]) yield* push(name, text)
          assert.deepStrictEqual(yield* storage.repositories, ["a", "a/b", "b"])
        }).pipe(Effect.provide(layer)))
    })

    describe("uploads", () => {
      it.effect("copies what it is given", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          const { id } = yield* storage.createUpload("a")
          const chunk = encode(text)
          yield* storage.append("a", id, 0, Stream.make(chunk))
          chunk.fill(0)
          yield* storage.commit("a", id, digest)
          assert.strictEqual(yield* read(), text)
        }).pipe(Effect.provide(layer)))

      it.effect("adds at the end and nowhere else", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          const { id } = yield* storage.createUpload("a")
          const append = (at: number, text: string) => storage.append("a", id, at, Stream.make(encode(text)))
          assert.strictEqual((yield* append(0, "hello ")).size, 6)
          assert.strictEqual(yield* reasonOf(append(0, "hello ")), "OutOfOrder")
          assert.strictEqual(yield* reasonOf(append(7, "x")), "OutOfOrder")
          assert.strictEqual((yield* append(6, "world")).size, 11)
          yield* storage.commit("a", id, digest)
          assert.strictEqual(yield* read(), text)
        }).pipe(Effect.provide(layer)))

      it.effect("keeps what came before a failure, which is the caller's", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          const { id } = yield* storage.createUpload("a")
          const bytes = Stream.concat(Stream.make(encode("hello ")), Stream.fail("mine" as const))
          assert.strictEqual(yield* Effect.flip(storage.append("a", id, 0, bytes)), "mine")
          assert.strictEqual((yield* storage.upload("a", id)).size, 6)
        }).pipe(Effect.provide(layer)))

      it.effect("makes no blob of other bytes", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          for (const wanted of [digestOf("other"), digestOf("other", "sha512")]) {
            const { id } = yield* storage.createUpload("a")
            yield* storage.append("a", id, 0, Stream.make(encode(text)))
            assert.strictEqual(yield* reasonOf(storage.commit("a", id, wanted)), "DigestMismatch")
            assert.deepStrictEqual(yield* storage.blobSize("a", wanted), Option.none())
            assert.strictEqual(yield* reasonOf(storage.upload("a", id)), "NoUpload")
          }
        }).pipe(Effect.provide(layer)))

      it.effect("makes a blob of no bytes", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          yield* push("a", "")
          assert.deepStrictEqual(yield* storage.blobSize("a", digestOf("")), Option.some(0))
        }).pipe(Effect.provide(layer)))

      it.effect("knows an upload until it is cancelled, committed or too old", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          const ids = yield* Effect.forEach([1, 2, 3], () => Effect.map(storage.createUpload("a"), ({ id }) => id))
          assert.strictEqual(new Set(ids).size, 3)
          assert.strictEqual(yield* reasonOf(storage.upload("b", ids[0]!)), "NoUpload")
          yield* storage.cancel("a", ids[0]!)
          yield* storage.commit("a", ids[1]!, digestOf(""))
          assert.strictEqual(yield* reasonOf(storage.upload("a", ids[0]!)), "NoUpload")
          assert.strictEqual(yield* reasonOf(storage.upload("a", ids[1]!)), "NoUpload")
          yield* storage.upload("a", ids[2]!)
          yield* TestClock.adjust("1 hour")
          assert.strictEqual(yield* reasonOf(storage.upload("a", ids[2]!)), "NoUpload")
        }).pipe(Effect.provide(layer)))

      it.effect("takes 2,000 pushes of 32 at once", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          const texts = Array.from({ length: 2000 }, (_, i) => `blob ${i}`)
          yield* Effect.forEach(texts, (text) => push("a", text), { concurrency: 32 })
          assert.deepStrictEqual(yield* storage.blobs("a"), texts.map((text) => digestOf(text)).sort())
          yield* Effect.forEach(texts, (text) =>
            Effect.map(
              Effect.flatMap(storage.readBlob("a", digestOf(text), 0, text.length), Stream.mkUint8Array),
              (bytes) => assert.strictEqual(digestOf(bytes), digestOf(text))
            ), { concurrency: 32 })
        }).pipe(Effect.provide(layer)), 30_000)
    })

    describe("manifests", () => {
      const put = Effect.fnUntraced(function*(text: string, tags: ReadonlyArray<string> = [], subject?: string) {
        const storage = yield* Storage
        yield* storage.putManifest("a", stored(text), {
          tags: tags.map(tag),
          subject: subject === undefined ? Option.none() : Option.some({
            digest: digestOf(subject),
            referrer: { mediaType: "application/json", digest: digestOf(text), size: text.length }
          })
        })
      })

      const listed = <E>(referrers: Stream.Stream<{ readonly digest: string }, E>) =>
        Stream.runCollect(Stream.map(referrers, ({ digest }) => digest))

      it.effect("finds a manifest by digest and by tag, in its repository", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          yield* put("one", ["1", "latest"])
          for (const identifier of [digestOf("one"), tag("1"), tag("latest")]) {
            assert.deepStrictEqual(yield* storage.manifest("a", identifier), Option.some(stored("one")))
            assert.deepStrictEqual(yield* storage.manifest("b", identifier), Option.none())
          }
          assert.deepStrictEqual(yield* storage.manifest("a", tag("2")), Option.none())
        }).pipe(Effect.provide(layer)))

      it.effect("gives those of a repository", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          const all = (repository: string) => Stream.runCollect(storage.manifests(repository))
          assert.deepStrictEqual(yield* all("a"), [])
          for (const text of ["one", "two", "three"]) yield* put(text, ["latest"])
          yield* storage.deleteManifest("a", digestOf("two"))
          assert.sameDeepMembers(yield* all("a"), [stored("one"), stored("three")])
          assert.deepStrictEqual(yield* all("b"), [])
        }).pipe(Effect.provide(layer)))

      it.effect("takes every tag, as long as tags may be", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          const tags = ["A".repeat(127) + "a", "A".repeat(128), "_".repeat(128), "a".repeat(128)].sort()
          yield* put("one", tags)
          assert.deepStrictEqual(yield* storage.tags("a"), Option.some(tags))
          for (const name of tags) {
            assert.deepStrictEqual(yield* storage.manifest("a", tag(name)), Option.some(stored("one")))
            assert.isTrue(yield* storage.deleteManifest("a", tag(name)))
          }
          assert.deepStrictEqual(yield* storage.tags("a"), Option.some([]))
        }).pipe(Effect.provide(layer)))

      it.effect("moves a tag", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          yield* put("one", ["latest"])
          yield* put("two", ["latest"])
          assert.deepStrictEqual(yield* storage.manifest("a", tag("latest")), Option.some(stored("two")))
          assert.deepStrictEqual(yield* storage.manifest("a", digestOf("one")), Option.some(stored("one")))
          assert.deepStrictEqual(yield* storage.tags("a"), Option.some(["latest"]))
        }).pipe(Effect.provide(layer)))

      it.effect("deletes a manifest with its tags and a tag alone", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          yield* put("one", ["1", "2"])
          yield* put("two", ["3"])
          assert.isTrue(yield* storage.deleteManifest("a", tag("1")))
          assert.isFalse(yield* storage.deleteManifest("a", tag("1")))
          assert.deepStrictEqual(yield* storage.tags("a"), Option.some(["2", "3"]))
          assert.isTrue(yield* storage.deleteManifest("a", digestOf("one")))
          assert.isFalse(yield* storage.deleteManifest("a", digestOf("one")))
          assert.deepStrictEqual(yield* storage.tags("a"), Option.some(["3"]))
          assert.deepStrictEqual(yield* storage.tags("b"), Option.none())
        }).pipe(Effect.provide(layer)))

      it.effect("deletes a manifest or a tag only if it is what it should be", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          yield* put("one", ["1"])
          for (const identifier of [tag("1"), digestOf("one"), tag("2")]) {
            assert.isFalse(yield* storage.deleteManifest("a", identifier, Option.contains(digestOf("two"))))
          }
          assert.isFalse(yield* storage.deleteManifest("b", tag("1"), Option.contains(digestOf("one"))))
          assert.deepStrictEqual(yield* storage.manifest("a", tag("1")), Option.some(stored("one")))
          for (const identifier of [tag("1"), digestOf("one")]) {
            assert.isTrue(yield* storage.deleteManifest("a", identifier, Option.contains(digestOf("one"))))
          }
        }).pipe(Effect.provide(layer)))

      it.effect("puts one of those that are there only if nothing else is, however many come at once", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          for (const round of [1, 2, 3]) {
            const name = tag(`t${round}`)
            const texts = ["one", "two", "three", "four"].map((text) => `${text} ${round}`)
            const wasPut = yield* Effect.forEach(texts, (text) =>
              storage.putManifest("a", stored(text), {
                tags: [name],
                subject: Option.none(),
                condition: { identifier: name, holds: Option.isNone }
              }), { concurrency: 4 })
            assert.strictEqual(wasPut.filter(Boolean).length, 1)
            const there = yield* Effect.forEach(texts, (text) =>
              Effect.map(storage.manifest("a", digestOf(text)), Option.isSome))
            assert.deepStrictEqual(there, wasPut)
            assert.deepStrictEqual(
              yield* storage.manifest("a", name),
              Option.some(stored(texts[wasPut.indexOf(true)]!))
            )
          }
        }).pipe(Effect.provide(layer)))

      it.effect("puts a manifest by what is there under a tag or digest", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          yield* put("one", ["1"])
          for (const identifier of [tag("1"), digestOf("one"), tag("2"), digestOf("two")]) {
            const seen: Array<Option.Option<string>> = []
            const condition = {
              identifier,
              holds: (now: Option.Option<string>) => {
                seen.push(now)
                return false
              }
            }
            const options = { tags: [tag("1")], subject: Option.none(), condition }
            assert.isFalse(yield* storage.putManifest("a", stored("two"), options))
            assert.deepStrictEqual(seen, [
              identifier === "1" || identifier === digestOf("one") ? Option.some(digestOf("one")) : Option.none()
            ])
          }
          assert.deepStrictEqual(yield* storage.manifest("a", tag("1")), Option.some(stored("one")))
          assert.deepStrictEqual(yield* storage.manifest("a", digestOf("two")), Option.none())
        }).pipe(Effect.provide(layer)))

      it.effect("knows what refers to a subject, until that is deleted", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          yield* put("sbom", [], "image")
          yield* put("sbom", [], "image")
          const digests = listed(storage.referrers("a", digestOf("image")))
          assert.deepStrictEqual(yield* digests, [digestOf("sbom")])
          assert.deepStrictEqual(yield* listed(storage.referrers("b", digestOf("image"))), [])
          yield* storage.deleteManifest("a", digestOf("sbom"))
          assert.deepStrictEqual(yield* digests, [])
        }).pipe(Effect.provide(layer)))

      it.effect("gives what refers to a subject in order, from anywhere", () =>
        Effect.gen(function*() {
          const storage = yield* Storage
          const texts = Array.from({ length: 20 }, (_, i) =>
            `sbom ${i}`)
          for (const text of texts) yield* put(text, [], "image")
          const all = texts.map((text) => digestOf(text)).sort()
          const after = (last?: string) => listed(storage.referrers("a", digestOf("image"), last))
          assert.deepStrictEqual(yield* after(), all)
          assert.deepStrictEqual(yield* after(all[7]), all.slice(8))
          assert.deepStrictEqual(yield* after(`${all[7]}0`), all.slice(8))
          assert.deepStrictEqual(yield* after(all[19]), [])
        }).pipe(Effect.provide(layer)))
    })
  })
