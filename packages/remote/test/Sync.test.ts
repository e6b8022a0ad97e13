import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Remote from "../src/Remote.ts"
import * as Sync from "../src/Sync.ts"
import * as Content from "./image.ts"
import { layer, patiently, requestsOf } from "./registries.ts"

const from = "ghcr.io/acme/app"
const to = "registry.acme.dev/app"

/** A repository of these tags, each of an image of its own, all of one base. */
const tagged = Effect.fnUntraced(function*(...tags: ReadonlyArray<string>) {
  const fake = yield* FakeRegistry.FakeRegistry
  for (const tag of tags) yield* fake.seed(`${from}:${tag}`, FakeImage.image({ seed: tag }))
  return fake
})

const sync = (options?: Sync.Options) =>
  Effect.gen(function*() {
    const remote = yield* Remote.Remote
    const all = yield* patiently(Stream.runCollect(remote.sync(from, to, options)))
    return all.map((synced) => `${synced.tag} ${synced.outcome}`).sort()
  })

describe("Sync", () => {
  describe("filter", () => {
    const table: ReadonlyArray<readonly [Pick<Sync.Options, "include" | "exclude">, ReadonlyArray<string>]> = [
      [{}, ["1.0", "1.10", "2.0", "latest"]],
      [{ include: ["1.*"] }, ["1.0", "1.10"]],
      [{ include: ["1.?"] }, ["1.0"]],
      [{ include: [/^\d/g] }, ["1.0", "1.10", "2.0"]],
      [{ include: ["1.*", "latest"], exclude: ["*.10"] }, ["1.0", "latest"]],
      [{ exclude: [/^2/] }, ["1.0", "1.10", "latest"]],
      [{ include: ["sha256-*"] }, [`sha256-${"a".repeat(64)}.sig`]],
      [{ include: ["1.0("] }, []]
    ]
    for (const [options, expected] of table) {
      it(`takes ${expected.join(", ") || "nothing"} by ${JSON.stringify(options)}`, () => {
        const all = ["1.0", "1.10", "2.0", "latest", `sha256-${"a".repeat(64)}.sig`]
        assert.deepStrictEqual(all.filter(Sync.filter(options)), expected)
      })
    }
  })

  it.effect("copies what changed, and asks once for what did not", () =>
    Effect.gen(function*() {
      const fake = yield* tagged("1", "2", "3")
      assert.deepStrictEqual(yield* sync(), ["1 copied", "2 copied", "3 copied"])
      yield* fake.seed(`${from}:2`, FakeImage.image({ seed: "new" }))
      assert.deepStrictEqual(yield* sync(), ["1 same", "2 copied", "3 same"])
      const { made } = yield* requestsOf(sync())
      assert.deepStrictEqual(made.map(({ method }) => method).sort(), ["GET", ...Array(6).fill("HEAD")])
    }).pipe(Effect.provide(layer())))

  it.effect("goes on after one that failed, and says which and why", () =>
    Effect.gen(function*() {
      const fake = yield* tagged("1", "2", "3")
      const { root } = yield* FakeImage.image({ seed: "2" })
      yield* fake.inject(Fault.status(403).on("GET", root.digest).always())
      const remote = yield* Remote.Remote
      const all = yield* patiently(Stream.runCollect(remote.sync(from, to)))
      const failed = all.flatMap((synced) => synced.outcome === "failed" ? [synced] : [])
      assert.deepStrictEqual(failed.map(({ tag }) => tag), ["2"])
      assert.strictEqual(failed[0]!.error._tag, "CopyError")
      assert.include(failed[0]!.error.message, "403")
      assert.deepStrictEqual(yield* fake.tags(to), ["1", "3"])
    }).pipe(Effect.provide(layer())))

  it.effect("writes nothing when it is only tried, and says what it would", () =>
    Effect.gen(function*() {
      const fake = yield* tagged("1", "2")
      const remote = yield* Remote.Remote
      yield* remote.copy(`${from}:1`, `${to}:1`)
      const { made, result } = yield* requestsOf(Stream.runCollect(remote.sync(from, to, { dryRun: true })))
      assert.isTrue(made.every(({ method }) => method === "GET" || method === "HEAD"))
      const byTag = new Map(result.map((synced) => [synced.tag, synced]))
      assert.strictEqual(byTag.get("1")?.outcome, "same")
      const second = byTag.get("2")
      assert.strictEqual(second?.outcome === "planned" && second.summary.blobs, 2)
      assert.deepStrictEqual(yield* fake.tags(to), ["1"])
    }).pipe(Effect.provide(layer())))

  it.effect("sends one blob once, though many tags that go at once need it", () =>
    Effect.gen(function*() {
      const fake = yield* FakeRegistry.FakeRegistry
      for (let n = 0; n < 8; n++) {
        yield* fake.seed(`${from}:${n}`, FakeImage.image({ seed: "base", annotations: { n: String(n) } }))
      }
      const { made } = yield* requestsOf(sync({ atOnce: 8 }))
      assert.strictEqual(made.filter(({ method }) => method === "POST").length, 2)
    }).pipe(Effect.provide(layer())))

  it.effect("moves no more large blobs at once than it is told", () =>
    Effect.gen(function*() {
      const fake = yield* FakeRegistry.FakeRegistry
      const remote = yield* Remote.Remote
      const layers = Array.from({ length: 4 }, (_, n) => Content.bytes(1_100_000, n))
      const store = MemoryStore.make()
      yield* remote.copy({ store, descriptor: yield* Content.image(store, { layers }) }, `${from}:1`)
      yield* fake.inject(Fault.latency("1 second").on("PUT", "/uploads/").always())
      let now = 0
      let most = 0
      yield* sync({
        transfers: 1,
        onEvent: (event) => {
          if (!("item" in event) || event.item.label !== MediaType.ociLayer) return
          if (event._tag === "Started") most = Math.max(most, ++now)
          if (event._tag === "Done") now--
        }
      })
      assert.strictEqual(most, 1)
    }).pipe(Effect.provide(layer())))

  it.effect("fails where the tags cannot be listed", () =>
    Effect.gen(function*() {
      const remote = yield* Remote.Remote
      const error = yield* Effect.flip(Stream.runCollect(remote.sync(from, to)))
      assert.strictEqual(error._tag === "RegistryError" && error.reason._tag, "NotFound")
    }).pipe(Effect.provide(layer())))
})
