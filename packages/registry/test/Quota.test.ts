import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import * as Quota from "../src/Quota.ts"
import { Storage, StorageError } from "../src/Storage.ts"
import { digestOf, encode, having, openUpload, pushBlob, send } from "./registry.ts"

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

  it.effect("A57: forgets a thousand that were abandoned, and none that goes on", () =>
    Effect.gen(function*() {
      const kept = yield* openUpload("a")
      for (let i = 0; i < 999; i++) yield* openUpload("a")
      assert.strictEqual((yield* send("POST", "/v2/a/blobs/uploads/")).status, 429)
      yield* TestClock.adjust("50 minutes")
      assert.strictEqual((yield* send("PATCH", kept, { body: encode("x") })).status, 202)
      yield* TestClock.adjust("10 minutes")
      for (let i = 0; i < 999; i++) yield* openUpload("a")
      assert.strictEqual((yield* send("POST", "/v2/a/blobs/uploads/")).status, 429)
      assert.strictEqual((yield* send("PATCH", kept, { body: encode("y") })).headers["range"], "0-1")
    }).pipe(limited({})))

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
        Stream.make(encode("1234"), encode("5678"), encode("9")),
        () => Effect.sleep("40 minutes")
      )
      const patching = yield* Effect.forkChild(
        Effect.flatMap(openUpload("a"), (location) => send("PATCH", location, { body: slow })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("90 minutes")
      const full = yield* send("PATCH", yield* openUpload("a"), { body: encode("abcd") })
      assert.strictEqual(full.status, 507)
      yield* Fiber.interrupt(patching)
    }).pipe(limited({ bytes: 10 }), having({ patience: "1 day", minimumRate: 0 })))
})
