import type * as Tag from "@effect-oci/name/Tag"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { existsSync } from "node:fs"
import * as DiskStorage from "../src/DiskStorage.ts"
import * as FakeImage from "../src/FakeImage.ts"
import * as FakeRegistry from "../src/FakeRegistry.ts"
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
  reasonOf,
  referrersOf,
  run,
  stored,
  text
} from "./disk.ts"
import { digestOf, encode } from "./registry.ts"
import { suite } from "./storage.ts"

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
      const storage = (name: string) =>
        DiskStorage.make(`${path}/${name}`).pipe(Effect.provideContext(context), Effect.orDie)
      yield* Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const root = yield* fake.seed("r.example/app:1", FakeImage.image({ layers: 2 }))
        assert.deepStrictEqual(yield* fake.tags("r.example/app"), ["1"])
        assert.strictEqual(Option.getOrThrow(yield* fake.manifest("r.example/app:1")).digest, root.digest)
        assert.strictEqual((yield* fake.blobs("r.example/app")).length, 3)
        assert.strictEqual((yield* fs.readDirectory(`${path}/r.example/blobs/sha256`)).length, 3)
        // What is in a folder is there again.
        assert.strictEqual((yield* Effect.exit(fake.reset))._tag, "Failure")
      }).pipe(Effect.provide(FakeRegistry.layer({ hosts: ["r.example"], storage })))
    }).pipe(Effect.provide(NodeServices.layer)))
})

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
        assert.strictEqual((yield* referrersOf(second, "a", digestOf("subject"))).length, 1)
        assert.isTrue(yield* second.linkBlob("c", digest, "a/b"))
        assert.isTrue(yield* second.deleteManifest("a", digestOf("one")))
        assert.deepStrictEqual(yield* first.tags("a"), Option.some([]))
        assert.deepStrictEqual(yield* referrersOf(first, "a", digestOf("subject")), [])
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
        assert.strictEqual((yield* referrersOf(one!, "a", digest)).length, 40)
        assert.match(new TextDecoder().decode(Option.getOrThrow(yield* one!.manifest("a", latest)).bytes), /^manifest/)
        assert.strictEqual(yield* read(one!, text), text)
        for (let i = 0; i < 8; i++) assert.strictEqual((yield* one!.blobs(`only/${i}`)).length, 5)
      })))

    it.effect("opens a new folder that another process makes a registry's meanwhile", () =>
      run(Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* folder
        let other = Effect.flatMap(DiskStorage.make(path), (storage) => push(storage, "a", text))
        const after = <A, E>(step: Effect.Effect<A, E>) =>
          Effect.tap(Effect.exit(step), () => {
            const now = other
            other = Effect.void
            return Effect.orDie(run(now))
          }).pipe(Effect.flatten)
        const storage = yield* Effect.provideService(DiskStorage.make(path), FileSystem.FileSystem, {
          ...fs,
          readFile: (file) => after(fs.readFile(file)),
          readDirectory: (folder, options) => after(fs.readDirectory(folder, options))
        })
        assert.strictEqual(yield* read(storage, text), text)
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

    // Where there is such a folder, nobody can make another one in it.
    it.effect.skipIf(!existsSync("/proc/self"))(
      "refuses a folder that cannot be made",
      () =>
        run(Effect.gen(function*() {
          const error = yield* Effect.flip(DiskStorage.make("/proc/registry/of/mine"))
          assert.strictEqual(error.message, "the storage failed: ENOENT")
        }))
    )

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
          assert.strictEqual((yield* referrersOf(storage, "a", digestOf("subject"))).length, 1)
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
            const referrers = yield* referrersOf(storage, "a", digestOf("subject"))
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

    it.effect("that is a large manifest is read again for whoever takes it slowly", () =>
      run(Effect.gen(function*() {
        const storage = yield* DiskStorage.make(yield* folder)
        const large = { ...stored("x".repeat(1_000_000)), mediaType: "a/b" }
        const put = (manifest: typeof large) => storage.putManifest("a", manifest, { tags: [], subject: Option.none() })
        yield* put(large)
        yield* put(stored(text))
        assert.isUndefined(Option.getOrThrow(yield* storage.manifest("a", digest)).again)
        const { again } = Option.getOrThrow(yield* storage.manifest("a", large.digest))
        const bytes = Effect.map(Stream.mkUint8Array(again!), (bytes) => digestOf(new TextDecoder().decode(bytes)))
        assert.strictEqual(yield* bytes, large.digest)
        // What stands before it in its file is longer by now.
        yield* put({ ...large, mediaType: "application/json" })
        assert.strictEqual(yield* bytes, large.digest)
        yield* storage.deleteManifest("a", large.digest)
        assert.strictEqual(yield* reasonOf(bytes), "Failed")
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
})
