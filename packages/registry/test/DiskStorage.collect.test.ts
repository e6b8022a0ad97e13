import * as Digest from "@effect-oci/name/Digest"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { TestClock } from "effect/testing"
import * as DiskStorage from "../src/DiskStorage.ts"
import {
  contentOf,
  digest,
  files,
  folder,
  latest,
  push,
  putTagged,
  read,
  realNow,
  referrersOf,
  run,
  stored,
  text
} from "./disk.ts"
import { digestOf, encode } from "./registry.ts"

describe("DiskStorage", () => {
  describe("collect", () => {
    it.effect("removes what no repository links, and nothing that is new or linked", () =>
      run(Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* folder
        const storage = yield* DiskStorage.make(path)
        for (const name of ["a", "b"]) yield* push(storage, name, text)
        yield* push(storage, "a", "alone")
        yield* storage.deleteBlob("a", digest)
        yield* storage.deleteBlob("a", digestOf("alone"))
        yield* TestClock.setTime(yield* realNow)
        yield* storage.collect
        assert.isTrue(yield* fs.exists(contentOf(path, digestOf("alone"))))
        yield* TestClock.adjust("61 minutes")
        yield* storage.collect
        assert.isFalse(yield* fs.exists(contentOf(path, digestOf("alone"))))
        assert.strictEqual(yield* read(storage, text), text)
        yield* storage.deleteBlob("b", digest)
        yield* storage.collect
        assert.deepStrictEqual(yield* files(path), [])
      })))

    it.effect("keeps what refers to something, tagged or not, and its blobs", () =>
      run(Effect.gen(function*() {
        const path = yield* folder
        const storage = yield* DiskStorage.make(path)
        yield* push(storage, "a", text)
        yield* putTagged(storage, "sbom")
        yield* storage.deleteManifest("a", latest)
        yield* TestClock.setTime(yield* realNow)
        yield* TestClock.adjust("2 hours")
        yield* storage.collect
        assert.strictEqual((yield* referrersOf(storage, "a", digestOf("subject"))).length, 1)
        assert.deepStrictEqual(yield* storage.manifest("a", digestOf("sbom")), Option.some(stored("sbom")))
        assert.strictEqual(yield* read(storage, text), text)
      })))

    it.effect("takes no old tag for rubbish that is on its way, and what it points to is deleted", () =>
      run(Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* folder
        const other = yield* DiskStorage.make(path)
        yield* putTagged(other, "one")
        yield* TestClock.setTime(yield* realNow)
        yield* TestClock.adjust("2 hours")
        const storage = yield* Effect.provideService(DiskStorage.make(path), FileSystem.FileSystem, {
          ...fs,
          rename: (from, to) => Effect.tap(fs.rename(from, to), () => Effect.orDie(other.collect))
        })
        assert.isTrue(yield* storage.deleteManifest("a", digestOf("one")))
        assert.deepStrictEqual(yield* storage.tags("a"), Option.some([]))
      })))

    it.effect("prunes blobs that no manifest names, where told to, and spares what is asked for", () =>
      run(Effect.gen(function*() {
        const path = yield* folder
        const pruning = yield* DiskStorage.make(path, { pruneAfter: "7 days" })
        const sparing = yield* DiskStorage.make(path)
        const layers = ["named", "unnamed", "wanted", "new"]
        const descriptor = (text: string) => ({
          mediaType: "application/octet-stream",
          digest: digestOf(text),
          size: encode(text).length
        })
        const image = JSON.stringify({
          schemaVersion: 2,
          mediaType: MediaType.ociManifest,
          config: descriptor("{}"),
          layers: [descriptor("named")]
        })
        for (const text of ["{}", ...layers.slice(0, 3)]) yield* push(pruning, "a", text)
        yield* push(pruning, "opaque", "unnamed")
        yield* pruning.putManifest("opaque", { ...stored("?"), mediaType: "application/x-unknown" }, {
          tags: [latest],
          subject: Option.none()
        })
        yield* pruning.putManifest("a", { ...stored(image), mediaType: MediaType.ociManifest }, {
          tags: [],
          subject: Option.none()
        })
        yield* TestClock.setTime(yield* realNow)
        const blobs = Effect.map(
          Effect.filter(
            ["{}", ...layers],
            (text) => Effect.map(sparing.blobSize("a", digestOf(text)), Option.isSome)
          ),
          (texts) => texts.toSorted()
        )
        yield* TestClock.adjust("4 days")
        yield* pruning.blobSize("a", digestOf("wanted"))
        yield* TestClock.adjust("4 days")
        yield* sparing.collect
        assert.deepStrictEqual(yield* blobs, ["named", "unnamed", "wanted", "{}"])
        yield* pruning.collect
        assert.deepStrictEqual(yield* blobs, ["named", "wanted", "{}"])
        assert.deepStrictEqual(yield* pruning.blobs("opaque"), [digestOf("unnamed")])
        assert.strictEqual(yield* read(pruning, "unnamed"), "unnamed")
        yield* pruning.deleteManifest("a", digestOf(image))
        yield* TestClock.adjust("8 days")
        yield* pruning.collect
        assert.deepStrictEqual(yield* pruning.blobs("a"), [])
      })))

    it.effect("spares what is pushed or named at the last moment", () =>
      run(Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* folder
        const other = yield* DiskStorage.make(path)
        const image = JSON.stringify({
          schemaVersion: 2,
          mediaType: MediaType.ociManifest,
          config: { mediaType: "application/octet-stream", digest: digestOf("named"), size: 5 },
          layers: []
        })
        const moments: Array<string> = []
        /** Does something the first time, right before a step. */
        const before = <E>(moment: string, first: Effect.Effect<void, E>) =>
          Effect.suspend(() => {
            if (moments.includes(moment)) return Effect.void
            moments.push(moment)
            return Effect.orDie(first)
          })
        const storage = yield* DiskStorage.make(path, { pruneAfter: "1 day" }).pipe(
          Effect.provideService(FileSystem.FileSystem, {
            ...fs,
            rename: (from, to) =>
              to.includes("/aside/")
                ? Effect.andThen(before("pushed", push(other, "b", text)), fs.rename(from, to))
                : fs.rename(from, to),
            remove: (file, options) =>
              file.includes("/blobs/sha256-")
                ? Effect.andThen(
                  before(
                    "named",
                    other.putManifest("a", { ...stored(image), mediaType: MediaType.ociManifest }, {
                      tags: [],
                      subject: Option.none()
                    })
                  ),
                  fs.remove(file, options)
                )
                : fs.remove(file, options)
          })
        )
        yield* push(other, "a", "named")
        yield* push(other, "a", text)
        yield* other.deleteBlob("a", digest)
        yield* TestClock.setTime((yield* realNow) + 2 * 86_400_000)
        yield* storage.collect
        assert.deepStrictEqual(moments, ["named", "pushed"])
        assert.deepStrictEqual(yield* other.blobs("a"), [digestOf("named")])
        assert.deepStrictEqual(yield* other.blobSize("b", digest), Option.some(11))
        assert.strictEqual(yield* read(other, text), text)
        assert.deepStrictEqual(yield* fs.readDirectory(`${path}/aside`), [])
      })))

    it.effect("puts back what was put aside by one that was killed, if it is linked", () =>
      run(Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* folder
        const storage = yield* DiskStorage.make(path)
        yield* push(storage, "a", text)
        yield* push(storage, "a", "alone")
        yield* storage.deleteBlob("a", digestOf("alone"))
        yield* fs.makeDirectory(`${path}/aside`)
        for (const one of [digest, digestOf("alone")]) {
          yield* fs.rename(contentOf(path, one), `${path}/aside/sha256-${Digest.hex(one)}`)
        }
        // Even before, it is there for whoever asks.
        assert.strictEqual(yield* read(storage, text), text)
        yield* storage.collect
        assert.isTrue(yield* fs.exists(contentOf(path, digest)))
        assert.deepStrictEqual(yield* fs.readDirectory(`${path}/aside`), [])
        yield* fs.rename(contentOf(path, digest), `${path}/aside/sha256-${Digest.hex(digest)}`)
        assert.deepStrictEqual(yield* storage.blobSize("a", digest), Option.some(11))
        assert.deepStrictEqual(yield* fs.readDirectory(`${path}/aside`), [])
      })))

    it.effect("takes nothing from whoever pushes meanwhile", () =>
      run(Effect.gen(function*() {
        const path = yield* folder
        const storage = yield* DiskStorage.make(path)
        const fs = yield* FileSystem.FileSystem
        yield* TestClock.setTime(yield* realNow)
        // What nobody links is old, and pushed and collected again and again.
        const texts = ["1", "2", "3", "4", "5", "6", "7", "8"]
        const turn = (text: string) =>
          Effect.gen(function*() {
            yield* Effect.ignore(fs.utimes(contentOf(path, digestOf(text)), 0, 0))
            yield* push(storage, text, text)
            assert.deepStrictEqual(yield* storage.blobSize(text, digestOf(text)), Option.some(1))
            assert.strictEqual(yield* read(storage, text), text)
            yield* storage.deleteBlob(text, digestOf(text))
          })
        yield* Effect.all([
          Effect.forEach(texts, (text) => Effect.repeat(turn(text), { times: 20 }), { concurrency: 8, discard: true }),
          Effect.repeat(storage.collect, { times: 40 })
        ], { concurrency: 2, discard: true })
      })))
  })
})
