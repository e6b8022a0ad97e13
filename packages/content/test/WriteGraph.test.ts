import * as Digest from "@effect-oci/name/Digest"
import * as Repository from "@effect-oci/name/Repository"
import * as Tag from "@effect-oci/name/Tag"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Graph from "effect/Graph"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Budget from "../src/Budget.ts"
import * as Bytes from "../src/Bytes.ts"
import { ContentError, DigestMismatch, Incomplete, Invalid, NotFound, Unavailable } from "../src/ContentError.ts"
import * as Copy from "../src/Copy.ts"
import * as MemoryStore from "../src/MemoryStore.ts"
import type { Source, Target } from "../src/Store.ts"
import * as Successors from "../src/Successors.ts"
import * as WriteGraph from "../src/WriteGraph.ts"
import * as WriteNode from "../src/WriteNode.ts"

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const v1 = Tag.parseUnsafe("v1")
const nowhere = Digest.parseUnsafe(`sha256:${"0".repeat(64)}`)

const manifest = Effect.fnUntraced(function*(
  store: MemoryStore.MemoryStore,
  config: Descriptor.Descriptor,
  layers: ReadonlyArray<Descriptor.Descriptor>
) {
  return yield* store.add(MediaType.ociManifest, json({ schemaVersion: 2, config, layers }))
})

const index = Effect.fnUntraced(function*(
  store: MemoryStore.MemoryStore,
  manifests: ReadonlyArray<Descriptor.Descriptor>
) {
  return yield* store.add(MediaType.ociIndex, json({ schemaVersion: 2, manifests: manifests.map(Descriptor.toJson) }))
})

const yields = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** An index of two images that share a layer. */
const shared = Effect.gen(function*() {
  const store = MemoryStore.make("source")
  const layer = yield* store.add(MediaType.ociLayer, json("layer"))
  const images = yield* Effect.forEach(
    ["a", "b"],
    (name) =>
      Effect.flatMap(store.add(MediaType.ociConfig, json({ name })), (config) => manifest(store, config, [layer]))
  )
  return { store, root: yield* index(store, images), layer, images }
})

/** A target that refuses what is out of order, as a registry does, and can be told to fail. */
const strict = (options: { readonly fail?: (what: string) => boolean; readonly delay?: Effect.Effect<void> } = {}) => {
  const store = MemoryStore.make("target")
  const order: Array<string> = []
  const step = (what: string) =>
    Effect.gen(function*() {
      yield* options.delay ?? Effect.void
      if (options.fail?.(what) === true) {
        return yield* new ContentError({
          operation: "write",
          location: "target",
          reason: new Unavailable({ detail: "as told" })
        })
      }
      order.push(what)
    })
  const target: Target = {
    ...store,
    push: (descriptor, body) =>
      Effect.gen(function*() {
        const outcome = yield* store.push(descriptor, body)
        const { bytes } = store.contents.get(descriptor.digest)!
        const missing = (yield* Effect.fromResult(Successors.of(descriptor, bytes, "target"))).filter(({ digest }) =>
          !store.contents.has(digest)
        )
        if (missing.length > 0) return yield* Effect.die(new Error("a manifest before what it names"))
        yield* Effect.onError(step(descriptor.digest), () =>
          Effect.sync(() => (store.contents as Map<Digest.Digest, unknown>).delete(descriptor.digest)))
        return outcome
      }),
    tag: (descriptor, tag) =>
      Effect.andThen(
        step(tag),
        Effect.suspend(() =>
          store.contents.has(descriptor.digest)
            ? store.tag(descriptor, tag)
            : Effect.die(new Error("a tag before its manifest"))
        )
      )
  }
  return { store, target, order }
}

