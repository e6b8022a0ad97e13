import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Copy from "../src/Copy.ts"
import * as Hasher from "../src/Hasher.ts"
import * as MemoryStore from "../src/MemoryStore.ts"
import type { Source, Target } from "../src/Store.ts"
import * as Verify from "../src/Verify.ts"
import * as WriteGraph from "../src/WriteGraph.ts"
import * as WriteNode from "../src/WriteNode.ts"
import { settled } from "./settled.ts"

/** Pieces of 100 kB, verified as every source's are; `spoil`: what is read from the middle on is changed on its way. */
const wire = (memory: MemoryStore.MemoryStore, spoil = false, pulled: Array<number> = []): Source => ({
  ...memory,
  fetch: (descriptor, offset = 0) => {
    const { bytes } = memory.contents.get(descriptor.digest)!
    const pieces: Array<Uint8Array> = []
    for (let at = offset; at < bytes.length; at += 100_000) {
      pieces.push(new Uint8Array(bytes.subarray(at, at + 100_000)))
    }
    if (spoil && offset > 0) pieces.at(-1)![0]! ^= 1
    return Stream.fromIterable(pieces, { chunkSize: 1 }).pipe(
      Stream.tap((piece) => Effect.sync(() => pulled.push(piece.length))),
      Verify.stream(descriptor, { location: "wire", offset })
    )
  }
})
const paced = (store: MemoryStore.MemoryStore, wait: (n: number) => Duration.Input): Target => ({
  ...store,
  push: (descriptor, body) => {
    let n = 0
    return store.push(descriptor, (offset) => Stream.tap(body(offset), () => Effect.sleep(wait(n++))))
  }
})
const large = Effect.gen(function*() {
  const memory = MemoryStore.make("source")
  return { memory, layer: yield* memory.add(MediaType.ociLayer, new Uint8Array(5_000_000).fill(1)) }
})

describe("one reading for several targets", () => {
  it.effect("keeps no bytes that nobody has checked, where one is left behind", () =>
    Effect.gen(function*() {
      const { layer, memory } = yield* large
      const a = MemoryStore.make("a")
      const nodes = Copy.roots(wire(memory, true), layer)
      yield* Effect.exit(settled(WriteGraph.run([
        ...WriteGraph.to(paced(a, (n) => n === 0 ? "1 minute" : 0), nodes),
        ...WriteGraph.to(MemoryStore.make("b"), nodes)
      ])))
      const kept = a.contents.get(layer.digest)
      if (kept !== undefined) assert.strictEqual(Hasher.digestOf(yield* Hasher.Hashing, kept.bytes), layer.digest)
    }))
  it.effect("fails nobody who has the right bytes, where one ends after it was left behind", () =>
    Effect.gen(function*() {
      const { layer, memory } = yield* large
      const nodes = Copy.roots(wire(memory), layer)
      yield* settled(
        WriteGraph.run([
          ...WriteGraph.to(paced(MemoryStore.make("a"), (n) => n === 0 ? "8 seconds" : 0), nodes),
          ...WriteGraph.to(paced(MemoryStore.make("b"), (n) => n < 21 ? 0 : "1 second"), nodes)
        ]),
        "1 second"
      )
    }))
  it.effect("does not read on for nobody where the only one that reads is slow", () =>
    Effect.gen(function*() {
      const { layer, memory } = yield* large
      const pulled: Array<number> = []
      const nodes = Copy.roots(wire(memory, false, pulled), layer)
      const b = MemoryStore.make("b")
      yield* b.add(MediaType.ociLayer, new Uint8Array(5_000_000).fill(1))
      yield* settled(WriteGraph.run([
        ...WriteGraph.to(paced(MemoryStore.make("a"), (n) => n === 0 ? "1 minute" : 0), nodes),
        ...WriteGraph.to(b, nodes)
      ]))
      assert.strictEqual(pulled.reduce((sum, n) => sum + n, 0), 5_000_000)
    }))
  it.effect("lets go of what it held for one that has it already", () =>
    Effect.gen(function*() {
      const memory = MemoryStore.make("source")
      const bytes = (n: number) => new Uint8Array(1_000_000).fill(n)
      const all = yield* Effect.forEach(Array.from({ length: 41 }, (_, n) => n), (n) =>
        memory.add(MediaType.ociLayer, bytes(n)))
      const reads: Array<string> = []
      const source: Source = {
        ...memory,
        fetch: (d, o) =>
          Stream.suspend(() => (reads.push(d.digest), memory.fetch(d, o)))
      }
      const b = MemoryStore.make("b")
      for (let n = 0; n < 40; n++) {
        yield* b.add(MediaType.ociLayer, bytes(n))
      }
      const late: Target = { ...b, exists: (d) => Effect.delay(b.exists(d), "25 seconds") }
      const a = MemoryStore.make("a")
      const nodes = all.map((d) => WriteNode.content(source, d))
      yield* settled(
        WriteGraph.run(nodes.flatMap((node) => [{ target: a as Target, node }, { target: late, node }]), {
          concurrency: 1
        })
      )
      assert.strictEqual(reads.length, 41)
    }))
})
