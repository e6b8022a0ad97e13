import type * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Graph from "effect/Graph"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { ContentError, Invalid, Unavailable } from "../src/ContentError.ts"
import * as Copy from "../src/Copy.ts"
import * as MemoryStore from "../src/MemoryStore.ts"
import type { Target } from "../src/Store.ts"
import * as Successors from "../src/Successors.ts"
import * as WriteGraph from "../src/WriteGraph.ts"
import * as WriteNode from "../src/WriteNode.ts"

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const v1 = Tag.parseUnsafe("v1")

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

    it.effect("asks for the tag alone when it is there", () =>
      Effect.gen(function*() {
        const { root, store } = yield* shared
        const { order, target } = strict()
        const roots = Copy.roots(store, root, { tags: [v1] })
        yield* WriteGraph.run(WriteGraph.to(target, roots))
        const before = order.length
        const again = yield* WriteGraph.run(WriteGraph.to(target, Copy.roots(store, root, { tags: [v1] })))
        assert.deepStrictEqual(again, { present: 1, mounted: 0, sent: 0, bytes: 0 })
        assert.strictEqual(order.length, before)
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
