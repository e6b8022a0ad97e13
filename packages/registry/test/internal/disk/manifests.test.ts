import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as DiskStorage from "../../../src/DiskStorage.ts"
import * as RegistryServer from "../../../src/RegistryServer.ts"
import { Storage, type StorageError } from "../../../src/Storage.ts"
import { folder, latest, putTagged, run, type Service, stored } from "../../disk.ts"
import { digestOf, sendTo } from "../../registry.ts"

type Change = (storage: Service) => Effect.Effect<unknown, StorageError>

/**
 * A folder with a tag, of a manifest that is deleted; just before the first file of `kind` goes, the process that does it begins
 * what is `ours`, which waits for that, or another one does what is `theirs`, which does not.
 */
const deleteWhile = Effect.fnUntraced(function*(
  kind: "tags" | "manifests",
  change: { readonly ours: Change } | { readonly theirs: Change }
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* folder
  const reached = yield* Deferred.make<void>()
  const go = yield* Deferred.make<void>()
  const pause = Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(go))
  const paused = <A, E>(file: string, step: Effect.Effect<A, E>) =>
    file.includes(`/a/${kind}/`) ? Effect.andThen(pause, step) : step
  const storage = yield* Effect.provideService(DiskStorage.make(path, { durable: false }), FileSystem.FileSystem, {
    ...fs,
    remove: (file, options) => paused(file, fs.remove(file, options)),
    rename: (from, to) => paused(from, fs.rename(from, to))
  })
  yield* putTagged(storage, "one")
  const deleting = yield* Effect.forkChild(storage.deleteManifest("a", digestOf("one")))
  yield* Deferred.await(reached)
  const changing = yield* Effect.forkChild(
    "ours" in change ? change.ours(storage) : Effect.flatMap(DiskStorage.make(path), change.theirs)
  )
  if ("theirs" in change) yield* Fiber.await(changing)
  // It has had time for many times the steps that it has, unless it waits for the other one.
  else for (let i = 0; i < 200 && changing.pollUnsafe() === undefined; i++) yield* fs.exists(path)
  yield* Deferred.succeed(go, undefined)
  assert.isTrue(yield* Fiber.join(deleting))
  yield* Fiber.join(changing)
  return storage
})

describe("manifests on disk", () => {
  it.effect("keep a tag that is moved while what it pointed to is deleted", () =>
    run(Effect.gen(function*() {
      const storage = yield* deleteWhile("tags", { ours: (storage) => putTagged(storage, "two") })
      assert.deepStrictEqual(yield* storage.manifest("a", latest), Option.some(stored("two")))
      assert.deepStrictEqual(yield* storage.manifest("a", digestOf("one")), Option.none())
    })))

  it.effect("keep it as well when it is another process that moves it", () =>
    run(Effect.gen(function*() {
      const storage = yield* deleteWhile("tags", { theirs: (storage) => putTagged(storage, "two") })
      assert.deepStrictEqual(yield* storage.manifest("a", latest), Option.some(stored("two")))
      assert.deepStrictEqual(yield* storage.manifest("a", digestOf("one")), Option.none())
    })))

  it.effect("have no tag that points nowhere when one is tagged while it is deleted", () =>
    run(Effect.gen(function*() {
      const storage = yield* deleteWhile("manifests", { ours: (storage) => putTagged(storage, "one") })
      assert.deepStrictEqual(yield* storage.tags("a"), Option.some([latest]))
      assert.deepStrictEqual(yield* storage.manifest("a", latest), Option.some(stored("one")))
    })))

  it.effect("have none either when it is another process that tags it", () =>
    run(Effect.gen(function*() {
      const storage = yield* deleteWhile("manifests", { theirs: (storage) => putTagged(storage, "one") })
      assert.deepStrictEqual(yield* storage.tags("a"), Option.some([]))
      assert.deepStrictEqual(yield* storage.manifest("a", digestOf("one")), Option.none())
    })))

  it.effect("are found by a tag that moves, and whose old one is deleted, while it is read", () =>
    run(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* folder
      const other = yield* DiskStorage.make(path, { durable: false })
      yield* putTagged(other, "one")
      let between = Effect.andThen(putTagged(other, "two"), other.deleteManifest("a", digestOf("one")))
      const storage = yield* Effect.provideService(DiskStorage.make(path, { durable: false }), FileSystem.FileSystem, {
        ...fs,
        readFile: (file) =>
          Effect.tap(fs.readFile(file), () => {
            if (!file.includes("/a/tags/")) return Effect.void
            const now = between
            between = Effect.succeed(true)
            return Effect.orDie(now)
          })
      })
      assert.deepStrictEqual(yield* storage.manifest("a", latest), Option.some(stored("two")))
    })))

  it.effect("are read for one page of what refers to another, and not for all pages", () =>
    run(Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      let count = 0
      const storage = yield* Effect.provideService(DiskStorage.make(yield* folder), FileSystem.FileSystem, {
        ...fs,
        readFile: (file) => Effect.suspend(() => (count += Number(file.includes("/referrers/")), fs.readFile(file)))
      })
      for (let i = 0; i < 50; i++) yield* putTagged(storage, `sbom ${i}`)
      const send = sendTo(Effect.provideService(RegistryServer.app, Storage, storage))
      let next: string | undefined = `/v2/a/referrers/${digestOf("subject")}?n=10`
      const counts: Array<number> = []
      const found: Array<string> = []
      while (next !== undefined) {
        count = 0
        const answer: Effect.Success<ReturnType<typeof send>> = yield* send("GET", next)
        found.push(...JSON.parse(answer.text).manifests.map((entry: { digest: string }) => entry.digest))
        counts.push(count)
        next = /^<([^>]+)>/.exec(answer.headers["link"] ?? "")?.[1]
      }
      assert.deepStrictEqual(found, Array.from({ length: 50 }, (_, i) => digestOf(`sbom ${i}`)).sort())
      assert.strictEqual(counts.length, 5)
      assert.isBelow(Math.max(...counts), 21)
    })))
})
