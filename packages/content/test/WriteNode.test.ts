import * as Repository from "@effect-oci/name/Repository"
import * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ContentError, DigestMismatch, Unavailable } from "../src/ContentError.ts"
import * as MemoryStore from "../src/MemoryStore.ts"
import { smallLimit, type Source, type Target } from "../src/Store.ts"
import * as WriteNode from "../src/WriteNode.ts"

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const v1 = Tag.parseUnsafe("v1")

const away = new ContentError({ operation: "write", location: "x", reason: new Unavailable({ detail: "away" }) })
const wrong = new ContentError({
  operation: "read",
  location: "x",
  reason: new DigestMismatch({ expected: "sha256:aa", actual: "sha256:bb" })
})

/** What a node is given when it writes to a target; `moved` are the bytes that it told of. */
const context = (target: Target, needs: ReadonlyArray<WriteNode.Written> = []) => {
  const moved: Array<number> = []
  const given: WriteNode.Context = {
    target,
    needs,
    mountFrom: [],
    others: undefined,
    progress: (bytes) => void moved.push(bytes)
  }
  return { ...given, moved }
}

const image = Effect.gen(function*() {
  const store = MemoryStore.make("source")
  const config = yield* store.add(MediaType.ociConfig, json({}))
  const layer = yield* store.add(MediaType.ociLayer, json("layer"))
  const foreign = yield* store.add(MediaType.ociLayerNondistributable, json("foreign"))
  const manifest = yield* store.add(
    MediaType.ociManifest,
    json({ schemaVersion: 2, config, layers: [layer, foreign] })
  )
  return { store, target: MemoryStore.make("target"), config, layer, foreign, manifest }
})

/** A source that gives wrong bytes so many times. */
const failing = (store: Source, times: number) => {
  let reads = 0
  const source: Source = {
    ...store,
    fetch: (descriptor, offset) =>
      Stream.suspend(() => reads++ < times ? Stream.fail(wrong) : store.fetch(descriptor, offset))
  }
  return { source, reads: () => reads }
}

/** A source that has small blobs as a whole, wrong so many times. */
const whole = (store: MemoryStore.MemoryStore, times: number) => {
  let reads = 0
  const source: Source = {
    ...store,
    read: ({ digest }) =>
      Effect.suspend(() => reads++ < times ? Effect.fail(wrong) : Effect.succeed(store.contents.get(digest)!.bytes))
  }
  return { source, reads: () => reads }
}

