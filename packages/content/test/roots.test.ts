import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Copy from "../src/Copy.ts"
import * as MemoryStore from "../src/MemoryStore.ts"
import type { Target } from "../src/Store.ts"
import * as WriteGraph from "../src/WriteGraph.ts"
import * as WriteNode from "../src/WriteNode.ts"
import { json, manifest, v1 } from "./graphs.ts"
import { settled } from "./settled.ts"

describe("what a run is asked for", () => {
  it.effect("refuses two manifests under one tag", () =>
    Effect.gen(function*() {
      const memory = MemoryStore.make("source")
      const config = yield* memory.add(MediaType.ociConfig, json({}))
      const a = yield* manifest(memory, config, [])
      const b = yield* manifest(memory, config, [config])
      const error = yield* Effect.flip(WriteGraph.run(
        WriteGraph.to(MemoryStore.make("target"), [a, b].map((of) => WriteNode.tag(WriteNode.content(memory, of), v1)))
      ))
      assert.include(error.message, "two")
    }))
  it.effect("ends where a listener throws", () =>
    Effect.gen(function*() {
      const memory = MemoryStore.make("source")
      const config = yield* memory.add(MediaType.ociConfig, json({}))
      const target: Target = { ...MemoryStore.make("t"), exists: () => Effect.die("gone") }
      const exit = yield* Effect.exit(settled(WriteGraph.run(
        WriteGraph.to(target, Copy.roots(memory, yield* manifest(memory, config, []))),
        {
          onEvent: ({ _tag }) => {
            if (_tag === "Planned") throw new Error("listener")
          }
        }
      )))
      assert.notInclude(String(exit), "hangs")
    }))
})
