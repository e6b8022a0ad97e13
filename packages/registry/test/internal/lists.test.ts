import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as MemoryStorage from "../../src/MemoryStorage.ts"
import * as Registry from "../registry.ts"

const { digestOf, having, pushBlob, pushManifest, send } = Registry

const linkOf = (link: string | undefined) => /^<([^>]+)>; rel="next"$/.exec(link ?? "")?.[1]

const read = Effect.fnUntraced(function*(path: string) {
  const answer = yield* send("GET", path)
  const json = JSON.parse(answer.text)
  return { ...answer, json, link: linkOf(answer.headers["link"]) }
})

/** All pages from here on. */
const follow = Effect.fnUntraced(function*(path: string, key: string) {
  const pages: Array<ReadonlyArray<unknown>> = []
  for (let next: string | undefined = path; next !== undefined;) {
    const page: { readonly json: Record<string, ReadonlyArray<unknown>>; readonly link: string | undefined } =
      yield* read(
        next
      )
    pages.push(page.json[key]!)
    next = page.link
  }
  return pages
})

const pushTags = (tags: ReadonlyArray<string>) =>
  Effect.andThen(
    pushBlob("a", "{}"),
    Effect.forEach(tags, (tag) => pushManifest("a", tag, Registry.manifest()), { discard: true })
  )

