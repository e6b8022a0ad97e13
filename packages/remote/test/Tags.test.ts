import * as Repository from "@effect-oci/name/Repository"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { PageSize } from "../src/PageSize.ts"
import * as Tags from "../src/Tags.ts"
import { layer, requestsOf } from "./registries.ts"

const app = Repository.parseUnsafe("ghcr.io/acme/app")
const path = "/v2/acme/app/tags/list"

const tagged = Effect.fnUntraced(function*(...tags: ReadonlyArray<string>) {
  const fake = yield* FakeRegistry.FakeRegistry
  const image = yield* FakeImage.image()
  for (const tag of tags) yield* fake.seed(`${app.name}:${tag}`, image)
  return fake
})

/** All of a list, and the queries of the requests for it. */
const listed = Effect.fnUntraced(function*(options?: Tags.Options) {
  const { made, result } = yield* requestsOf(Stream.runCollect(Tags.list(app, options)))
  const pages = made.filter((request) => request.path === path)
  return { tags: result, queries: pages.map(({ query }) => Object.fromEntries(new URLSearchParams(query))) }
})

describe("Tags", () => {
  describe("list", () => {
    it.effect("gives all tags in the registry's order, in one request where they fit in it", () =>
      Effect.gen(function*() {
        yield* tagged("b", "a", "10", "9")
        assert.deepStrictEqual(yield* listed(), { tags: ["10", "9", "a", "b"], queries: [{ n: "1000" }] })
      }).pipe(Effect.provide(layer())))

    it.effect("goes on from page to page, of the size that it is told", () =>
      Effect.gen(function*() {
        yield* tagged("a", "b", "c", "d", "e")
        const { queries, tags } = yield* listed({ pageSize: 2 })
        assert.deepStrictEqual(tags, ["a", "b", "c", "d", "e"])
        assert.deepStrictEqual(queries.map(({ last, n }) => [last, n]), [[undefined, "2"], ["b", "2"], ["d", "2"]])
      }).pipe(Effect.provide(layer())))

    it.effect("leaves the size to the registry where nobody says one", () =>
      Effect.gen(function*() {
        yield* tagged("a")
        assert.deepStrictEqual(yield* listed(), { tags: ["a"], queries: [{}] })
      }).pipe(Effect.provideService(PageSize, () => undefined), Effect.provide(layer())))

    it.effect("begins after a tag, which is sent as text", () =>
      Effect.gen(function*() {
        yield* tagged("a", "b", "c")
        assert.deepStrictEqual((yield* listed({ last: "a" })).tags, ["b", "c"])
        assert.deepStrictEqual((yield* listed({ last: "c" })).tags, [])
        const { queries } = yield* listed({ last: "a&n=1#b c", pageSize: 7 })
        assert.deepStrictEqual(queries, [{ last: "a&n=1#b c", n: "7" }])
      }).pipe(Effect.provide(layer())))

    it.effect("asks for no page that nobody reads", () =>
      Effect.gen(function*() {
        yield* tagged("a", "b", "c", "d", "e")
        const list = Tags.list(app, { pageSize: 2 })
        const { made, result } = yield* requestsOf(Stream.runCollect(Stream.take(list, 3)))
        assert.deepStrictEqual(result, ["a", "b", "c"])
        assert.strictEqual(made.filter((request) => request.path === path).length, 2)
      }).pipe(Effect.provide(layer())))

    it.effect("names what is not a valid tag as the registry does", () =>
      Effect.gen(function*() {
        const fake = yield* tagged("a")
        yield* fake.inject(Fault.status(200, { body: `{"tags":["a b","-x"]}` }).on("GET", "/tags/list"))
        assert.deepStrictEqual((yield* listed()).tags, ["a b", "-x"])
      }).pipe(Effect.provide(layer())))

    it.effect("is empty where the registry says null", () =>
      Effect.gen(function*() {
        const fake = yield* tagged("a")
        yield* fake.inject(Fault.status(200, { body: `{"name":"acme/app","tags":null}` }).on("GET", "/tags/list"))
        assert.deepStrictEqual((yield* listed()).tags, [])
      }).pipe(Effect.provide(layer())))

    it.effect("fails where there is no such repository, and on what is no list", () =>
      Effect.gen(function*() {
        const fail = Effect.flip(Stream.runCollect(Tags.list(app)))
        assert.strictEqual((yield* fail).reason._tag, "NotFound")
        const fake = yield* tagged("a")
        for (const body of ["<html>", "[]", `{"tags":[1]}`]) {
          yield* fake.inject(Fault.status(200, { body }).on("GET", "/tags/list"))
          assert.strictEqual((yield* fail).reason._tag, "ProtocolViolation", body)
        }
      }).pipe(Effect.provide(layer())))
  })
})
