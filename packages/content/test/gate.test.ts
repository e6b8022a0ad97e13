import * as Repository from "@effect-oci/name/Repository"
import * as MediaType from "@effect-oci/spec/MediaType"
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as MemoryStore from "../src/MemoryStore.ts"
import type { Target } from "../src/Store.ts"
import * as WriteGraph from "../src/WriteGraph.ts"
import * as WriteNode from "../src/WriteNode.ts"
import { json, manifest } from "./graphs.ts"
import { settled } from "./settled.ts"

const repo = (name: string): Target => ({
  ...MemoryStore.make(name),
  repository: Option.some(Repository.parseUnsafe(name))
})

describe("how many are begun at once", () => {
  for (const [concurrency, count] of [[1, 6], [16, 100], [64, 1000]] as const) {
    it.effect(
      `ends where many wait for the same blobs on their way elsewhere, ${concurrency} at once`,
      () =>
        Effect.gen(function*() {
          const memory = MemoryStore.make("source")
          const layers = yield* Effect.forEach(
            Array.from({ length: count }, (_, n) => n),
            (n) => memory.add(MediaType.ociLayer, json({ n }))
          )
          const config = yield* memory.add(MediaType.ociConfig, json({}))
          const a = WriteNode.content(memory, yield* manifest(memory, config, layers))
          const b = WriteNode.content(memory, yield* manifest(memory, config, layers.toReversed()))
          const x = MemoryStore.make("x")
          const slow: Target = {
            ...x,
            exists: (d) => MediaType.isDocument(d.mediaType) ? x.exists(d) : Effect.delay(x.exists(d), "1 second")
          }
          yield* settled(WriteGraph.run([
            { target: slow, node: a },
            { target: repo("r.test/one"), node: b },
            { target: repo("r.test/two"), node: a }
          ], { concurrency }))
        }),
      60_000
    )
  }
})
