import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import * as Quota from "../src/Quota.ts"
import { Storage, StorageError } from "../src/Storage.ts"
import { digestOf, encode, having, openUpload, pushBlob, send } from "./registry.ts"
import { suite } from "./storage.ts"

suite("Quota", Layer.effect(Storage, Effect.flatMap(MemoryStorage.make, (storage) => Quota.limit(storage))))

const limited = (options: Quota.Options) =>
  Effect.provideServiceEffect(Storage, Effect.flatMap(MemoryStorage.make, (storage) => Quota.limit(storage, options)))

const failed = new StorageError({ reason: "Failed", detail: "the disk" })

describe("Quota", () => {
  it.effect("A57: has so many uploads open, and says when to come back", () =>
    Effect.gen(function*() {
      const first = yield* openUpload("a")
      yield* openUpload("b")
      const refused = yield* send("POST", "/v2/a/blobs/uploads/")
      assert.deepStrictEqual([refused.status, refused.codes], [429, ["TOOMANYREQUESTS"]])
      assert.strictEqual(refused.headers["retry-after"], "10")
      yield* send("DELETE", first)
      const second = yield* openUpload("a")
      assert.strictEqual((yield* send("POST", "/v2/a/blobs/uploads/")).status, 429)
      assert.strictEqual((yield* send("PUT", `${second}?digest=${digestOf("x")}`, { body: encode("x") })).status, 201)
      assert.strictEqual((yield* send("POST", "/v2/a/blobs/uploads/")).status, 202)
    }).pipe(limited({ uploads: 2 })))

  it.effect("A57: has no more uploads open though they are asked for at once, and takes back what failed", () =>
    Effect.gen(function*() {
      const storage = yield* MemoryStorage.make
      const opened = yield* Latch.make()
      let works = false
      const slow: Storage["Service"] = {
        ...storage,
        createUpload: (repository, algorithm) =>
          Effect.andThen(
            opened.await,
            Effect.suspend(() => works ? storage.createUpload(repository, algorithm) : Effect.fail(failed))
          )
      }
      const post = send("POST", "/v2/a/blobs/uploads/").pipe(
        Effect.provideService(Storage, yield* Quota.limit(slow, { uploads: 2 }))
      )
      const all = Effect.gen(function*() {
        yield* opened.close
        const posts = yield* Effect.forEach(
          Array.from({ length: 5 }),
          () => Effect.forkChild(post, { startImmediately: true })
        )
        yield* opened.open
        return (yield* Effect.forEach(posts, Fiber.join)).map(({ status }) => status)
      })
      assert.deepStrictEqual(yield* all, [500, 500, 429, 429, 429])
      works = true
      assert.deepStrictEqual(yield* all, [202, 202, 429, 429, 429])
    }))

  it.effect("A57: gives the places of a thousand that were abandoned to others, and none of those that go on", () =>
    Effect.gen(function*() {
      const open = Effect.map(send("POST", "/v2/a/blobs/uploads/"), ({ status }) => status)
      const single = send("POST", `/v2/a/blobs/uploads/?digest=${digestOf("x")}`, { body: encode("x") })
      const mount = send("POST", `/v2/a/blobs/uploads/?mount=${digestOf("absent")}&from=b`)
      const kept = yield* openUpload("a")
      const abandoned = yield* openUpload("a")
      for (let i = 0; i < 998; i++) yield* openUpload("a")
      yield* TestClock.adjust("4 minutes")
      for (const post of [single, mount]) assert.strictEqual((yield* post).status, 429)
      assert.strictEqual((yield* send("PATCH", kept, { body: encode("x") })).status, 202)
      yield* TestClock.adjust("1 minute")
      for (const [post, status] of [[single, 201], [mount, 202]] as const) {
        assert.strictEqual((yield* post).status, status)
      }
      assert.strictEqual((yield* send("GET", abandoned)).status, 404)
      // What a single POST took is free again.
      for (let i = 0; i < 998; i++) assert.strictEqual(yield* open, 202)
      assert.strictEqual(yield* open, 429)
      assert.strictEqual((yield* send("PATCH", kept, { body: encode("y") })).headers["range"], "0-1")
    }).pipe(limited({})))

  it.effect("A57: keeps the place of a client that goes on slowly, in one request or in many", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      const slow = Stream.tap(
        Stream.fromIterable(["1", "2", "3"].map(encode), { chunkSize: 1 }),
        () => Effect.sleep("4 minutes")
      )
      const patching = yield* Effect.forkChild(send("PATCH", location, { body: slow }), { startImmediately: true })
      for (let i = 0; i < 3; i++) {
        yield* TestClock.adjust("4 minutes")
        assert.strictEqual((yield* send("POST", "/v2/a/blobs/uploads/")).status, 429)
      }
      assert.strictEqual((yield* Fiber.join(patching)).headers["range"], "0-2")
    }).pipe(limited({ uploads: 1 }), having({ patience: "1 day", minimumRate: 0 })))

  it.effect("A57: gives the space of what was abandoned to others", () =>
    Effect.gen(function*() {
      // It is lacking for another upload, or for the bytes of one that there is.
      for (const text of ["1234567890", "12345678"]) {
        const abandoned = yield* openUpload("a")
        assert.strictEqual((yield* send("PATCH", abandoned, { body: encode(text) })).status, 202)
        yield* TestClock.adjust("5 minutes")
        const location = yield* openUpload("a")
        assert.strictEqual((yield* send("PATCH", location, { body: encode("abcdef") })).status, 202)
        assert.strictEqual((yield* send("GET", abandoned)).status, 404)
        assert.strictEqual((yield* send("DELETE", location)).status, 204)
      }
    }).pipe(limited({ bytes: 10 })))

  it.effect("A57: is told of a storage that cannot give up what was abandoned, and counts it", () =>
    Effect.gen(function*() {
      const storage = yield* MemoryStorage.make
      let works = false
      const quota = yield* Quota.limit({
        ...storage,
        cancel: (repository, id) => works ? storage.cancel(repository, id) : Effect.fail(failed)
      }, { uploads: 1 })
      yield* quota.createUpload("a")
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* Effect.flip(quota.createUpload("a")), failed)
      works = true
      assert.strictEqual((yield* Effect.flip(quota.createUpload("a"))).reason, "Busy")
      yield* TestClock.adjust("5 minutes")
      yield* quota.createUpload("a")
      assert.strictEqual((yield* Effect.flip(quota.createUpload("a"))).reason, "Busy")
    }))

  it.effect("gives back what a single POST took, whatever became of it", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 5; i++) {
        const wrong = yield* send("POST", `/v2/a/blobs/uploads/?digest=${digestOf("y")}`, { body: encode("x") })
        assert.strictEqual(wrong.status, 400)
        const broken = yield* send("POST", `/v2/a/blobs/uploads/?digest=${digestOf("x")}`, {
          body: Stream.concat(Stream.make(encode("x")), Stream.fail("cut"))
        })
        assert.strictEqual(broken.status, 400)
        yield* pushBlob("a", `${i}`)
      }
      assert.strictEqual((yield* send("POST", "/v2/a/blobs/uploads/")).status, 202)
    }).pipe(limited({ uploads: 1 })))

  it.effect("A57: has no space for more bytes than it should, while they arrive", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      assert.strictEqual((yield* send("PATCH", location, { body: encode("12345678") })).status, 202)
      let pulled = 0
      const endless = Stream.map(Stream.forever(Stream.make(1)), () => {
        pulled++
        return encode("x")
      })
      const full = yield* send("PATCH", yield* openUpload("a"), { body: endless })
      assert.deepStrictEqual([full.status, full.codes], [507, ["DENIED"]])
      assert.isBelow(pulled, 10)
      assert.strictEqual((yield* send("DELETE", location)).status, 204)
      assert.strictEqual((yield* send("PATCH", yield* openUpload("a"), { body: encode("1234") })).status, 202)
    }).pipe(limited({ bytes: 10 })))

  it.effect("A57: gives back what a single POST took whose client went away while it was opened", () =>
    Effect.gen(function*() {
      const storage = yield* MemoryStorage.make
      const opened = yield* Latch.make()
      const slow: Storage["Service"] = {
        ...storage,
        createUpload: (repository, algorithm) =>
          Effect.tap(storage.createUpload(repository, algorithm), () => opened.await)
      }
      const quota = yield* Quota.limit(slow, { uploads: 1 })
      const post = (query: string) =>
        Effect.provideService(send("POST", `/v2/a/blobs/uploads/${query}`, { body: encode("x") }), Storage, quota)
      const client = yield* Effect.forkChild(post(`?digest=${digestOf("x")}`), { startImmediately: true })
      const leaving = yield* Effect.forkChild(Fiber.interrupt(client), { startImmediately: true })
      yield* opened.open
      yield* Fiber.join(leaving)
      assert.strictEqual((yield* post("")).status, 202)
    }))

  it.effect("A57: counts what is still there after a failure, and nothing that went with it", () =>
    Effect.gen(function*() {
      const storage = yield* MemoryStorage.make
      const full = new StorageError({ reason: "NoSpace", detail: "the disk" })
      const failing: Storage["Service"] = {
        ...storage,
        append: (repository, id, at, bytes) =>
          Effect.andThen(
            storage.append(repository, id, at, bytes),
            Effect.andThen(storage.cancel(repository, id), Effect.fail(full))
          ),
        commit: () => Effect.never
      }
      const quota = yield* Quota.limit(failing, { uploads: 1, bytes: 10 })
      const { id: gone } = yield* quota.createUpload("a")
      yield* Effect.flip(quota.append("a", gone, 0, Stream.make(encode("12345678"))))
      const { id } = yield* quota.createUpload("a")
      const committing = yield* Effect.forkChild(quota.commit("a", id, digestOf("")), { startImmediately: true })
      yield* Fiber.interrupt(committing)
      assert.strictEqual((yield* Effect.flip(quota.createUpload("a"))).reason, "Busy")
      yield* quota.cancel("a", id)
      yield* quota.createUpload("a")
    }))

  it.effect("A57: counts an upload that takes longer than others are kept", () =>
    Effect.gen(function*() {
      const slow = Stream.tap(
        Stream.fromIterable(Array.from("123456789", encode), { chunkSize: 1 }),
        () => Effect.sleep("10 minutes")
      )
      const patching = yield* Effect.forkChild(
        Effect.flatMap(openUpload("a"), (location) => send("PATCH", location, { body: slow })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("90 minutes")
      const full = yield* send("PATCH", yield* openUpload("a"), { body: encode("abcd") })
      assert.strictEqual(full.status, 507)
      yield* Fiber.interrupt(patching)
    }).pipe(limited({ bytes: 10, abandonAfter: "11 minutes" }), having({ patience: "1 day", minimumRate: 0 })))
})
