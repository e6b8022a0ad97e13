import * as Repository from "@effect-oci/name/Repository"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Bytes from "../../src/Bytes.ts"
import { ContentError, DigestMismatch } from "../../src/ContentError.ts"
import * as Copy from "../../src/Copy.ts"
import * as MemoryStore from "../../src/MemoryStore.ts"
import type { Source, Target } from "../../src/Store.ts"
import * as WriteGraph from "../../src/WriteGraph.ts"
import { json, manifest, shared, v1 } from "../graphs.ts"

describe("entries", () => {
  /** A registry's repositories, which mount from each other what they have. */
  const registry = (host: string, names: ReadonlyArray<string>) => {
    const repositories = new Map(names.map((name) => {
      const repository = Repository.parseUnsafe(`${host}/${name}`)
      return [repository.path, { repository, store: MemoryStore.make(repository.name) }] as const
    }))
    const log: Array<string> = []
    const stores = [...repositories.values()].map(({ repository, store }): Target => ({
      ...store,
      repository: Option.some(repository),
      push: (descriptor, body, options) => {
        const from = (options?.mountFrom ?? []).find((other) =>
          other.registry.name === repository.registry.name &&
          repositories.get(other.path)?.store.contents.has(descriptor.digest) === true
        )
        if (from === undefined) {
          log.push(`send ${repository.path}`)
          return Effect.andThen(Effect.sleep("1 second"), store.push(descriptor, body))
        }
        log.push(`mount ${repository.path} ${from.path}`)
        const { bytes } = repositories.get(from.path)!.store.contents.get(descriptor.digest)!
        return Effect.as(store.push(descriptor, Bytes.body(bytes)), "mounted" as const)
      }
    }))
    return { stores, log, repositories }
  }

  const wrongBytes = new ContentError({
    operation: "read",
    location: "source",
    reason: new DigestMismatch({ expected: "sha256:a", actual: "sha256:b" })
  })

  const settle = Effect.fnUntraced(function*<A, E>(self: Effect.Effect<A, E>) {
    const fiber = yield* Effect.forkChild(self)
    yield* TestClock.adjust("1 hour")
    return yield* Fiber.join(fiber)
  })

  it.effect("sends a blob once to a registry, and mounts it everywhere else there", () =>
    Effect.gen(function*() {
      const { root, store } = yield* shared
      const one = registry("one.test", ["a", "b", "c"])
      const two = registry("two.test", ["a"])
      const roots = [...one.stores, ...two.stores].flatMap((target) =>
        WriteGraph.to(target, Copy.roots(store, root, { tags: [v1] }))
      )
      const plan = yield* WriteGraph.plan(roots)
      assert.deepStrictEqual(WriteGraph.summary(plan), {
        blobs: 6,
        manifests: 12,
        bytes: WriteGraph.summary(plan).bytes,
        unknown: 0,
        mount: 6,
        skip: 0,
        tag: 4,
        refer: 0
      })
      const report = yield* settle(WriteGraph.run(plan))
      assert.strictEqual(report.mounted, 6)
      assert.deepStrictEqual(one.log.filter((line) => line.startsWith("mount")).length, 6)
      for (const { store: written } of [...one.repositories.values(), ...two.repositories.values()]) {
        assert.strictEqual(written.tags.get(v1)?.digest, root.digest)
        assert.strictEqual(written.contents.size, 6)
      }
    }))

  it.effect("reads each document once, however many targets there are", () =>
    Effect.gen(function*() {
      const { root, store } = yield* shared
      const reads: Array<string> = []
      const source: Source = {
        ...store,
        fetch: (descriptor, offset) => {
          if (MediaType.isDocument(descriptor.mediaType)) reads.push(descriptor.digest)
          return store.fetch(descriptor, offset)
        }
      }
      const nodes = Copy.roots(source, root)
      yield* WriteGraph.run([
        ...WriteGraph.to(MemoryStore.make("a"), nodes),
        ...WriteGraph.to(MemoryStore.make("b"), nodes)
      ])
      assert.strictEqual(reads.length, 3)
    }))

  it.live("reads each blob once, and sends it to all targets as it comes, the slower ones setting the pace", () =>
    Effect.gen(function*() {
      const memory = MemoryStore.make("source")
      const layers = yield* Effect.forEach(
        [1, 2, 3],
        (seed) => memory.add(MediaType.ociLayer, new Uint8Array(5_000_000).fill(seed))
      )
      const root = yield* manifest(memory, yield* memory.add(MediaType.ociConfig, json({})), layers)
      const reads: Array<string> = []
      // The same buffer each time, as places that are read from hand it out.
      const buffer = new Uint8Array(64 * 1024)
      const source: Source = {
        ...memory,
        fetch: (descriptor, offset = 0) => {
          if (MediaType.isDocument(descriptor.mediaType)) return memory.fetch(descriptor, offset)
          return Stream.suspend(() => {
            reads.push(`${descriptor.digest} ${offset}`)
            const { bytes } = memory.contents.get(descriptor.digest)!
            return Stream.fromIterable({
              *[Symbol.iterator]() {
                for (let at = offset; at < bytes.length; at += buffer.length) {
                  const part = bytes.subarray(at, at + buffer.length)
                  buffer.set(part)
                  yield buffer.subarray(0, part.length)
                }
              }
            }, { chunkSize: 1 })
          })
        }
      }
      const paced = (store: MemoryStore.MemoryStore, millis: number): Target => ({
        ...store,
        push: (descriptor, body) =>
          store.push(descriptor, (offset) => Stream.tap(body(offset), () => Effect.sleep(millis)))
      })
      const stores = [MemoryStore.make("fast"), MemoryStore.make("slow"), MemoryStore.make("slower")]
      const nodes = Copy.roots(source, root)
      const roots = stores.flatMap((store, i) => WriteGraph.to(paced(store, i), nodes))
      yield* WriteGraph.run(roots)
      // Three layers and a config.
      assert.strictEqual(reads.length, 4)
      assert.strictEqual(new Set(reads).size, 4)
      for (const { contents } of stores) assert.strictEqual(contents.size, 5)
    }))

  it.effect("leaves behind a target that stalls, which reads the rest by itself", () =>
    Effect.gen(function*() {
      const memory = MemoryStore.make("source")
      const layer = yield* memory.add(MediaType.ociLayer, new Uint8Array(5_000_000).fill(1))
      const reads: Array<number> = []
      const source: Source = {
        ...memory,
        fetch: (_, offset = 0) => {
          reads.push(offset)
          return Stream.fromIterable(
            Array.from({ length: 50 }, () => new Uint8Array(100_000).fill(1)),
            { chunkSize: 1 }
          ).pipe(Stream.drop(offset / 100_000))
        }
      }
      const quick = MemoryStore.make("quick")
      const stalled = MemoryStore.make("stalled")
      let isFirst = true
      const stalling: Target = {
        ...stalled,
        push: (descriptor, body) =>
          stalled.push(descriptor, (offset) =>
            Stream.tap(body(offset), () => {
              if (!isFirst) return Effect.void
              isFirst = false
              return Effect.sleep("1 minute")
            }))
      }
      const nodes = Copy.roots(source, layer)
      yield* settle(WriteGraph.run([...WriteGraph.to(quick, nodes), ...WriteGraph.to(stalling, nodes)]))
      assert.deepStrictEqual(reads, [0, 100_000])
      assert.isTrue(quick.contents.has(layer.digest) && stalled.contents.has(layer.digest))
    }))

  it.effect("fails at all targets where the source fails, and reads anew", () =>
    Effect.gen(function*() {
      const { layer, root, store } = yield* shared
      let reads = 0
      const source: Source = {
        ...store,
        fetch: (descriptor, offset) => {
          if (descriptor.digest !== layer.digest) return store.fetch(descriptor, offset)
          return Stream.suspend(() => ++reads === 1 ? Stream.fail(wrongBytes) : store.fetch(descriptor, offset))
        }
      }
      const nodes = Copy.roots(source, root)
      const targets = [MemoryStore.make("a"), MemoryStore.make("b")]
      yield* settle(WriteGraph.run(targets.flatMap((target) => WriteGraph.to(target, nodes))))
      assert.strictEqual(reads, 2)
    }))

  it.effect("keeps stores of one name apart, and takes stores of one repository for one", () =>
    Effect.gen(function*() {
      const { root, store } = yield* shared
      const first = MemoryStore.make()
      const second = MemoryStore.make()
      const { repositories, stores: [target] } = registry("one.test", ["a"])
      const report = yield* settle(WriteGraph.run(
        [first, second, target!, { ...target! }].flatMap((to) => WriteGraph.to(to, Copy.roots(store, root)))
      ))
      assert.strictEqual(report.sent, 18)
      for (const { contents } of [first, second, repositories.get("a")!.store]) assert.strictEqual(contents.size, 6)
    }))

  it.effect("uploads once what sixteen runs of a process want to write at once", () =>
    Effect.gen(function*() {
      const { layer, store } = yield* shared
      const { log, stores: [target] } = registry("one.test", ["a"])
      const reports = yield* settle(Effect.forEach(
        Array.from({ length: 16 }),
        () => Copy.copy(store, target!, layer),
        { concurrency: "unbounded" }
      ))
      assert.deepStrictEqual(log, ["send a"])
      assert.strictEqual(reports.reduce((sum, { sent }) => sum + sent, 0), 1)
    }))

  it.effect("sends by itself what another run has failed to send", () =>
    Effect.gen(function*() {
      const { layer, store } = yield* shared
      const { log, stores: [target] } = registry("one.test", ["a"])
      const first = yield* Effect.forkChild(Copy.copy(store, target!, layer), { startImmediately: true })
      const second = yield* Effect.forkChild(Copy.copy(store, target!, layer), { startImmediately: true })
      yield* Fiber.interrupt(first)
      const report = yield* settle(Fiber.join(second))
      assert.strictEqual(report.sent, 1)
      assert.strictEqual(log.length, 2)
    }))
})