describe("WriteGraph", () => {
  describe("plan", () => {
    it.effect("discovers all, and writes nothing", () =>
      Effect.gen(function*() {
        const { root, store } = yield* shared
        const { order, target } = strict()
        const plan = yield* WriteGraph.plan(WriteGraph.to(target, Copy.roots(store, root, { tags: [v1] })))
        assert.strictEqual(Graph.nodeCount(plan.graph), 7)
        assert.strictEqual(Graph.edgeCount(plan.graph), 7)
        assert.isTrue(Graph.isAcyclic(plan.graph))
        assert.deepStrictEqual(order, [])
        assert.include(WriteGraph.toMermaid(plan), "flowchart")
        assert.include(WriteGraph.toDot(plan), "digraph")
      }))

    it.effect("says what the target has", () =>
      Effect.gen(function*() {
        const { images, root, store } = yield* shared
        const { target } = strict()
        yield* Copy.copy(store, target, images[0]!)
        const plan = yield* WriteGraph.plan(WriteGraph.to(target, Copy.roots(store, root)))
        const present = [...Graph.nodes(plan.graph)].filter(([, node]) => node.step === "skip")
        // The image and the shared layer; what the image leads to besides is not looked at.
        assert.strictEqual(present.length, 2)
        const report = yield* WriteGraph.run(plan)
        assert.strictEqual(report.sent, 3)
      }))
  })

  describe("run", () => {
    it.effect("writes children first, each once, and the tag last", () =>
      Effect.gen(function*() {
        const { layer, root, store } = yield* shared
        const { order, store: written, target } = strict()
        const report = yield* WriteGraph.run(WriteGraph.to(target, Copy.roots(store, root, { tags: [v1] })))
        assert.strictEqual(report.sent, 7)
        assert.strictEqual(order.filter((what) => what === layer.digest).length, 1)
        assert.deepStrictEqual(order.slice(-2), [root.digest, "v1"])
        assert.strictEqual(written.tags.get(v1)?.digest, root.digest)
      }))

    it.effect("B36: goes by the bytes where a source was wrong of their size", () =>
      Effect.gen(function*() {
        const { root, store } = yield* shared
        const told = { ...root, size: 7 }
        const source: Source = {
          ...store,
          fetch: (descriptor, offset) => store.fetch(descriptor.digest === root.digest ? root : descriptor, offset)
        }
        const { store: there, target } = strict()
        const report = yield* WriteGraph.run(WriteGraph.to(target, Copy.roots(source, told, { tags: [v1] })), {
          verify: true
        })
        assert.deepStrictEqual(report.roots, [root])
        assert.deepStrictEqual(yield* there.resolve(v1), root)
      }))

    it.effect("asks for the tag alone when it is there", () =>
      Effect.gen(function*() {
        const { root, store } = yield* shared
        const { order, target } = strict()
        const roots = Copy.roots(store, root, { tags: [v1] })
        yield* WriteGraph.run(WriteGraph.to(target, roots))
        const before = order.length
        const again = yield* WriteGraph.run(WriteGraph.to(target, Copy.roots(store, root, { tags: [v1] })))
        assert.deepStrictEqual(again, { present: 1, mounted: 0, sent: 0, bytes: 0, roots: [root] })
        assert.strictEqual(order.length, before)
      }))

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

    it.effect("keeps to its budget, and lets nobody hold a slot while waiting", () =>
      Effect.gen(function*() {
        const { root, store } = yield* shared
        let busy = 0
        let most = 0
        const { target } = strict({
          delay: Effect.acquireUseRelease(
            Effect.sync(() => most = Math.max(most, ++busy)),
            () => Effect.sleep("1 second"),
            () => Effect.sync(() => busy--)
          )
        })
        const fiber = yield* Effect.forkChild(
          WriteGraph.run(WriteGraph.to(target, Copy.roots(store, root)), { concurrency: 1 })
        )
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(fiber)
        assert.strictEqual(most, 1)
      }))

    it.effect("lets a streamed layer's manifest wait for it, and nothing else", () =>
      Effect.gen(function*() {
        const { order, store, target } = strict()
        const config = MemoryStore.make("config")
        const known = yield* config.add(MediaType.ociConfig, json({}))
        const layer = WriteNode.stream("layer", MediaType.ociLayer, Stream.make(json("streamed")))
        const image = WriteNode.computed("image", MediaType.ociManifest, [WriteNode.content(config, known), layer], (
          [first, ...rest]
        ) => json({ schemaVersion: 2, config: first!.descriptor, layers: rest.map(({ descriptor }) => descriptor) }))
        const report = yield* WriteGraph.run(WriteGraph.to(target, [WriteNode.tag(image, v1)]))
        assert.strictEqual(report.sent, 4)
        const tagged = store.tags.get(v1)!
        assert.deepStrictEqual(order.slice(-2), [tagged.digest, "v1"])
      }))

    it.effect("names the side that stopped it, and says what was written", () =>
      Effect.gen(function*() {
        const { images, root, store } = yield* shared
        const { target } = strict({ fail: (what) => what === images[1]!.digest })
        const error = yield* Effect.flip(
          WriteGraph.run(WriteGraph.to(target, Copy.roots(store, root)), { onFailure: "finish" })
        )
        assert.strictEqual(error.side, "target")
        assert.strictEqual(error.subject, images[1]!.digest)
        assert.strictEqual(error.written, 4)
        assert.strictEqual(error.isRetryable, true)
      }))

    it.effect("says that the source lacks something", () =>
      Effect.gen(function*() {
        const store = MemoryStore.make("source")
        const absent = yield* MemoryStore.make().add(MediaType.ociLayer, json("absent"))
        const root = yield* manifest(store, yield* store.add(MediaType.ociConfig, json({})), [absent])
        const error = yield* Effect.flip(Copy.copy(store, strict().target, root))
        assert.strictEqual(error.side, "source")
        assert.strictEqual(error.reason.reason._tag, "NotFound")
      }))

    it.effect("refuses nodes that need each other", () =>
      Effect.gen(function*() {
        const node = (id: string, needs: () => ReadonlyArray<WriteNode.WriteNode>): WriteNode.WriteNode => ({
          ...WriteNode.stream(id, "text/plain", Stream.empty),
          discover: () => Effect.sync(() => ({ needs: needs() }))
        })
        const a: WriteNode.WriteNode = node("a", () => [b])
        const b: WriteNode.WriteNode = node("b", () => [a])
        const error = yield* Effect.flip(WriteGraph.run(WriteGraph.to(strict().target, [a, b])))
        assert.isTrue(error.reason.reason instanceof Invalid)
      }))

    it.effect("refuses what is nested too deep", () =>
      Effect.gen(function*() {
        const store = MemoryStore.make("source")
        let root = yield* index(store, [])
        for (let i = 0; i < 10; i++) root = yield* index(store, [root])
        const error = yield* Effect.flip(Copy.copy(store, strict().target, root))
        assert.include(error.message, "nested deeper than 8 levels")
      }))
  })

  describe("many targets", () => {
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

  describe("referrers", () => {
    /** An image with a signature, which is signed itself. */
    const signed = Effect.gen(function*() {
      const store = MemoryStore.make("source")
      const config = yield* store.add(MediaType.ociConfig, json({}))
      const image = yield* manifest(store, config, [yield* store.add(MediaType.ociLayer, json("layer"))])
      const about = Effect.fnUntraced(function*(subject: Descriptor.Descriptor, what: string) {
        return yield* store.add(
          MediaType.ociManifest,
          json({
            schemaVersion: 2,
            artifactType: "text/signature",
            config,
            layers: [yield* store.add("text/plain", json(what))],
            subject: Descriptor.toJson(subject)
          })
        )
      })
      const signature = yield* about(image, "signature")
      return { store, image, signature, countersignature: yield* about(signature, "countersignature") }
    })

    /** A target whose lists of referrers are kept by whoever writes to it. */
    const listing = () => {
      const inner = strict()
      const lists: Array<string> = []
      const target: Target = {
        ...inner.target,
        refer: (subject, referrer) =>
          Effect.sync(() => {
            lists.push(`${subject} <- ${referrer.artifactType} ${referrer.digest}`)
            inner.order.push(`list ${referrer.digest}`)
            return "sent" as const
          })
      }
      return { ...inner, target, lists }
    }

    it.effect("go along if asked, those of referrers too, and before the tag", () =>
      Effect.gen(function*() {
        const { countersignature, image, signature, store } = yield* signed
        const { lists, order, target } = listing()
        const options = { tags: [v1], follow: WriteNode.referrers }
        const plan = yield* WriteGraph.plan(WriteGraph.to(target, Copy.roots(store, image, options)))
        assert.strictEqual(WriteGraph.summary(plan).refer, 2)
        yield* WriteGraph.run(plan)
        assert.deepStrictEqual(
          new Set(lists),
          new Set([
            `${image.digest} <- text/signature ${signature.digest}`,
            `${signature.digest} <- text/signature ${countersignature.digest}`
          ])
        )
        const at = (what: string) => order.indexOf(what)
        assert.isBelow(at(image.digest), at("v1"))
        assert.isBelow(at(signature.digest), at(`list ${signature.digest}`))
        assert.isBelow(at(`list ${countersignature.digest}`), at("v1"))
        assert.strictEqual(at("v1"), order.length - 1)
      }))

    it.effect("stay where they are unless asked for, but who refers is listed", () =>
      Effect.gen(function*() {
        const { image, signature, store } = yield* signed
        const { lists, store: written, target } = listing()
        yield* Copy.copy(store, target, image)
        assert.strictEqual(written.contents.size, 3)
        yield* Copy.copy(store, target, signature)
        assert.deepStrictEqual(lists, [`${image.digest} <- text/signature ${signature.digest}`])
      }))

    it.effect("are looked for also where the target has the image and its tag, of which nothing is sent again", () =>
      Effect.gen(function*() {
        const { image, store } = yield* signed
        const { order, target } = listing()
        yield* Copy.copy(store, target, image, { tags: [v1] })
        const before = order.length
        yield* Copy.copy(store, target, image, { tags: [v1], follow: WriteNode.referrers })
        // Two signatures with their blobs, and their places in the lists.
        assert.strictEqual(order.length - before, 6)
      }))

    it.effect("end where a place says that a manifest refers to its own referrer", () =>
      Effect.gen(function*() {
        const { image, signature, store } = yield* signed
        const lying: Source = {
          ...store,
          referrers: (subject) => Stream.make(subject === image.digest ? signature : image)
        }
        const { store: written, target } = listing()
        yield* Copy.copy(lying, target, image, { follow: WriteNode.referrers })
        assert.strictEqual(written.contents.size, 5)
      }))
  })

  describe("what is legal", () => {
    it.effect("takes empty blobs, layers twice, configs as layers and manifests without layers, to many targets", () =>
      Effect.gen(function*() {
        const store = MemoryStore.make("source")
        const empty = yield* store.add(MediaType.ociLayer, new Uint8Array(0))
        const braces = yield* store.add(MediaType.ociEmpty, json({}))
        const config = yield* store.add(MediaType.ociConfig, json({ os: "linux" }))
        const images = [
          yield* manifest(store, config, []),
          yield* manifest(store, config, [empty, empty, config]),
          yield* manifest(store, braces, [braces])
        ]
        const reads: Array<string> = []
        const source: Source = {
          ...store,
          fetch: (descriptor, offset) =>
            Stream.suspend(() => {
              reads.push(descriptor.digest)
              return store.fetch(descriptor, offset)
            })
        }
        const nodes = Copy.roots(source, yield* index(store, images))
        const targets = [MemoryStore.make("a"), MemoryStore.make("b")]
        yield* WriteGraph.run(targets.flatMap((target) => WriteGraph.to(target, nodes)))
        for (const { contents } of targets) assert.strictEqual(contents.size, 7)
        assert.strictEqual(reads.length, 7)
      }))

    it.effect("takes four thousand layers, no more at once than there is room for", () =>
      Effect.gen(function*() {
        const store = MemoryStore.make("source")
        const layers = yield* Effect.forEach(
          Array.from({ length: 4000 }),
          (_, i) => store.add(MediaType.ociLayer, json(i))
        )
        const root = yield* manifest(store, yield* store.add(MediaType.ociConfig, json({})), layers)
        let busy = 0
        let most = 0
        const { target } = strict({
          delay: Effect.acquireUseRelease(
            Effect.sync(() => most = Math.max(most, ++busy)),
            () => Effect.yieldNow,
            () => Effect.sync(() => busy--)
          )
        })
        const report = yield* Copy.copy(store, target, root)
        assert.strictEqual(report.sent, 4002)
        assert.strictEqual(most, Budget.defaults.concurrency)
      }))

    it.effect("holds few manifests of an index of many images, and few of its blobs are begun", () =>
      Effect.gen(function*() {
        const store = MemoryStore.make("source")
        const images = yield* Effect.forEach(Array.from({ length: 200 }), (_, i) =>
          Effect.gen(function*() {
            const layers = yield* Effect.forEach([1, 2, 3], (n) => store.add(MediaType.ociLayer, json([i, n])))
            return yield* manifest(store, yield* store.add(MediaType.ociConfig, json({ i })), layers)
          }))
        const root = yield* index(store, images)
        const most = { manifests: 0, blobs: 0 }
        const now = { manifests: 0, blobs: 0 }
        const count = (descriptor: Descriptor.Descriptor, by: number) => {
          const kind = Successors.hasSuccessors(descriptor.mediaType) ? "manifests" : "blobs"
          now[kind] += by
          most[kind] = Math.max(most[kind], now[kind])
        }
        const { store: written, target } = strict({ delay: Effect.yieldNow })
        const counted: Target = {
          ...target,
          exists: (descriptor) =>
            Effect.andThen(
              Effect.andThen(Effect.sync(() => count(descriptor, 1)), Effect.yieldNow),
              target.exists(descriptor)
            ),
          push: (descriptor, body) =>
            Effect.ensuring(target.push(descriptor, body), Effect.sync(() => count(descriptor, -1)))
        }
        yield* Copy.copy(store, counted, root, { concurrency: 4 })
        assert.strictEqual(written.contents.size, store.contents.size)
        assert.deepStrictEqual(now, { manifests: 0, blobs: 0 })
        // The index, and twice as many of its images as anything goes on at once.
        assert.isAtMost(most.manifests, 9)
        assert.isAtMost(most.blobs, 8)
      }))

    it.effect("reads once what two parts of an index lead to, ahead or not", () =>
      Effect.gen(function*() {
        const { images, root, store } = yield* shared
        const outer = yield* index(store, [root, { ...root, annotations: { again: "" } }, ...images])
        const inner = yield* index(store, [...images, outer])
        const both = yield* Effect.forEach([false, true], (isNew) =>
          Effect.gen(function*() {
            const reads: Array<string> = []
            const source: Source = {
              ...store,
              fetch: ({ digest, ...descriptor }) =>
                Stream.unwrap(Effect.as(
                  Effect.andThen(Effect.sync(() => reads.push(digest)), yields),
                  store.fetch({ digest, ...descriptor })
                ))
            }
            yield* Copy.copy(source, MemoryStore.make("target"), inner, { isNew })
            return reads.toSorted()
          }))
        for (const reads of both) assert.strictEqual(new Set(reads).size, reads.length)
        assert.deepStrictEqual(both[0], both[1])
      }))

    it.effect("ends where what is nested is needed from above, too, and little goes on at once", () =>
      Effect.gen(function*() {
        const store = MemoryStore.make("source")
        const { images } = yield* Effect.map(shared, ({ images, store: from }) => {
          for (const [digest, content] of from.contents) {
            ;(store.contents as Map<Digest.Digest, unknown>).set(digest, content)
          }
          return { images }
        })
        const around = (members: ReadonlyArray<Descriptor.Descriptor>, name: string) =>
          store.add(
            MediaType.ociIndex,
            json({ schemaVersion: 2, manifests: members.map(Descriptor.toJson), annotations: { name } })
          )
        // Each of those waits for the images, which stand behind them in the line.
        const outer = yield* Effect.forEach(["a", "b", "c", "d"], (name) => around(images, name))
        const root = yield* index(store, [...outer, ...images])
        const { store: written, target } = strict({ delay: Effect.yieldNow })
        yield* Copy.copy(store, target, root, { concurrency: 1 })
        assert.isTrue(written.contents.has(root.digest))
      }))

    it.effect("waits for a target that does not see yet what it was sent, when it is to be tagged", () =>
      Effect.gen(function*() {
        const { root, store } = yield* shared
        const { store: written, target } = strict()
        let times = 0
        const late: Target = {
          ...target,
          tag: (descriptor, tag) =>
            ++times < 4
              ? Effect.fail(
                new ContentError({ operation: "tag", location: "target", reason: new NotFound({ what: tag }) })
              )
              : target.tag(descriptor, tag)
        }
        const fiber = yield* Effect.forkChild(Copy.copy(store, late, root, { tags: [v1] }))
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(fiber)
        assert.strictEqual(times, 4)
        assert.strictEqual(written.tags.get(v1)?.digest, root.digest)
      }))
  })

  describe("verify", () => {
    it.effect("fails where a target has not what it said to have", () =>
      Effect.gen(function*() {
        const { layer, root, store } = yield* shared
        const copy = (verify: boolean) =>
          Effect.gen(function*() {
            const { target } = strict()
            // It takes a layer, and loses it.
            const forgetful: Target = {
              ...target,
              exists: (descriptor) =>
                descriptor.digest === layer.digest ? Effect.succeed(false) : target.exists(descriptor)
            }
            const fiber = yield* Effect.forkChild(Effect.exit(Copy.copy(store, forgetful, root, { verify })))
            yield* TestClock.adjust("1 hour")
            return yield* Fiber.join(fiber)
          })
        assert.isTrue(Exit.isSuccess(yield* copy(false)))
        const error = yield* Effect.flip(yield* copy(true))
        assert.strictEqual(error.subject, layer.digest)
        assert.strictEqual(error.reason.reason._tag, "Incomplete")
      }))

    it.effect("sends what a target only says to have, once its manifest was refused for it", () =>
      Effect.gen(function*() {
        const { layer, root, store } = yield* shared
        const { store: written, target } = strict()
        const refused = new ContentError({
          operation: "write",
          location: "target",
          reason: new Incomplete({ detail: "MANIFEST_BLOB_UNKNOWN" })
        })
        const lying: Target = {
          ...target,
          exists: (descriptor) => descriptor.digest === layer.digest ? Effect.succeed(true) : target.exists(descriptor),
          push: (descriptor, body) =>
            descriptor.mediaType === MediaType.ociManifest && !written.contents.has(layer.digest)
              ? Effect.fail(refused)
              : target.push(descriptor, body)
        }
        const seen: Array<string> = []
        const fiber = yield* Effect.forkChild(Copy.copy(store, lying, root, {
          onEvent: (event) => void seen.push(event._tag)
        }))
        yield* TestClock.adjust("1 hour")
        yield* Fiber.join(fiber)
        assert.isTrue(written.contents.has(layer.digest))
        assert.isTrue(seen.includes("Waiting") && seen.includes("Retrying"))
      }))

    it.effect("counts bytes once that are sent twice, whether they got lost or were denied", () =>
      Effect.gen(function*() {
        const store = MemoryStore.make("source")
        const layer = yield* store.add(MediaType.ociLayer, json("layer"))
        const image = yield* manifest(store, yield* store.add(MediaType.ociConfig, json({})), [layer])
        const root = yield* index(store, [image])
        const { store: written, target } = strict()
        const times = { lost: 0, denied: 0 }
        const losing: Target = {
          ...target,
          // What was just written is not seen at first.
          exists: (descriptor) =>
            descriptor.digest === image.digest && written.contents.has(descriptor.digest) && times.denied++ < 2
              ? Effect.succeed(false)
              : target.exists(descriptor),
          push: (descriptor, body) =>
            Effect.suspend(() => {
              if (descriptor.mediaType !== MediaType.ociManifest || times.lost++ > 0) {
                return target.push(descriptor, body)
              }
              ;(written.contents as Map<Digest.Digest, unknown>).delete(layer.digest)
              const reason = new Incomplete({ detail: "MANIFEST_BLOB_UNKNOWN" })
              return Effect.fail(new ContentError({ operation: "write", location: "target", reason }))
            })
        }
        const seen: Array<WriteGraph.Event> = []
        const fiber = yield* Effect.forkChild(
          Copy.copy(store, losing, root, { verify: true, onEvent: (event) => void seen.push(event) })
        )
        yield* TestClock.adjust("1 hour")
        yield* Fiber.join(fiber)
        assert.isTrue(seen.some(({ _tag }) => _tag === "Retrying"))
        assert.isAbove(times.denied, 0)
        const all = Array.from(written.contents.values()).reduce((sum, { bytes }) => sum + bytes.length, 0)
        assert.deepStrictEqual(seen.at(-1)?.totals, { found: 4, done: 4, failed: 0, bytes: all, expected: all })
        for (const { totals } of seen) assert.isAtMost(totals.bytes, totals.expected)
      }))
  })

  describe("summary", () => {
    it.effect("says what would be done", () =>
      Effect.gen(function*() {
        const { images, root, store } = yield* shared
        const { target } = strict()
        const words = (descriptor: Descriptor.Descriptor) =>
          Effect.map(
            WriteGraph.plan(WriteGraph.to(target, Copy.roots(store, descriptor, { tags: [v1] }))),
            (plan) => WriteGraph.formatSummary(WriteGraph.summary(plan))
          )
        assert.strictEqual(yield* words(root), "would send 3 blobs and 3 manifests, 1.0 kB; tag 1")
        yield* Copy.copy(store, target, images[0]!)
        assert.strictEqual(yield* words(root), "would send 1 blob and 2 manifests, 687 B; skip 2; tag 1")
        yield* Copy.copy(store, target, root, { tags: [v1] })
        assert.strictEqual(yield* words(root), "would skip 1")
        const layer = WriteNode.stream("layer", MediaType.ociLayer, Stream.empty)
        const plan = yield* WriteGraph.plan(WriteGraph.to(target, [layer]))
        assert.strictEqual(WriteGraph.formatSummary(WriteGraph.summary(plan)), "would send 1 blob, at least 0 B")
      }))

    it.effect("is JSON with nodes and edges by their keys", () =>
      Effect.gen(function*() {
        const { root, store } = yield* shared
        const plan = yield* WriteGraph.plan(WriteGraph.to(strict().target, Copy.roots(store, root)))
        const { edges, nodes } = JSON.parse(JSON.stringify(WriteGraph.toJson(plan)))
        assert.strictEqual(nodes.length, 6)
        const keys = new Set(nodes.map(({ key }: { readonly key: string }) => key))
        for (const { from, to } of edges) assert.isTrue(keys.has(from) && keys.has(to))
      }))
  })

  describe("simulate", () => {
    /** A target a round trip away, that does one thing after the other as the simulation does. */
    const distant = (millis: number) => {
      const { order, target } = strict()
      const trips = (count: number) => Effect.sleep(millis * count)
      return {
        order,
        target: {
          ...target,
          push: (descriptor, body) =>
            Effect.andThen(trips(MediaType.isDocument(descriptor.mediaType) ? 1 : 2), target.push(descriptor, body)),
          tag: (descriptor, tag) => Effect.andThen(trips(1), target.tag(descriptor, tag))
        } satisfies Target as Target
      }
    }

    for (const concurrency of [1, 2, 16]) {
      it.effect(`takes the time and the order that a run takes, ${concurrency} at once`, () =>
        Effect.gen(function*() {
          const { root, store } = yield* shared
          const { order, target } = distant(50)
          const plan = yield* WriteGraph.plan(WriteGraph.to(target, Copy.roots(store, root, { tags: [v1] })))
          const link = { latency: "50 millis", bandwidth: Infinity, concurrency } as const
          const imagined = WriteGraph.simulate(plan, link)
          assert.deepStrictEqual(imagined, WriteGraph.simulate(plan, link))
          const before = yield* Clock.currentTimeMillis
          const fiber = yield* Effect.forkChild(
            Effect.andThen(WriteGraph.run(plan, { concurrency }), Clock.currentTimeMillis)
          )
          yield* TestClock.adjust("1 hour")
          const took = (yield* Fiber.join(fiber)) - before
          assert.strictEqual(took, Duration.toMillis(imagined.duration))
          assert.deepStrictEqual(
            order,
            imagined.order.map(({ node }) => node.kind === "tag" ? node.label : node.id)
          )
          assert.strictEqual(imagined.requests, 3 * 2 + 3 + 1)
        }))
    }

    it.effect("shares the link among those who send", () =>
      Effect.gen(function*() {
        const store = MemoryStore.make("source")
        const layers = yield* Effect.forEach(
          [1000, 3000],
          (size) => store.add(MediaType.ociLayer, new Uint8Array(size))
        )
        const roots = layers.flatMap((layer) => WriteGraph.to(strict().target, Copy.roots(store, layer)))
        const plan = yield* WriteGraph.plan(roots)
        const { bytes, duration, order } = WriteGraph.simulate(plan, { latency: 0, bandwidth: 1000 })
        assert.strictEqual(bytes, 4000)
        // Half of the link each for two seconds, then all of it for the other.
        assert.deepStrictEqual(order.map(({ end }) => Math.round(end)), [2000, 4000])
        assert.strictEqual(Math.round(Duration.toMillis(duration)), 4000)
      }))
  })

  describe("events", () => {
    it.effect("tells what is found, started, sent and done, with sizes", () =>
      Effect.gen(function*() {
        const { root, store } = yield* shared
        const events = yield* Stream.runCollect(
          WriteGraph.events(WriteGraph.to(strict().target, Copy.roots(store, root)))
        )
        const count = (tag: WriteGraph.Event["_tag"]) => events.filter((event) => event._tag === tag).length
        assert.deepStrictEqual([count("Found"), count("Started"), count("Done")], [6, 6, 6])
        const sent = events.reduce((sum, event) => event._tag === "Bytes" ? sum + event.bytes : sum, 0)
        const done = events.reduce((sum, event) => event._tag === "Done" ? sum + event.size : sum, 0)
        assert.strictEqual(sent, done)
      }))
  })

  describe("order", () => {
    /** A random graph of indexes, images and blobs that share parts. */
    const randomGraph = Effect.gen(function*() {
      const store = MemoryStore.make("source")
      const blobs: Array<Descriptor.Descriptor> = []
      for (let i = 0; i < 8; i++) blobs.push(yield* store.add(MediaType.ociLayer, json(["blob", i])))
      const some = <A>(all: ReadonlyArray<A>) =>
        Effect.map(
          Effect.forEach(all, (one) => Effect.map(Random.nextBoolean, (yes) => yes ? [one] : [])),
          (lists) => lists.flat()
        )
      const manifests: Array<Descriptor.Descriptor> = []
      for (let i = 0; i < 5; i++) {
        const config = yield* store.add(MediaType.ociConfig, json(["config", i % 3]))
        manifests.push(yield* manifest(store, config, yield* some(blobs)))
      }
      for (let i = 0; i < 3; i++) manifests.push(yield* index(store, yield* some([...manifests, ...blobs.slice(0, 1)])))
      return { store, root: yield* index(store, manifests) }
    })

    it.effect(
      "holds for random graphs with random delays and failures, and a second run completes them",
      () =>
        Effect.gen(function*() {
          for (let seed = 0; seed < 250; seed++) {
            yield* Effect.gen(function*() {
              const { root, store } = yield* randomGraph
              // Some blobs are in no image.
              const all = MemoryStore.make("all")
              yield* Copy.copy(store, all, root)
              const doomed = new Set<string>()
              for (const digest of all.contents.keys()) if ((yield* Random.next) < 0.1) doomed.add(digest)
              let failing = true
              const { store: written, target } = strict({
                fail: (what) => failing && doomed.has(what),
                delay: Effect.flatMap(Random.nextIntBetween(0, 50), (millis) => Effect.sleep(millis))
              })
              const concurrency = yield* Random.nextIntBetween(1, 8)
              const onFailure = (yield* Random.nextBoolean) ? "stop" : "finish"
              const run = Effect.suspend(() =>
                WriteGraph.run(WriteGraph.to(target, Copy.roots(store, root, { tags: [v1] })), {
                  concurrency,
                  onFailure
                })
              )
              const settle = <A, E>(self: Effect.Effect<A, E>) =>
                Effect.gen(function*() {
                  const fiber = yield* Effect.forkChild(Effect.exit(self))
                  yield* TestClock.adjust("1 hour")
                  return yield* Fiber.join(fiber)
                })
              // The target dies of a write that is out of order, which no exit may show.
              const first = yield* settle(run)
              assert.isFalse(Exit.hasDies(first), `seed ${seed}`)
              assert.strictEqual(Exit.isFailure(first), doomed.size > 0, `seed ${seed}`)
              assert.strictEqual(written.tags.has(v1), doomed.size === 0)
              failing = false
              const before = written.contents.size
              const second = yield* settle(run)
              assert.isTrue(Exit.isSuccess(second), `seed ${seed}`)
              if (Exit.isSuccess(second) && doomed.size > 0) {
                assert.strictEqual(second.value.sent, all.contents.size - before + 1, `seed ${seed}`)
              }
              assert.deepStrictEqual(new Set(written.contents.keys()), new Set(all.contents.keys()))
            }).pipe(Random.withSeed(seed))
          }
        }),
      60_000
    )
  })
})
