import type * as Digest from "@effect-oci/name/Digest"
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
import * as Budget from "../src/Budget.ts"
import { Invalid } from "../src/ContentError.ts"
import * as Copy from "../src/Copy.ts"
import * as MemoryStore from "../src/MemoryStore.ts"
import type { Source, Target } from "../src/Store.ts"
import * as Successors from "../src/Successors.ts"
import * as WriteGraph from "../src/WriteGraph.ts"
import * as WriteNode from "../src/WriteNode.ts"
import { index, json, manifest, shared, strict, v1, yields } from "./graphs.ts"

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
