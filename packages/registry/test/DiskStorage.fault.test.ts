import type * as Digest from "@effect-oci/name/Digest"
import type * as Tag from "@effect-oci/name/Tag"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as DiskStorage from "../src/DiskStorage.ts"
import { type Storage, StorageError, UploadLifetime } from "../src/Storage.ts"
import { referrersOf } from "./disk.ts"
import * as FailingDisk from "./failingDisk.ts"
import { digestOf, encode } from "./registry.ts"

type Service = Storage["Service"]

const large = "large ".repeat(500)
const small = "small"
const latest = "latest" as Tag.Tag
const contents = new Map([large, small, "one", "two"].map((text) => [digestOf(text), text]))
const stored = (text: string) => ({ digest: digestOf(text), mediaType: "application/json", bytes: encode(text) })

/** What has been acknowledged, each step under its name. */
type Done = Set<string>

/** What a registry does in its life, one step after the other; each is said to be done once it is. */
const life = (storage: Service, done: Done) => {
  const step = <A, E>(name: string, effect: Effect.Effect<A, E>) =>
    Effect.tap(effect, () => Effect.sync(() => done.add(name)))
  const push = Effect.fnUntraced(function*(repository: string, text: string, parts: number) {
    const bytes = encode(text)
    const { id } = yield* storage.createUpload(repository)
    const size = Math.ceil(bytes.length / parts)
    for (let at = 0; at < bytes.length; at += size) {
      yield* storage.append(repository, id, at, Stream.make(bytes.subarray(at, at + size)))
    }
    yield* storage.commit(repository, id, digestOf(text))
  })
  const put = (text: string, subject: boolean) =>
    storage.putManifest("a", stored(text), {
      tags: [latest],
      subject: subject
        ? Option.some({
          digest: digestOf("subject"),
          referrer: { mediaType: "application/json", digest: digestOf(text), size: text.length }
        })
        : Option.none()
    })
  return Effect.gen(function*() {
    yield* step("large", push("a", large, 3))
    yield* step("small", push("a", small, 1))
    yield* step("again", push("b", small, 1))
    yield* step("linked", storage.linkBlob("c", digestOf(large), "a"))
    yield* step("one", put("one", true))
    yield* step("two", put("two", false))
    yield* step("untwo", storage.deleteManifest("a", digestOf("two")))
    yield* step("unone", storage.deleteManifest("a", digestOf("one")))
    yield* step("unlinked", storage.deleteBlob("b", digestOf(small)))
    yield* step("collected", storage.collect)
  })
}

const isThere = (storage: Service, repository: string, digest: Digest.Digest) =>
  Effect.map(storage.blobSize(repository, digest), Option.isSome)

/** All that can be read is whole, and what was acknowledged is there and not what was given up. */
const check = Effect.fnUntraced(function*(storage: Service, done: Done, where: string) {
  for (const repository of yield* storage.repositories) {
    for (const digest of yield* storage.blobs(repository)) {
      const size = Option.getOrThrow(yield* storage.blobSize(repository, digest))
      const bytes = yield* Effect.flatMap(storage.readBlob(repository, digest, 0, size), Stream.mkUint8Array)
      assert.strictEqual(digestOf(bytes), digest, where)
      assert.isTrue(contents.has(digest), where)
    }
    for (const tag of Option.getOrThrow(yield* storage.tags(repository))) {
      const manifest = Option.getOrThrow(yield* storage.manifest(repository, tag as Tag.Tag))
      assert.strictEqual(digestOf(manifest.bytes), manifest.digest, where)
      assert.strictEqual(manifest.mediaType, "application/json", where)
    }
    for (const { digest } of yield* referrersOf(storage, repository, digestOf("subject"))) {
      assert.isTrue(Option.isSome(yield* storage.manifest(repository, digest)), where)
    }
  }
  assert.isTrue(!done.has("large") || (yield* isThere(storage, "a", digestOf(large))), where)
  assert.isTrue(!done.has("small") || (yield* isThere(storage, "a", digestOf(small))), where)
  assert.isTrue(!done.has("linked") || (yield* isThere(storage, "c", digestOf(large))), where)
  assert.isFalse(done.has("unlinked") && (yield* isThere(storage, "b", digestOf(small))), where)
  const tagged = Option.getOrUndefined(yield* storage.manifest("a", latest))?.digest
  const one = Option.isSome(yield* storage.manifest("a", digestOf("one")))
  if (done.has("unone")) assert.deepStrictEqual([tagged, one], [undefined, false], where)
  else if (done.has("untwo")) assert.isUndefined(tagged, where)
  else if (done.has("two")) assert.isTrue(one && (tagged === digestOf("two") || tagged === undefined), where)
  else if (done.has("one")) {
    assert.isTrue(one && (tagged === digestOf("one") || tagged === digestOf("two")), where)
    assert.strictEqual((yield* referrersOf(storage, "a", digestOf("subject"))).length, 1, where)
  }
})