describe("WriteNode", () => {
  it("originOf is the registry of a repository, else the place", () => {
    const repository = Repository.parseUnsafe("ghcr.io/acme/app")
    const place = { location: "ghcr.io/acme/app", repository: Option.some(repository) }
    assert.strictEqual(WriteNode.originOf(place), "ghcr.io")
    assert.strictEqual(WriteNode.originOf({ location: "./folder", repository: Option.none() }), "./folder")
  })

  describe("content", () => {
    it.effect("is present where the target says so, and leads to nothing then", () =>
      Effect.gen(function*() {
        const { layer, manifest, store, target } = yield* image
        for (const descriptor of [layer, manifest]) {
          const node = WriteNode.content(store, descriptor)
          assert.strictEqual(node.id, descriptor.digest)
          assert.isTrue(yield* node.isPresent(store))
          assert.isFalse(yield* node.isPresent(target))
          assert.isUndefined(node.discover(store, true))
        }
      }))

    it.effect("leads from a manifest to config and layers, to foreign ones only if told", () =>
      Effect.gen(function*() {
        const { config, foreign, layer, manifest, store, target } = yield* image
        const needs = (options: WriteNode.ContentOptions) =>
          Effect.map(
            WriteNode.content(store, manifest, options).discover(target, false)!,
            ({ needs }) => needs.map(({ id }) => id)
          )
        assert.deepStrictEqual(yield* needs({}), [config.digest, layer.digest])
        assert.deepStrictEqual(yield* needs({ foreign: true }), [config.digest, layer.digest, foreign.digest])
      }))

    it.effect("tells of the bytes that it sends", () =>
      Effect.gen(function*() {
        const { layer, store, target } = yield* image
        const { moved, ...given } = context(target)
        const written = yield* WriteNode.content(store, layer).write(given)
        assert.deepStrictEqual([written.outcome, written.descriptor.digest], ["sent", layer.digest])
        assert.deepStrictEqual(moved, [layer.size])
        assert.isTrue(target.contents.has(layer.digest))
      }))

    it.effect("fetches what came wrong once more, a blob or a manifest, and that is all", () =>
      Effect.gen(function*() {
        const { layer, manifest, store } = yield* image
        for (const descriptor of [layer, manifest]) {
          const write = (source: Source, target = MemoryStore.make("target")) =>
            Effect.as(WriteNode.content(source, descriptor).write(context(target)), target)
          const target = yield* write(failing(store, 1).source)
          assert.isTrue(target.contents.has(descriptor.digest))
          const broken = failing(store, 9)
          const error = yield* Effect.flip(write(broken.source))
          assert.deepInclude(error, { side: "source", subject: descriptor.digest })
          assert.strictEqual(broken.reads(), 2)
        }
      }))

    it.effect("reads a small blob as a whole, once for all targets, and anew once it was let go of", () =>
      Effect.gen(function*() {
        const { layer, store } = yield* image
        const { reads, source } = whole(store, 0)
        const node = WriteNode.content(source, layer)
        const [a, b] = [MemoryStore.make("a"), MemoryStore.make("b")]
        const { moved, ...given } = context(a)
        yield* Effect.all([node.write(given), node.write(context(b))], { concurrency: 2 })
        assert.deepStrictEqual([a, b].map(({ contents }) => contents.has(layer.digest)), [true, true])
        assert.deepStrictEqual([reads(), moved], [1, [layer.size]])
        node.release?.()
        yield* node.write(context(MemoryStore.make("c")))
        assert.strictEqual(reads(), 2)
      }))

    it.effect("hands a small blob on as a whole, and from wherever the target wants it", () =>
      Effect.gen(function*() {
        const { layer, store } = yield* image
        const seen: Array<Uint8Array> = []
        const target: Target = {
          ...store,
          push: (_, body) =>
            Effect.gen(function*() {
              seen.push(yield* body.whole ?? Effect.die("not whole"), yield* Stream.mkUint8Array(body(2)))
              return "sent" as const
            })
        }
        yield* WriteNode.content(whole(store, 0).source, layer).write(context(target))
        assert.deepStrictEqual(seen, [json("layer"), json("layer").subarray(2)])
      }))

    it.effect("runs the stream of what is large, and of what is elsewhere", () =>
      Effect.gen(function*() {
        const { foreign, layer, store } = yield* image
        const large = yield* store.add(MediaType.ociLayer, new Uint8Array(smallLimit + 1))
        const { reads, source } = whole(store, 0)
        for (const descriptor of [large, { ...foreign, urls: ["https://elsewhere.test"] }]) {
          yield* WriteNode.content(source, descriptor, { foreign: true }).write(context(MemoryStore.make()))
        }
        assert.strictEqual(reads(), 0)
        yield* WriteNode.content(source, layer).write(context(MemoryStore.make()))
        assert.strictEqual(reads(), 1)
      }))

    it.effect("reads a whole that came wrong once more, and that is all", () =>
      Effect.gen(function*() {
        const { layer, store, target } = yield* image
        yield* WriteNode.content(whole(store, 1).source, layer).write(context(target))
        const { reads, source } = whole(store, 9)
        const error = yield* Effect.flip(WriteNode.content(source, layer).write(context(target)))
        assert.deepInclude(error, { side: "source", subject: layer.digest })
        assert.strictEqual(reads(), 2)
      }))

    it.effect("keeps a manifest until it is told to let go of it, and reads it anew then", () =>
      Effect.gen(function*() {
        const { manifest, store } = yield* image
        const { reads, source } = failing(store, 0)
        const node = WriteNode.content(source, manifest)
        yield* node.discover(store, false)!
        yield* node.write(context(MemoryStore.make("a")))
        assert.strictEqual(reads(), 1)
        node.release?.()
        yield* node.write(context(MemoryStore.make("b")))
        assert.strictEqual(reads(), 2)
      }))

    it.effect("names the target's failures as the target's, and reads nothing more for them", () =>
      Effect.gen(function*() {
        const { layer, manifest, store, target } = yield* image
        let pushes = 0
        const push = () => Effect.suspend(() => (pushes++, Effect.fail(wrong)))
        for (const descriptor of [layer, manifest]) {
          pushes = 0
          const error = yield* Effect.flip(WriteNode.content(store, descriptor).write(context({ ...target, push })))
          assert.deepInclude(error, { side: "target", subject: descriptor.digest })
          assert.strictEqual(pushes, 1)
        }
      }))
  })

  describe("stream", () => {
    it.effect("is known by its digest once it was sent, with what it was to be annotated with", () =>
      Effect.gen(function*() {
        const target = MemoryStore.make("target")
        const { moved, ...given } = context(target)
        const node = WriteNode.stream("layer", MediaType.ociLayer, Stream.make(json("a"), json("bc")), {
          annotations: { title: "x" }
        })
        assert.isTrue(Option.isNone(node.descriptor))
        const { descriptor } = yield* node.write(given)
        assert.deepInclude(descriptor, { mediaType: MediaType.ociLayer, size: 7, annotations: { title: "x" } })
        assert.strictEqual(new TextDecoder().decode(target.contents.get(descriptor.digest)!.bytes), `"a""bc"`)
        assert.deepStrictEqual(moved, [3, 4])
      }))

    it.effect("fails as the source where its bytes do, and as the target where that does", () =>
      Effect.gen(function*() {
        const target = MemoryStore.make("target")
        const fail = (bytes: Stream.Stream<Uint8Array, unknown>, to: Target = target) =>
          Effect.flip(WriteNode.stream("layer", MediaType.ociLayer, bytes).write(context(to)))
        const cause = new Error("tar: no such file")
        assert.deepInclude(yield* fail(Stream.fail(cause)), { side: "source", subject: "layer" })
        assert.include((yield* fail(Stream.fail(cause))).message, "tar: no such file")
        assert.strictEqual((yield* fail(Stream.fail(away))).reason, away)
        const refusing = { ...target, pushStream: () => Effect.fail(away) }
        assert.deepInclude(yield* fail(Stream.make(json(1)), refusing), { side: "target", reason: away })
        assert.strictEqual(target.contents.size, 0)
      }))
  })

  describe("computed", () => {
    it.effect("is made of what the others have become, and not sent where it is", () =>
      Effect.gen(function*() {
        const { layer, store, target } = yield* image
        const needs = [WriteNode.content(store, layer)]
        const node = WriteNode.computed("list", MediaType.ociConfig, needs, (written) =>
          json(written.map(({ descriptor }) =>
            descriptor.digest
          )))
        assert.deepStrictEqual((yield* node.discover(target, false)!).needs, needs)
        const of = [yield* needs[0]!.write(context(target))]
        const [first, second] = [context(target, of), context(target, of)]
        const written = yield* node.write(first)
        assert.strictEqual(written.outcome, "sent")
        assert.deepStrictEqual(target.contents.get(written.descriptor.digest)!.bytes, json([layer.digest]))
        assert.deepStrictEqual(first.moved, [written.descriptor.size])
        assert.strictEqual((yield* node.write(second)).outcome, "present")
        assert.deepStrictEqual(second.moved, [])
      }))

    it("is a manifest where its type is one's", () => {
      const kind = (mediaType: string) => WriteNode.computed("x", mediaType, [], () => json({})).kind
      assert.deepStrictEqual([kind(MediaType.ociIndex), kind(MediaType.ociConfig)], ["manifest", "blob"])
    })
  })

  describe("tag", () => {
    const node = (store: Source, manifest: Descriptor.Descriptor) =>
      WriteNode.tag(WriteNode.content(store, manifest), v1)

    it.effect("is present where it stands for the same digest, and not where it stands for another or for none", () =>
      Effect.gen(function*() {
        const { config, manifest, store, target } = yield* image
        assert.isFalse(yield* node(store, manifest).isPresent(target))
        yield* store.tag(config, v1)
        assert.isFalse(yield* node(store, manifest).isPresent(store))
        yield* store.tag(manifest, v1)
        assert.isTrue(yield* node(store, manifest).isPresent(store))
      }))

    it.effect("fails where the target does not say what it stands for", () =>
      Effect.gen(function*() {
        const { manifest, store, target } = yield* image
        const error = yield* Effect.flip(
          node(store, manifest).isPresent({ ...target, resolve: () => Effect.fail(away) })
        )
        assert.deepInclude(error, { side: "target", subject: "tag v1", reason: away })
      }))
  })
})