describe("tags", () => {
  it.effect("SRV-34: lists the tags in the order of their characters", () =>
    Effect.gen(function*() {
      yield* pushTags(["b", "a", "B", "10", "9", "_"])
      assert.deepStrictEqual((yield* read("/v2/a/tags/list")).json, {
        name: "a",
        tags: ["10", "9", "B", "_", "a", "b"]
      })
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-31: knows no tags of a repository that is not there", () =>
    Effect.gen(function*() {
      const answer = yield* send("GET", "/v2/nowhere/tags/list")
      assert.deepStrictEqual([answer.status, answer.codes], [404, ["NAME_UNKNOWN"]])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-35: gives pages, each with the link to the next", () =>
    Effect.gen(function*() {
      yield* pushTags(["a", "b", "c", "d", "e"])
      const first = yield* read("/v2/a/tags/list?n=2")
      assert.deepStrictEqual([first.json.tags, first.link], [["a", "b"], "/v2/a/tags/list?n=2&last=b"])
      assert.deepStrictEqual(yield* follow("/v2/a/tags/list?n=2", "tags"), [["a", "b"], ["c", "d"], ["e"]])
      assert.deepStrictEqual((yield* read("/v2/a/tags/list?last=c")).json.tags, ["d", "e"])
      // A tag that is not there is a place all the same.
      assert.deepStrictEqual((yield* read("/v2/a/tags/list?last=bb")).json.tags, ["c", "d", "e"])
      const none = yield* read("/v2/a/tags/list?n=0")
      assert.deepStrictEqual([none.json.tags, none.link], [[], undefined])
      const all = yield* read("/v2/a/tags/list?n=5")
      assert.deepStrictEqual([all.json.tags.length, all.link], [5, undefined])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("A55, A89: answers whatever is asked for", () =>
    Effect.gen(function*() {
      yield* pushTags(["a"])
      for (const n of ["-1", "x", "1.5", "1e3", "0x1", "", " 1", "99999999999999999999"]) {
        const answer = yield* send("GET", `/v2/a/tags/list?n=${encodeURIComponent(n)}`)
        assert.deepStrictEqual([answer.status, answer.codes], [400, ["UNSUPPORTED"]], n)
      }
      assert.strictEqual((yield* send("GET", "/v2/a/tags/list?n=999999999")).status, 200)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("A90: has nothing past the last tag", () =>
    Effect.gen(function*() {
      yield* pushTags(["a", "b"])
      for (const last of ["b", "zz"]) {
        const page = yield* read(`/v2/a/tags/list?n=1&last=${last}`)
        assert.deepStrictEqual([page.json.tags, page.link], [[], undefined])
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect.prop(
    "A90: visits each tag once, for any size of page",
    {
      tags: Schema.Array(Schema.String.pipe(Schema.check(Schema.isPattern(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,3}$/)))),
      n: Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 6 })))
    },
    ({ n, tags }) =>
      Effect.gen(function*() {
        yield* pushTags(["x", ...tags])
        const pages = yield* follow(`/v2/a/tags/list?n=${n}`, "tags")
        assert.deepStrictEqual(pages.flat(), [...new Set(["x", ...tags])].sort())
      }).pipe(Effect.provide(MemoryStorage.layer)),
    { arbitrary: { runs: 30 } }
  )

  it.effect("A55, SRV-35: has no page larger than is set", () =>
    Effect.gen(function*() {
      yield* pushTags(["a", "b", "c"])
      for (const path of ["/v2/a/tags/list", "/v2/a/tags/list?n=100"]) {
        assert.deepStrictEqual(yield* follow(path, "tags"), [["a", "b"], ["c"]])
      }
    }).pipe(having({ pageSize: 2 }), Effect.provide(MemoryStorage.layer)))
})

describe("catalog", () => {
  it.effect("lists the repositories page by page", () =>
    Effect.gen(function*() {
      for (const name of ["b/c", "a", "b"]) yield* pushBlob(name, "x")
      assert.deepStrictEqual(yield* follow("/v2/_catalog?n=2", "repositories"), [["a", "b"], ["b/c"]])
    }).pipe(Effect.provide(MemoryStorage.layer)))
})

describe("referrers", () => {
  const subject = { mediaType: MediaType.ociManifest, digest: digestOf("subject"), size: 7 }
  const path = `/v2/a/referrers/${subject.digest}`
  const referrer = (n: number, rest: Record<string, unknown> = {}) =>
    Registry.manifest({ subject, artifactType: "application/x.sbom", annotations: { n: String(n) }, ...rest })

  it.effect("SRV-36: lists nothing where there is nothing", () =>
    Effect.gen(function*() {
      const answer = yield* read(path)
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.headers["content-type"], MediaType.ociIndex)
      assert.deepStrictEqual(answer.json, { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: [] })
      assert.strictEqual((yield* send("GET", "/v2/a/referrers/sha256:0")).status, 400)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-37: describes an artifact, an image and an index", () =>
    Effect.gen(function*() {
      const texts = [
        referrer(1),
        Registry.manifest({ subject }),
        Registry.index([], { subject }),
        Registry.index([], { subject, artifactType: "application/x.bundle" })
      ] as const
      yield* pushManifest("a", digestOf(texts[0]), texts[0])
      yield* pushManifest("a", digestOf(texts[1]), texts[1])
      yield* pushManifest("a", digestOf(texts[2]), texts[2], MediaType.ociIndex)
      yield* pushManifest("a", digestOf(texts[3]), texts[3], MediaType.ociIndex)
      const { json } = yield* read(path)
      const expected = [
        {
          ...Registry.descriptor(texts[0], MediaType.ociManifest),
          artifactType: "application/x.sbom",
          annotations: { n: "1" }
        },
        { ...Registry.descriptor(texts[1], MediaType.ociManifest), artifactType: MediaType.ociEmpty },
        Registry.descriptor(texts[2], MediaType.ociIndex),
        { ...Registry.descriptor(texts[3], MediaType.ociIndex), artifactType: "application/x.bundle" }
      ]
      assert.deepStrictEqual(json.manifests, expected.sort((a, b) => a.digest < b.digest ? -1 : 1))
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-38: gives pages, by number and by size", () =>
    Effect.gen(function*() {
      const texts = [1, 2, 3, 4, 5].map((n) => referrer(n))
      for (const text of texts) yield* pushManifest("a", digestOf(text), text)
      const all = texts.map((text) => digestOf(text)).sort()
      const digests = (pages: ReadonlyArray<ReadonlyArray<unknown>>) =>
        pages.map((page) => page.map((entry) => (entry as { readonly digest: string }).digest))
      assert.deepStrictEqual(digests(yield* follow(`${path}?n=2`, "manifests")), [
        all.slice(0, 2),
        all.slice(2, 4),
        all.slice(4)
      ])
      const small = yield* follow(path, "manifests").pipe(having({ manifestLimit: 1000 }))
      assert.isAbove(small.length, 1)
      assert.deepStrictEqual(digests(small).flat(), all)
      // Not even one fits, and each page has one all the same.
      const single = yield* follow(path, "manifests").pipe(having({ manifestLimit: 257 }))
      assert.deepStrictEqual(digests(single), all.map((digest) => [digest]))
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-39: lists one artifact type, and says that it did", () =>
    Effect.gen(function*() {
      const [sbom, other] = [referrer(1), referrer(2, { artifactType: "application/x.other" })]
      for (const text of [sbom, other]) yield* pushManifest("a", digestOf(text), text)
      const answer = yield* read(`${path}?artifactType=application%2Fx.sbom`)
      assert.strictEqual(answer.headers["oci-filters-applied"], "artifactType")
      assert.deepStrictEqual(answer.json.manifests.map((entry: { digest: string }) => entry.digest), [digestOf(sbom)])
      assert.isUndefined((yield* read(path)).headers["oci-filters-applied"])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-40: lists what clients listed under the fallback tag as well", () =>
    Effect.gen(function*() {
      const listed = Registry.manifest({ annotations: { old: "" } })
      yield* pushManifest("a", digestOf(listed), listed)
      const entry = { ...Registry.descriptor(listed, MediaType.ociManifest), artifactType: "application/x.old" }
      yield* pushManifest("a", subject.digest.replace(":", "-"), Registry.index([entry]), MediaType.ociIndex)
      yield* pushManifest("a", digestOf(referrer(1)), referrer(1))
      const { json } = yield* read(path)
      assert.sameMembers(json.manifests.map((entry: { digest: string }) => entry.digest), [
        digestOf(listed),
        digestOf(referrer(1))
      ])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-40: lists those on the page that is theirs", () =>
    Effect.gen(function*() {
      const texts = Array.from({ length: 12 }, (_, n) => referrer(n))
      for (const text of texts.slice(0, 8)) yield* pushManifest("a", digestOf(text), text)
      // Half of them are known from both.
      const old = texts.slice(4).map((text) => ({
        ...Registry.descriptor(text, MediaType.ociManifest),
        artifactType: "application/x.sbom"
      }))
      yield* pushManifest("a", subject.digest.replace(":", "-"), Registry.index(old), MediaType.ociIndex)
      const all = texts.map((text) => digestOf(text)).sort()
      for (const query of ["", "&artifactType=application%2Fx.sbom"]) {
        const pages = yield* follow(`${path}?n=5${query}`, "manifests")
        const digests = pages.map((page) => page.map((entry) => (entry as { readonly digest: string }).digest))
        assert.deepStrictEqual(digests, [all.slice(0, 5), all.slice(5, 10), all.slice(10)])
      }
    }).pipe(having({ sparse: true }), Effect.provide(MemoryStorage.layer)))

  it.effect("forgets a referrer that is deleted", () =>
    Effect.gen(function*() {
      yield* pushManifest("a", digestOf(referrer(1)), referrer(1))
      yield* send("DELETE", `/v2/a/manifests/${digestOf(referrer(1))}`)
      assert.deepStrictEqual((yield* read(path)).json.manifests, [])
    }).pipe(Effect.provide(MemoryStorage.layer)))
})
