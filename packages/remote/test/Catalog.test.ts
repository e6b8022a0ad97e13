import * as Registry from "@effect-oci/name/Registry"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Catalog from "../src/Catalog.ts"
import { PageSize } from "../src/PageSize.ts"
import { layer, requestsOf } from "./registries.ts"

const ghcr = Registry.parseUnsafe("ghcr.io")

const filled = Effect.fnUntraced(function*(...repositories: ReadonlyArray<string>) {
  const fake = yield* FakeRegistry.FakeRegistry
  const image = yield* FakeImage.image()
  for (const repository of repositories) yield* fake.seed(`ghcr.io/${repository}:1`, image)
  return fake
})

/** All of a list, and the queries of the requests for it. */
const listed = Effect.fnUntraced(function*(options?: Catalog.Options) {
  const { made, result } = yield* requestsOf(Stream.runCollect(Catalog.list(ghcr, options)))
  const pages = made.filter(({ path }) => path === "/v2/_catalog")
  return { names: result, queries: pages.map(({ query }) => Object.fromEntries(new URLSearchParams(query))) }
})

describe("Catalog", () => {
  describe("list", () => {
    it.effect("gives all repositories of one registry, in one request where they fit in it", () =>
      Effect.gen(function*() {
        const fake = yield* filled("acme/app", "acme/base", "tool")
        yield* fake.seed("registry.acme.dev/other:1", FakeImage.image())
        assert.deepStrictEqual(yield* listed(), { names: ["acme/app", "acme/base", "tool"], queries: [{ n: "1000" }] })
      }).pipe(Effect.provide(layer())))

    it.effect("goes on from page to page, of the size that it is told, or that its registry has", () =>
      Effect.gen(function*() {
        yield* filled("a/1", "a/2", "b")
        const pages = [["a/1", "a/2", "b"], [{ n: "2" }, { last: "a/2", n: "2" }]]
        assert.deepStrictEqual(Object.values(yield* listed({ pageSize: 2 })), pages)
        const { names, queries } = yield* Effect.provideService(listed(), PageSize, ({ name }) => name.length - 5)
        assert.deepStrictEqual([names, queries], pages)
      }).pipe(Effect.provide(layer())))

    it.effect("begins after a repository, which is sent as text", () =>
      Effect.gen(function*() {
        yield* filled("a/1", "a/2", "b")
        const { names, queries } = yield* listed({ last: "a/1" })
        assert.deepStrictEqual(names, ["a/2", "b"])
        assert.deepStrictEqual(queries, [{ last: "a/1", n: "1000" }])
        assert.deepStrictEqual((yield* listed({ last: "a&n=1" })).queries[0], { last: "a&n=1", n: "1000" })
      }).pipe(Effect.provide(layer())))

    it.effect("asks for no page that nobody reads", () =>
      Effect.gen(function*() {
        yield* filled("a", "b", "c")
        const { made, result } = yield* requestsOf(
          Stream.runCollect(Stream.take(Catalog.list(ghcr, { pageSize: 1 }), 2))
        )
        assert.deepStrictEqual(result, ["a", "b"])
        assert.strictEqual(made.filter(({ path }) => path === "/v2/_catalog").length, 2)
      }).pipe(Effect.provide(layer())))

    it.effect("is empty where a registry is, and fails where it keeps its catalog to itself", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        assert.deepStrictEqual((yield* listed()).names, [])
        for (const [status, reason] of [[404, "NotFound"], [403, "Denied"], [405, "Unsupported"]] as const) {
          yield* fake.inject(Fault.status(status).on("GET", "/_catalog"))
          assert.strictEqual((yield* Effect.flip(listed())).reason._tag, reason)
        }
      }).pipe(Effect.provide(layer())))
  })
})
