import * as Digest from "@effect-oci/name/Digest"
import type * as Tag from "@effect-oci/name/Tag"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as DiskStorage from "../src/DiskStorage.ts"
import * as FakeImage from "../src/FakeImage.ts"
import * as FakeRegistry from "../src/FakeRegistry.ts"
import type { Storage } from "../src/Storage.ts"
import { digestOf, encode } from "./registry.ts"
import { suite } from "./storage.ts"

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "registry-" }))

suite(
  "DiskStorage",
  Layer.unwrap(Effect.map(folder, (path) => DiskStorage.layer(path, { durable: false }))).pipe(
    Layer.provide(NodeServices.layer),
    Layer.orDie
  )
)

describe("FakeRegistry", () => {
  it.effect("keeps its content on disk, where told to", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* folder
      const context = yield* Effect.context<NodeServices.NodeServices>()
      const storage = DiskStorage.make(path).pipe(Effect.provideContext(context), Effect.orDie)
      yield* Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const root = yield* fake.seed("r.example/app:1", FakeImage.image({ layers: 2 }))
        assert.deepStrictEqual(yield* fake.tags("r.example/app"), ["1"])
        assert.strictEqual(Option.getOrThrow(yield* fake.manifest("r.example/app:1")).digest, root.digest)
        assert.strictEqual((yield* fake.blobs("r.example/app")).length, 3)
        assert.strictEqual((yield* fs.readDirectory(`${path}/blobs/sha256`)).length, 3)
      }).pipe(Effect.provide(FakeRegistry.layer({ hosts: ["r.example"], storage })))
    }).pipe(Effect.provide(NodeServices.layer)))
})

type Service = Storage["Service"]

const text = "hello world"
const digest = digestOf(text)
const latest = "Latest" as Tag.Tag
const stored = (text: string) => ({ digest: digestOf(text), mediaType: "application/json", bytes: encode(text) })

const push = Effect.fnUntraced(function*(storage: Service, repository: string, text: string) {
  const { id } = yield* storage.createUpload(repository)
  yield* storage.append(repository, id, 0, Stream.make(encode(text)))
  yield* storage.commit(repository, id, digestOf(text))
})

const read = (storage: Service, text: string) =>
  Effect.map(
    Stream.mkUint8Array(storage.readBlob(digestOf(text), 0, encode(text).length)),
    (bytes) => new TextDecoder().decode(bytes)
  )

const putTagged = (storage: Service, text: string) =>
  storage.putManifest("a", stored(text), {
    tags: [latest],
    subject: Option.some({
      digest: digestOf("subject"),
      referrer: { mediaType: "application/json", digest: digestOf(text), size: text.length }
    })
  })

const contentOf = (root: string, digest: Digest.Digest) =>
  `${root}/blobs/${Digest.algorithm(digest)}/${Digest.hex(digest)}`

