import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Pages from "../../src/internal/pages.ts"
import { PageSize } from "../../src/PageSize.ts"
import * as Tags from "../../src/Tags.ts"
import { layer, requestsOf } from "../registries.ts"

const app = Repository.parseUnsafe("ghcr.io/acme/app")
const all = Stream.runCollect(Tags.list(app))

const tagged = (count: number) =>
  Effect.gen(function*() {
    const fake = yield* FakeRegistry.FakeRegistry
    const content = yield* FakeImage.image()
    for (let n = 0; n < count; n++) yield* fake.seed(`ghcr.io/acme/app:${n}`, content)
    return fake
  })

const link = (target: string) => Fault.headers({ link: `<${target}>; rel="next"` }).on("GET", "/tags/list")

describe("pages", () => {
  describe("nextOf", () => {
    const table: ReadonlyArray<readonly [string | undefined, string | undefined]> = [
      [undefined, undefined],
      [`</v2/a>; rel="next"`, "/v2/a"],
      [`</v2/a>; rel=next`, "/v2/a"],
      [`</v2/a>;REL="NEXT"`, "/v2/a"],
      [`</v2/p>; rel="prev", </v2/n?a=1,2>; title="a, b"; rel="last next"`, "/v2/n?a=1,2"],
      [`</v2/p>; rel="prev"`, undefined],
      [`<>; rel="next"`, undefined],
      [`/v2/a; rel="next"`, undefined]
    ]
    for (const [header, next] of table) {
      it(`reads ${header}`, () => {
        assert.strictEqual(Pages.nextOf(header), next)
      })
    }

    it.effect.prop("never throws", { text: Schema.String }, ({ text }) =>
      Effect.sync(() => {
        Pages.nextOf(text)
      }))
  })

  it.effect("A13: follows no link to another origin", () =>
    Effect.gen(function*() {
      const fake = yield* tagged(1)
      for (
        const target of ["https://registry.acme.dev/v2/acme/app/tags/list", "http://ghcr.io/x", "//evil.example/x"]
      ) {
        yield* fake.inject(link(target))
        const { made, result } = yield* requestsOf(Effect.flip(all))
        assert.include(result.message, "another origin")
        assert.isTrue(made.every(({ host }) => host === "ghcr.io"))
      }
    }).pipe(Effect.provide(layer())))

  it.effect("A52: reads no page twice", () =>
    Effect.gen(function*() {
      const fake = yield* tagged(1)
      yield* fake.inject(link("/v2/acme/app/tags/list?n=1000").always())
      const { lines, result } = yield* requestsOf(Effect.flip(all))
      assert.include(result.message, "was read before")
      assert.isAtMost(lines.length, 3)
    }).pipe(Effect.provide(layer())))

  it.effect("A52: gives up on pages with nothing in them", () =>
    Effect.gen(function*() {
      const fake = yield* tagged(1)
      for (let n = 0; n < 5; n++) {
        yield* fake.inject(
          Fault.status(200, {
            body: `{"tags":null}`,
            headers: { link: `</v2/acme/app/tags/list?last=${n}>; rel="next"` }
          }).on("GET", "/tags/list")
        )
      }
      const { result } = yield* requestsOf(Effect.flip(all))
      assert.include(result.message, "3 pages in a row")
    }).pipe(Effect.provide(layer())))

  it.effect("A52: ends after 1,000 pages", () =>
    Effect.gen(function*() {
      const fake = yield* tagged(1)
      let n = 0
      // Each reply links to a page that was not there before.
      for (; n < 1001; n++) {
        yield* fake.inject(
          Fault.status(200, {
            body: `{"tags":["a"]}`,
            headers: { link: `</v2/acme/app/tags/list?last=${n}>; rel="next"` }
          }).on("GET", "/tags/list")
        )
      }
      const { made, result } = yield* requestsOf(Effect.flip(all))
      assert.include(result.message, "more than 1000 pages")
      assert.isAtMost(made.length, 1002)
    }).pipe(Effect.provide(layer())), 30_000)

  it.effect("CLI-21: goes on by links though a page is short, and asks for pages of the registry's size", () =>
    Effect.gen(function*() {
      yield* tagged(5)
      const { made, result } = yield* requestsOf(all)
      assert.deepStrictEqual(result, ["0", "1", "2", "3", "4"])
      assert.deepStrictEqual(made.map(({ query }) => new URLSearchParams(query).get("n")).filter((n) => n !== null), [
        "50",
        "2",
        "2"
      ])
    }).pipe(
      Effect.provideService(PageSize, (registry) => Registry.isLoopback(registry) ? 10 : 50),
      Effect.provide(layer({ settings: { pageSize: 2 } }))
    ))

  it.effect("asks without a number where the registry does not take it", () =>
    Effect.gen(function*() {
      const fake = yield* tagged(2)
      yield* fake.inject(Fault.status(400).on("GET", "/tags/list"))
      const { made, result } = yield* requestsOf(all)
      assert.deepStrictEqual(result, ["0", "1"])
      assert.deepStrictEqual(made.slice(-2).map(({ query }) => query), ["?n=1000", ""])
    }).pipe(Effect.provide(layer())))
})
