import * as Hasher from "@effect-oci/content/Hasher"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as NodeHasher from "../src/NodeHasher.ts"

const Part = Schema.Uint8Array

describe("NodeHasher", () => {
  it.effect.prop("gives the portable hasher's digest, however the bytes are cut", {
    parts: Arbitrary.array(Arbitrary.schema(Part))
  }, ({ parts }) =>
    Effect.gen(function*() {
      const portable = yield* Hasher.Hashing
      assert.notStrictEqual(portable, NodeHasher.start)
      for (const algorithm of ["sha256", "sha512"] as const) {
        const hasher = NodeHasher.start(algorithm)
        for (const part of parts) {
          const lent = part.slice()
          hasher.update(lent)
          lent.fill(0xaa)
        }
        const whole = new Uint8Array(parts.flatMap((part) => [...part]))
        assert.strictEqual(hasher.digest(), Hasher.digestOf(portable, whole, algorithm))
      }
    }))

  it.effect("gives it for a view of a larger buffer too", () =>
    Effect.gen(function*() {
      const portable = yield* Hasher.Hashing
      const buffer = Uint8Array.from({ length: 300_000 }, (_, at) => at % 251)
      for (const [from, to] of [[0, 1], [1, 65_537], [63, 64], [100, 300_000]] as const) {
        const view = buffer.subarray(from, to)
        assert.strictEqual(Hasher.digestOf(NodeHasher.start, view), Hasher.digestOf(portable, view.slice()))
      }
    }))

  it.effect("is what hashes from its layer on", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Hasher.Hashing, NodeHasher.start)
    }).pipe(Effect.provide(NodeHasher.layer)))
})
