import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Copy from "../../src/Copy.ts"
import * as WriteGraph from "../../src/WriteGraph.ts"
import * as WriteNode from "../../src/WriteNode.ts"
import { shared, strict, v1 } from "../graphs.ts"

describe("draw", () => {
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