/** One life for each step that there is in one, in which that step goes wrong. */
const everyStep = (
  how: FailingDisk.How,
  then: (life: {
    readonly where: string
    readonly root: string
    readonly done: Done
    readonly exit: Exit.Exit<unknown, StorageError>
    readonly storage: Service
    readonly fs: FileSystem.FileSystem
  }) => Effect.Effect<void, unknown, NodeServices.NodeServices>
) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const steps = new Set<string>()
    // A little later than all that is written, and far from too late for an upload.
    yield* TestClock.setTime(Date.now() + 600_000)

    const live = Effect.fnUntraced(function*(at: number) {
      const root = yield* fs.makeTempDirectoryScoped({ prefix: "registry-" })
      const done: Done = new Set()
      // The folder is made by a healthy one, so that there is a storage to go on with.
      yield* DiskStorage.make(root)
      const failing = FailingDisk.make(fs, at, how)
      const opened = yield* Effect.exit(
        Effect.provideService(DiskStorage.make(root), FileSystem.FileSystem, failing.fs)
      )
      const exit = Exit.isSuccess(opened) ? yield* Effect.exit(life(opened.value, done)) : opened
      const name = failing.steps[at - 1]
      if (name === undefined) {
        assert.isTrue(Exit.isSuccess(exit))
        return false
      }
      steps.add(name)
      if (Exit.isSuccess(opened)) {
        yield* then({ where: `${how} at step ${at}, ${name}`, root, done, fs, exit, storage: opened.value })
      }
      return true
    }, Effect.scoped)

    for (let from = 1;; from += 8) {
      const lives = yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7], (i) => live(from + i), { concurrency: 8 })
      if (lives.every(Boolean)) continue
      assert.deepStrictEqual(
        [...steps].toSorted(),
        ["create", "makeDirectory", "remove", "rename", "sync", "utimes", "write"]
      )
      return from + lives.indexOf(false) - 1
    }
  }).pipe(
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provide(NodeServices.layer)
  )

const files = (fs: FileSystem.FileSystem, root: string) =>
  Effect.map(
    Effect.all([fs.readDirectory(`${root}/temporary`), fs.readDirectory(`${root}/uploads`)]),
    (all) => all.flat()
  )

describe("DiskStorage", () => {
  it.effect(
    "loses nothing and tears nothing wherever it is killed, and goes on from there",
    () =>
      Effect.gen(function*() {
        const count = yield* everyStep("killed", ({ done, fs, root, where }) =>
          Effect.gen(function*() {
            const storage = yield* DiskStorage.make(root)
            yield* check(storage, done, where)
            const all: Done = new Set()
            yield* life(storage, all)
            yield* check(storage, all, where)
            // What was left behind is gone when it is old.
            yield* (yield* Effect.provideService(DiskStorage.make(root), UploadLifetime, 0)).collect
            yield* check(storage, all, where)
            assert.deepStrictEqual(yield* files(fs, root), [], where)
          }))
        assert.isAbove(count, 60)
      }),
    60_000
  )

  it.effect(
    "says that there is no space, leaves nothing behind, and goes on when there is some",
    () =>
      Effect.gen(function*() {
        const count = yield* everyStep("full", ({ done, exit, fs, root, storage, where }) =>
          Effect.gen(function*() {
            // Not all steps matter to what they are part of.
            if (Exit.isFailure(exit)) {
              const error = yield* Effect.flip(exit)
              assert.instanceOf(error, StorageError, where)
              assert.strictEqual(error.reason, "NoSpace", where)
            }
            yield* check(storage, done, where)
            assert.deepStrictEqual(yield* fs.readDirectory(`${root}/temporary`), [], where)
            const all: Done = new Set()
            yield* life(storage, all)
            yield* check(storage, all, where)
          }))
        assert.isAbove(count, 60)
      }),
    60_000
  )
})
