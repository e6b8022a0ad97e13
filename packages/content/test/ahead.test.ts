import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Copy from "../src/Copy.ts"
import * as MemoryStore from "../src/MemoryStore.ts"
import type { Source, Target } from "../src/Store.ts"
import * as Verify from "../src/Verify.ts"
import * as WriteGraph from "../src/WriteGraph.ts"
import * as WriteNode from "../src/WriteNode.ts"
import { nowhere, shared, yields } from "./graphs.ts"

describe("what is read ahead", () => {
  it.effect("reads manifests of what is new while the target is asked for them", () =>
    Effect.gen(function*() {
      const { root, store } = yield* shared
      const slow: Target = {
        ...MemoryStore.make("target"),
        exists: () => Effect.delay(Effect.succeed(false), "1 minute")
      }
      const copy = (isNew: boolean) => {
        const said: Array<string> = []
        const source: Source = {
          ...store,
          fetch: (descriptor) =>
            Stream.unwrap(Effect.as(
              Effect.delay(Effect.sync(() => said.push(descriptor.digest)), "1 minute"),
              store.fetch(descriptor)
            ))
        }
        return Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(Copy.copy(source, slow, root, { isNew }))
          while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("10 seconds")
          yield* Fiber.join(fiber)
          // Each was read once.
          assert.strictEqual(new Set(said).size, said.length)
          return yield* Clock.currentTimeMillis
        })
      }
      const first = yield* copy(false)
      const second = (yield* copy(true)) - first
      // Two levels of manifests.
      assert.strictEqual(first - second, 120_000)
    }))

  it.effect("reads small blobs of what is new while the target is asked for them, but none to mount and none to plan", () =>
    Effect.gen(function*() {
      const { root, store } = yield* shared
      const repository = (path: string) => Option.some(Repository.parseUnsafe(`ghcr.io/${path}`))
      const copy = (isNew: boolean, isMountable: boolean) => {
        const reads: Array<string> = []
        const source: Source = {
          ...store,
          repository: isMountable ? repository("acme/base") : Option.none(),
          read: ({ digest }) =>
            Effect.delay(
              Effect.sync(() => (reads.push(digest), store.contents.get(digest)!.bytes)),
              "1 minute"
            )
        }
        const to = MemoryStore.make("target")
        const target: Target = {
          ...to,
          repository: repository("acme/app"),
          exists: () => Effect.delay(Effect.succeed(false), "1 minute"),
          push: (what, body, options) =>
            isMountable && options?.mountFrom?.length === 1 ? Effect.succeed("mounted") : to.push(what, body, options)
        }
        const roots = WriteGraph.to(target, Copy.roots(source, root, { isNew }))
        return Effect.gen(function*() {
          const before = yield* Clock.currentTimeMillis
          for (const run of [WriteGraph.plan(roots), WriteGraph.run(roots)]) {
            const fiber = yield* Effect.forkChild(run)
            while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("10 seconds")
            yield* Fiber.join<unknown, unknown>(fiber)
          }
          assert.strictEqual(new Set(reads).size, reads.length)
          return { reads: reads.length, millis: (yield* Clock.currentTimeMillis) - before }
        })
      }
      const usual = yield* copy(false, false)
      const early = yield* copy(true, false)
      assert.isAbove(usual.reads, 0)
      assert.strictEqual(early.reads, usual.reads)
      assert.strictEqual(usual.millis - early.millis, 60_000)
      assert.strictEqual((yield* copy(true, true)).reads, 0)
    }))

  it.effect("does not wait for the bytes of a small blob before it begins to write it", () =>
    Effect.gen(function*() {
      const store = MemoryStore.make("source")
      const blob = yield* store.add("text/plain", new TextEncoder().encode("small"))
      let reads = 0
      const source: Source = {
        ...store,
        read: ({ digest }) => Effect.delay(Effect.sync(() => (reads++, store.contents.get(digest)!.bytes)), "3 minutes")
      }
      let began = 0
      const target: Target = {
        ...MemoryStore.make("target"),
        exists: () => Effect.delay(Effect.succeed(false), "1 minute"),
        push: (_, body) =>
          Effect.gen(function*() {
            began = yield* Clock.currentTimeMillis
            yield* body.whole ?? Effect.void
            return "sent" as const
          })
      }
      const fiber = yield* Effect.forkChild(Copy.copy(source, target, blob, { isNew: true }))
      while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual([began, yield* Clock.currentTimeMillis, reads], [60_000, 180_000, 1])
    }))

  it.effect.each([{ concurrency: 4 }, { perOrigin: 4 }])(
    "reads no more small blobs ahead at once than it may: %j",
    (options) =>
      Effect.gen(function*() {
        const store = MemoryStore.make("source")
        const blobs = yield* Effect.forEach(
          Array.from({ length: 40 }, (_, at) => new TextEncoder().encode(`small ${at}`)),
          (bytes) => store.add("text/plain", bytes)
        )
        let reading = 0
        let most = 0
        const source: Source = {
          ...store,
          read: ({ digest }) =>
            Effect.suspend(() => {
              most = Math.max(most, ++reading)
              return Effect.delay(Effect.sync(() => (reading--, store.contents.get(digest)!.bytes)), "1 minute")
            })
        }
        const target: Target = {
          ...MemoryStore.make("target"),
          exists: () => Effect.delay(Effect.succeed(false), "1 second"),
          push: (_, body) => Effect.as(body.whole ?? Effect.void, "sent" as const)
        }
        const roots = blobs.map((blob) => ({ node: WriteNode.content(source, blob, { isNew: true }), target }))
        const fiber = yield* Effect.forkChild(WriteGraph.run(roots, options))
        while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(fiber)).sent, 40)
        assert.isAtMost(most, 4)
      })
  )

  it.effect("reads a small blob that is wrong once more, though it was read ahead, and writes nothing of it", () =>
    Effect.gen(function*() {
      const store = MemoryStore.make("source")
      const blob = yield* store.add("text/plain", new TextEncoder().encode("small"))
      let reads = 0
      const source: Source = {
        ...store,
        read: (what) => Effect.suspend(() => (reads++, Verify.bytes(what, new Uint8Array(5), { location: "source" })))
      }
      let pushes = 0
      const target: Target = {
        ...MemoryStore.make("target"),
        exists: () => Effect.delay(Effect.succeed(false), "1 minute"),
        push: (_, body) => Effect.suspend(() => (pushes++, Effect.as(body.whole ?? Effect.void, "sent" as const)))
      }
      const fiber = yield* Effect.forkChild(Effect.flip(Copy.copy(source, target, blob, { isNew: true })))
      yield* TestClock.adjust("1 minute")
      const error = yield* Fiber.join(fiber)
      assert.deepStrictEqual([error.reason.reason._tag, error.side, reads, pushes], [
        "DigestMismatch",
        "source",
        2,
        0
      ])
    }))

  it.effect("lets go of what was read ahead and is there, and fails with what was not", () =>
    Effect.gen(function*() {
      const { root, store } = yield* shared
      const interrupted: Array<string> = []
      const stuck: Source = {
        ...store,
        fetch: ({ digest }) =>
          Stream.fromEffect(Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push(digest))))
      }
      const whole = MemoryStore.make("target")
      yield* Copy.copy(store, whole, root)
      const slow: Target = { ...whole, exists: (what) => Effect.andThen(yields, whole.exists(what)) }
      const report = yield* Copy.copy(stuck, slow, root, { isNew: true })
      assert.strictEqual(report.present, 1)
      assert.deepStrictEqual(interrupted, [root.digest])
      const reads: Array<string> = []
      const broken: Source = {
        ...store,
        fetch: ({ digest }) => Stream.suspend(() => (reads.push(digest), store.fetch({ ...root, digest: nowhere })))
      }
      const error = yield* Effect.flip(Copy.copy(broken, MemoryStore.make("target"), root, { isNew: true }))
      assert.strictEqual(error.side, "source")
      assert.deepStrictEqual(reads, [root.digest])
    }))
})
