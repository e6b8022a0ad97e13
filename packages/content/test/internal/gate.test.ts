import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Entry from "../../src/internal/entry.ts"
import * as Gate from "../../src/internal/gate.ts"
import * as MemoryStore from "../../src/MemoryStore.ts"
import * as WriteNode from "../../src/WriteNode.ts"

const store = MemoryStore.make()

const entry = Effect.fnUntraced(function*(name: string, depth: number, mediaType: string = MediaType.ociLayer) {
  const descriptor = yield* store.add(mediaType, new TextEncoder().encode(name))
  const item = { key: name, id: name, location: "target" }
  return Entry.make(WriteNode.content(store, descriptor), store, depth, item, undefined)
})

const leaves = (count: number) => Effect.forEach(Array.from({ length: count }), (_, at) => entry(`leaf ${at}`, 1))

const named = (begun: ReadonlyArray<Entry.Entry>) => begun.map(({ item }) => item.key)

describe("gate", () => {
  it.effect("lets in so many, and the next for each that leaves, in their order", () =>
    Effect.gen(function*() {
      const begun: Array<Entry.Entry> = []
      const gate = Gate.make(2, (entry) => void begun.push(entry), (entry) => [entry])
      const all = yield* leaves(4)
      gate.enter(all)
      assert.deepStrictEqual(named(begun), ["leaf 0", "leaf 1"])
      gate.leave(all[1]!)
      // Once is enough.
      gate.leave(all[1]!)
      assert.deepStrictEqual(named(begun), ["leaf 0", "leaf 1", "leaf 2"])
    }))

  it.effect("keeps apart what waits for each other: blobs, and manifests of each depth", () =>
    Effect.gen(function*() {
      const begun: Array<Entry.Entry> = []
      const gate = Gate.make(1, (entry) => void begun.push(entry), (entry) => [entry])
      for (const depth of [1, 1, 2, 2]) gate.enter([yield* entry(`manifest ${depth}`, depth, MediaType.ociManifest)])
      gate.enter(yield* leaves(2))
      for (const name of ["root", "other root"]) gate.enter([yield* entry(name, 0, MediaType.ociIndex)])
      assert.deepStrictEqual(named(begun), ["manifest 1", "manifest 2", "leaf 0", "root", "other root"])
    }))

  it.effect("lets in at once what somebody inside waits for, and with one all that read the same", () =>
    Effect.gen(function*() {
      const begun: Array<Entry.Entry> = []
      const all = yield* leaves(5)
      const together = [all[2]!, all[4]!]
      const gate = Gate.make(
        1,
        (entry) => void begun.push(entry),
        (entry) => together.includes(entry) ? together : [entry]
      )
      gate.enter(all)
      gate.hurry(all[3]!)
      // Who is inside already is not begun again.
      gate.hurry(all[0]!)
      gate.hurry(all[2]!)
      assert.deepStrictEqual(named(begun), ["leaf 0", "leaf 3", "leaf 2", "leaf 4"])
    }))

  it.effect("begins one after the other where each ends at once, however many there are", () =>
    Effect.gen(function*() {
      let count = 0
      const gate: Gate.Gate = Gate.make(1, (entry) => (count++, gate.leave(entry)), (entry) => [entry])
      const all = yield* leaves(20_000)
      gate.enter(all)
      assert.strictEqual(count, 20_000)
    }))
})
