import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import * as Named from "../../src/internal/named.ts"
import type { Stored } from "../../src/Storage.ts"
import { digestOf, encode } from "../registry.ts"

const blob = (name: string) => digestOf(name)

const manifestOf = (...names: ReadonlyArray<string>): Stored => {
  const [config, ...layers] = names.map((name) => ({ mediaType: "a/b", digest: blob(name), size: name.length }))
  const bytes = encode(JSON.stringify({ schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers }))
  return { digest: digestOf(bytes), mediaType: MediaType.ociManifest, bytes }
}

describe("named", () => {
  it.effect("finds what was named once more when it had to be forgotten", () =>
    Effect.gen(function*() {
      const kept = [manifestOf("config", "layer"), manifestOf("other")]
      const named = yield* Named.make(() => Stream.fromIterable(kept))
      for (const stored of kept) named.note("a", stored)
      for (let at = 0; at < 100; at++) {
        named.note("b", manifestOf(...Array.from({ length: 1000 }, (_, i) => `${at}.${i}`)))
      }
      assert.isUndefined(named.get("a", blob("layer")))
      assert.strictEqual((yield* named.find("a", blob("layer")))?.size, 5)
      // The rest of the image with it, and nothing else.
      assert.isDefined(named.get("a", blob("config")))
      assert.isUndefined(named.get("a", blob("other")))
    }))

  it.effect("searches for all who ask meanwhile at once, and goes on for those who stay", () =>
    Effect.gen(function*() {
      let searches = 0
      const begins = yield* Latch.make()
      const goesOn = yield* Latch.make()
      const named = yield* Named.make(() =>
        Stream.unwrap(Effect.gen(function*() {
          searches++
          yield* begins.open
          yield* goesOn.await
          return Stream.make(manifestOf("config", "one"), manifestOf("config", "two"))
        }))
      )
      const first = yield* Effect.forkChild(named.find("a", blob("none")))
      yield* begins.await
      const names = ["one", "two", "three", ...Array.from({ length: 100 }, (_, i) => `${i}`)]
      const others = yield* Effect.forEach(names, (name) =>
        Effect.forkChild(named.find("a", blob(name)), { startImmediately: true }))
      yield* Fiber.interrupt(first)
      yield* Fiber.interrupt(others[2]!)
      yield* goesOn.open
      assert.strictEqual((yield* Fiber.join(others[0]!))?.digest, blob("one"))
      assert.strictEqual((yield* Fiber.join(others[1]!))?.digest, blob("two"))
      assert.isUndefined(yield* Fiber.join(others[3]!))
      assert.strictEqual(searches, 2)
    }))
})
