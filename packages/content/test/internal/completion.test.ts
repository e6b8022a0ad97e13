import type * as Digest from "@effect-oci/name/Digest"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { ContentError, Incomplete, NotFound } from "../../src/ContentError.ts"
import * as Copy from "../../src/Copy.ts"
import * as MemoryStore from "../../src/MemoryStore.ts"
import type { Target } from "../../src/Store.ts"
import type * as WriteGraph from "../../src/WriteGraph.ts"
import { index, json, manifest, shared, strict, v1 } from "../graphs.ts"

describe("completion", () => {
  it.effect("waits for a target that does not see yet what it was sent, when it is to be tagged", () =>
    Effect.gen(function*() {
      const { root, store } = yield* shared
      const { store: written, target } = strict()
      let times = 0
      const late: Target = {
        ...target,
        tag: (descriptor, tag) =>
          ++times < 4
            ? Effect.fail(
              new ContentError({ operation: "tag", location: "target", reason: new NotFound({ what: tag }) })
            )
            : target.tag(descriptor, tag)
      }
      const fiber = yield* Effect.forkChild(Copy.copy(store, late, root, { tags: [v1] }))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(times, 4)
      assert.strictEqual(written.tags.get(v1)?.digest, root.digest)
    }))

  it.effect("fails where a target has not what it said to have", () =>
    Effect.gen(function*() {
      const { layer, root, store } = yield* shared
      const copy = (verify: boolean) =>
        Effect.gen(function*() {
          const { target } = strict()
          // It takes a layer, and loses it.
          const forgetful: Target = {
            ...target,
            exists: (descriptor) =>
              descriptor.digest === layer.digest ? Effect.succeed(false) : target.exists(descriptor)
          }
          const fiber = yield* Effect.forkChild(Effect.exit(Copy.copy(store, forgetful, root, { verify })))
          yield* TestClock.adjust("1 hour")
          return yield* Fiber.join(fiber)
        })
      assert.isTrue(Exit.isSuccess(yield* copy(false)))
      const error = yield* Effect.flip(yield* copy(true))
      assert.strictEqual(error.subject, layer.digest)
      assert.strictEqual(error.reason.reason._tag, "Incomplete")
    }))

  it.effect("sends what a target only says to have, once its manifest was refused for it", () =>
    Effect.gen(function*() {
      const { layer, root, store } = yield* shared
      const { store: written, target } = strict()
      const refused = new ContentError({
        operation: "write",
        location: "target",
        reason: new Incomplete({ detail: "MANIFEST_BLOB_UNKNOWN" })
      })
      const lying: Target = {
        ...target,
        exists: (descriptor) => descriptor.digest === layer.digest ? Effect.succeed(true) : target.exists(descriptor),
        push: (descriptor, body) =>
          descriptor.mediaType === MediaType.ociManifest && !written.contents.has(layer.digest)
            ? Effect.fail(refused)
            : target.push(descriptor, body)
      }
      const seen: Array<string> = []
      const fiber = yield* Effect.forkChild(Copy.copy(store, lying, root, {
        onEvent: (event) => void seen.push(event._tag)
      }))
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.isTrue(written.contents.has(layer.digest))
      assert.isTrue(seen.includes("Waiting") && seen.includes("Retrying"))
    }))

  it.effect("counts bytes once that are sent twice, whether they got lost or were denied", () =>
    Effect.gen(function*() {
      const store = MemoryStore.make("source")
      const layer = yield* store.add(MediaType.ociLayer, json("layer"))
      const image = yield* manifest(store, yield* store.add(MediaType.ociConfig, json({})), [layer])
      const root = yield* index(store, [image])
      const { store: written, target } = strict()
      const times = { lost: 0, denied: 0 }
      const losing: Target = {
        ...target,
        // What was just written is not seen at first.
        exists: (descriptor) =>
          descriptor.digest === image.digest && written.contents.has(descriptor.digest) && times.denied++ < 2
            ? Effect.succeed(false)
            : target.exists(descriptor),
        push: (descriptor, body) =>
          Effect.suspend(() => {
            if (descriptor.mediaType !== MediaType.ociManifest || times.lost++ > 0) {
              return target.push(descriptor, body)
            }
            ;(written.contents as Map<Digest.Digest, unknown>).delete(layer.digest)
            const reason = new Incomplete({ detail: "MANIFEST_BLOB_UNKNOWN" })
            return Effect.fail(new ContentError({ operation: "write", location: "target", reason }))
          })
      }
      const seen: Array<WriteGraph.Event> = []
      const fiber = yield* Effect.forkChild(
        Copy.copy(store, losing, root, { verify: true, onEvent: (event) => void seen.push(event) })
      )
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.isTrue(seen.some(({ _tag }) => _tag === "Retrying"))
      assert.isAbove(times.denied, 0)
      const all = Array.from(written.contents.values()).reduce((sum, { bytes }) => sum + bytes.length, 0)
      assert.deepStrictEqual(seen.at(-1)?.totals, { found: 4, done: 4, failed: 0, bytes: all, expected: all })
      for (const { totals } of seen) assert.isAtMost(totals.bytes, totals.expected)
    }))
})
