import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Hasher from "../src/Hasher.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

describe("Hasher", () => {
  // FIPS 180-4, of no bytes and of `abc`.
  const vectors = [
    ["sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      "sha512",
      "abc",
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
      "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    ]
  ] as const

  it.effect.each(vectors)(
    "hashes by %s as the standard has it: %j",
    ([algorithm, text, hex]) =>
      Effect.gen(function*() {
        const start = yield* Hasher.Hashing
        assert.strictEqual(Hasher.digestOf(start, bytes(text), algorithm), `${algorithm}:${hex}`)
      })
  )

  it.effect("hashes by sha256 unless told", () =>
    Effect.gen(function*() {
      const start = yield* Hasher.Hashing
      assert.strictEqual(Hasher.digestOf(start, bytes("abc")), Hasher.digestOf(start, bytes("abc"), "sha256"))
    }))

  it.effect.prop("gives one digest however the bytes are cut, and reads them before it returns", {
    parts: Schema.Array(Schema.Uint8Array)
  }, ({ parts }) =>
    Effect.gen(function*() {
      const start = yield* Hasher.Hashing
      for (const algorithm of ["sha256", "sha512"] as const) {
        const hasher = start(algorithm)
        for (const part of parts) {
          const lent = part.slice()
          hasher.update(lent)
          lent.fill(0xaa)
        }
        const whole = new Uint8Array(parts.flatMap((part) => [...part]))
        assert.strictEqual(hasher.digest(), Hasher.digestOf(start, whole, algorithm))
      }
    }))

  it.effect("keeps two hashes apart that run at once", () =>
    Effect.gen(function*() {
      const start = yield* Hasher.Hashing
      const [one, two] = [start("sha256"), start("sha256")]
      one.update(bytes("a"))
      two.update(bytes("x"))
      one.update(bytes("bc"))
      assert.strictEqual(one.digest(), Hasher.digestOf(start, bytes("abc")))
      assert.strictEqual(two.digest(), Hasher.digestOf(start, bytes("x")))
    }))
})