const reasonOf = <A, E extends { readonly reason: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

/** The files below a folder, but for the marker. */
const files = Effect.fnUntraced(function*(root: string) {
  const fs = yield* FileSystem.FileSystem
  const all = yield* fs.readDirectory(root, { recursive: true })
  const found = yield* Effect.filter(
    all,
    (name) => Effect.map(fs.stat(`${root}/${name}`), ({ type }) => type === "File")
  )
  return found.filter((name) => name !== "effect-oci-registry.json").toSorted()
})

const run = <A, E>(effect: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>) =>
  Effect.provide(effect, NodeServices.layer)

/** Now, by the clock of the file system. */
const realNow = Effect.sync(() => Date.now())

describe("DiskStorage", () => {
  describe("make", () => {
    it.effect("opens a folder again and again, and keeps what was there", () =>
      run(Effect.gen(function*() {
        const path = `${yield* folder}/new/one`
        const first = yield* DiskStorage.make(path)
        yield* push(first, "a/b", text)
        yield* putTagged(first, "one")
        const second = yield* DiskStorage.make(path)
        assert.strictEqual(yield* read(second, text), text)
        assert.deepStrictEqual(yield* second.blobSize("a/b", digest), Option.some(11))
        assert.deepStrictEqual(yield* second.repositories, ["a", "a/b"])
        assert.deepStrictEqual(yield* second.manifest("a", latest), Option.some(stored("one")))
        assert.deepStrictEqual(yield* second.tags("a"), Option.some(["Latest"]))
        assert.strictEqual((yield* second.referrers("a", digestOf("subject"))).length, 1)
        assert.isTrue(yield* second.linkBlob("c", digest, "a/b"))
        assert.isTrue(yield* second.deleteManifest("a", digestOf("one")))
        assert.deepStrictEqual(yield* first.tags("a"), Option.some([]))
        assert.deepStrictEqual(yield* first.referrers("a", digestOf("subject")), [])
      })))

    it.effect("is open to several at once, who lose nothing of each other", () =>
      run(Effect.gen(function*() {
        const path = yield* folder
        const all = yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7], () => DiskStorage.make(path), { concurrency: 8 })
        yield* Effect.forEach(all, (storage, i) =>
          Effect.forEach([0, 1, 2, 3, 4], (j) =>
            Effect.gen(function*() {
              yield* push(storage, "a", text)
              yield* push(storage, `only/${i}`, `${i}.${j}`)
              yield* storage.putManifest("a", stored(`manifest ${i}.${j}`), {
                tags: [latest, `${i}.${j}` as Tag.Tag],
                subject: Option.some({
                  digest,
                  referrer: { mediaType: "application/json", digest: digestOf(`manifest ${i}.${j}`), size: 12 }
                })
              })
              yield* storage.collect
            })), { concurrency: 8 })
        const [one] = all
        assert.strictEqual(Option.getOrThrow(yield* one!.tags("a")).length, 41)
        assert.strictEqual((yield* one!.referrers("a", digest)).length, 40)
        assert.match(new TextDecoder().decode(Option.getOrThrow(yield* one!.manifest("a", latest)).bytes), /^manifest/)
        assert.strictEqual(yield* read(one!, text), text)
        for (let i = 0; i < 8; i++) assert.strictEqual((yield* one!.blobs(`only/${i}`)).length, 5)
      })))

    it.effect("refuses a folder of something else, and one of another version", () =>
      run(Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* folder
        yield* fs.writeFileString(`${path}/thesis.txt`, "")
        assert.strictEqual(
          (yield* Effect.flip(DiskStorage.make(path))).detail,
          `${path}: the folder is not empty and not a registry's`
        )
        yield* fs.writeFileString(`${path}/effect-oci-registry.json`, `{"version":2}`)
        assert.include((yield* Effect.flip(DiskStorage.make(path))).detail, "does not say version 1")
      })))

    it.effect("opens what a run left that was killed at its first step", () =>
      run(Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* folder
        yield* fs.makeDirectory(`${path}/temporary`)
        yield* DiskStorage.make(path)
      })))
  })

  describe("uploads", () => {
    it.effect("go on in another process, from the bytes that are on disk", () =>
      run(Effect.gen(function*() {
        const path = yield* folder
        const first = yield* DiskStorage.make(path)
        for (const algorithm of ["sha256", "sha512"] as const) {
          const { id } = yield* first.createUpload("a", algorithm)
          yield* first.append("a", id, 0, Stream.make(encode("hello ")))
          const second = yield* DiskStorage.make(path)
          assert.deepStrictEqual(yield* second.upload("a", id), { id, size: 6 })
          assert.strictEqual(yield* reasonOf(second.upload("b", id)), "NoUpload")
          assert.strictEqual((yield* second.append("a", id, 6, Stream.make(encode("world")))).size, 11)
          yield* second.commit("a", id, digestOf(text, algorithm))
          assert.strictEqual(yield* reasonOf(first.upload("a", id)), "NoUpload")
          assert.deepStrictEqual(yield* first.blobSize("a", digestOf(text, algorithm)), Option.some(11))
        }
        assert.deepStrictEqual((yield* files(path)).filter((name) => /^(uploads|temporary)/.test(name)), [])
      })))

    it.effect("are completed in another process", () =>
      run(Effect.gen(function*() {
        const path = yield* folder
        const first = yield* DiskStorage.make(path)
        const { id } = yield* first.createUpload("a")
        yield* first.append("a", id, 0, Stream.make(encode(text)))
        yield* (yield* DiskStorage.make(path)).commit("a", id, digest)
        assert.strictEqual(yield* read(first, text), text)
      })))

    it.effect("have the bytes of one process only, whoever else goes on adding", () =>
      run(Effect.gen(function*() {
        const path = yield* folder
        const first = yield* DiskStorage.make(path)
        const second = yield* DiskStorage.make(path)
        const { id } = yield* first.createUpload("a")
        const wanted = "H".repeat(140_000)
        // In the midst of its bytes, another process takes over and comes to the same length with others.
        const late = Stream.concat(
          Stream.make(encode(wanted.slice(0, 70_000))),
          Stream.fromEffect(Effect.gen(function*() {
            const { size } = yield* second.upload("a", id)
            assert.strictEqual(size, 65_536)
            yield* second.append("a", id, size, Stream.make(encode("E".repeat(140_000 - size))))
            return encode(wanted.slice(70_000))
          }))
        )
        assert.strictEqual(yield* reasonOf(first.append("a", id, 0, late)), "OutOfOrder")
        // A third one makes a file, which may well get the number of the one that the first one had.
        const third = yield* DiskStorage.make(path)
        yield* third.append("a", id, 140_000, Stream.empty)
        assert.strictEqual(yield* reasonOf(first.commit("a", id, digestOf(wanted))), "DigestMismatch")
        assert.deepStrictEqual(yield* first.blobs("a"), [])
      })))

    it.effect("are not too old as long as bytes arrive, however few", () =>
      run(Effect.gen(function*() {
        const path = yield* folder
        const storage = yield* DiskStorage.make(path)
        yield* TestClock.setTime(yield* realNow)
        const { id } = yield* storage.createUpload("a")
        const sizes: Array<number> = []
        const slow = Stream.fromIterable([..."hello"], { chunkSize: 1 }).pipe(
          Stream.mapEffect((char) =>
            Effect.gen(function*() {
              yield* TestClock.adjust("30 minutes")
              yield* storage.collect
              sizes.push((yield* storage.upload("a", id)).size)
              return encode(char)
            })
          )
        )
        yield* storage.append("a", id, 0, slow)
        assert.deepStrictEqual(sizes, [0, 1, 2, 3, 4])
        yield* storage.commit("a", id, digestOf("hello"))
      })))

    it.effect("of earlier processes are gone when they are too old, and take no room", () =>
      run(Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* folder
        const first = yield* DiskStorage.make(path)
        const ids = yield* Effect.forEach(
          Array.from({ length: 1000 }),
          () => Effect.map(first.createUpload("a"), ({ id }) => id),
          { concurrency: 32 }
        )
        yield* TestClock.setTime(yield* realNow)
        const second = yield* DiskStorage.make(path)
        yield* second.collect
        assert.strictEqual((yield* fs.readDirectory(`${path}/uploads`)).length, 1000)
        yield* TestClock.adjust("61 minutes")
        assert.strictEqual(yield* reasonOf(second.upload("a", ids[0]!)), "NoUpload")
        yield* second.collect
        assert.deepStrictEqual(yield* fs.readDirectory(`${path}/uploads`), [])
      })))
  })

  describe("what is torn", () => {
    it.effect("is not believed, whichever file it is, and is healed by the next push", () =>
      run(Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* folder
        const storage = yield* DiskStorage.make(path)
        const pushAll = Effect.gen(function*() {
          yield* push(storage, "a", text)
          yield* putTagged(storage, "one")
        })
        const whole = Effect.gen(function*() {
          assert.deepStrictEqual(yield* storage.blobSize("a", digest), Option.some(11))
          assert.strictEqual(yield* read(storage, text), text)
          assert.deepStrictEqual(yield* storage.manifest("a", latest), Option.some(stored("one")))
          assert.strictEqual((yield* storage.referrers("a", digestOf("subject"))).length, 1)
        })
        yield* pushAll
        const all = yield* files(path)
        assert.strictEqual(all.length, 5)
        for (const name of all.filter((name) => !name.includes("/blobs/sha256-"))) {
          const size = Number((yield* fs.stat(`${path}/${name}`)).size)
          for (const length of [0, Math.floor(size / 2), size - 1]) {
            yield* fs.writeFile(`${path}/${name}`, (yield* fs.readFile(`${path}/${name}`)).subarray(0, length))
            const blob = yield* storage.blobSize("a", digest)
            const manifest = yield* storage.manifest("a", latest)
            const referrers = yield* storage.referrers("a", digestOf("subject"))
            assert.strictEqual(
              [Option.isNone(blob), Option.isNone(manifest), referrers.length === 0].filter(Boolean).length,
              1,
              `${name} cut to ${length}`
            )
            yield* pushAll
            yield* whole
          }
        }
        assert.deepStrictEqual(yield* files(path), all)
      })))

    it.effect("fails where it tears while it is read", () =>
      run(Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* folder
        const storage = yield* DiskStorage.make(path)
        yield* push(storage, "a", text)
        yield* fs.truncate(contentOf(path, digest), 5)
        assert.strictEqual(yield* reasonOf(read(storage, text)), "Failed")
      })))

    it.effect("is not what a link or a pipe leads to", () =>
      run(Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* folder
        const storage = yield* DiskStorage.make(path)
        yield* push(storage, "a", text)
        yield* fs.rename(contentOf(path, digest), `${path}/elsewhere`)
        yield* fs.symlink(`${path}/elsewhere`, contentOf(path, digest))
        assert.deepStrictEqual(yield* storage.blobSize("a", digest), Option.none())
      })))
  })

  describe("names", () => {
    it.effect("lead nowhere but into the folder, and differ where theirs do", () =>
      run(Effect.gen(function*() {
        const path = yield* folder
        const storage = yield* DiskStorage.make(`${path}/one`)
        const names = ["../../etc", "..", "a/../b", "a+b", "a/b", "A/b", "%", "é", ""]
        for (const name of names) yield* push(storage, name, text)
        assert.deepStrictEqual(yield* storage.repositories, names.toSorted())
        const fs = yield* FileSystem.FileSystem
        assert.deepStrictEqual(yield* fs.readDirectory(path), ["one"])
        for (const tag of ["v1", "V1"]) {
          yield* storage.putManifest("a", stored(tag), { tags: [tag as Tag.Tag], subject: Option.none() })
        }
        assert.deepStrictEqual(yield* storage.manifest("a", "v1" as Tag.Tag), Option.some(stored("v1")))
        assert.deepStrictEqual(yield* storage.manifest("a", "V".repeat(128) as Tag.Tag), Option.none())
      })))
  })

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
        assert.strictEqual((yield* storage.referrers("a", digestOf("subject"))).length, 1)
        assert.deepStrictEqual(yield* storage.manifest("a", digestOf("sbom")), Option.some(stored("sbom")))
        assert.strictEqual(yield* read(storage, text), text)
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
