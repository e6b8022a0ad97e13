import * as Credential from "@effect-oci/authn/Credential"
import type { ContentError } from "@effect-oci/content/ContentError"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import type { NameError } from "@effect-oci/name/NameError"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Remote from "../src/Remote.ts"
import * as Content from "./image.ts"
import { layer, patiently, requestsOf, storeOf } from "./registries.ts"

const auth = { scheme: "bearer", users: { ann: "s3cret" } } as const

const yields = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** Seeds one registry, copies to the other. */
const promote = Effect.gen(function*() {
  const remote = yield* Remote.Remote
  const { descriptor, store } = yield* Content.platforms
  yield* remote.copy({ store, descriptor }, "ghcr.io/acme/app:1.2")
  return yield* remote.copy("ghcr.io/acme/app:1.2", "registry.acme.dev/app:stable")
})

describe("Remote", () => {
  describe("copy", () => {
    it.effect("copies an index with all it leads to, any content in it", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* Content.platforms
        const copied = yield* promote
        assert.strictEqual(copied.descriptor.digest, descriptor.digest)
        assert.strictEqual(copied.sent, 10)
        const fake = yield* FakeRegistry.FakeRegistry
        assert.deepStrictEqual(yield* fake.tags("registry.acme.dev/app"), ["stable"])
      }).pipe(Effect.provide(layer())))

    it.effect("copies no page that something on the way answers with", () =>
      Effect.gen(function*() {
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        const page = { body: "<!doctype html><title>Log in</title>", headers: { "content-type": "text/html" } }
        yield* fake.inject(Fault.status(200, page).at("ghcr.io").on("*", "/v2/acme/").always())
        const error = yield* Effect.flip(remote.copy("ghcr.io/acme/app:1.2", "registry.acme.dev/app:stable"))
        assert.include(error.message, "GET https://ghcr.io/v2/acme/app/manifests/1.2: no manifest: text/html")
        assert.deepStrictEqual(yield* fake.tags("registry.acme.dev/app"), [])
      }).pipe(Effect.provide(layer())))

    it.effect("asks once and sends nothing when all is there", () =>
      Effect.gen(function*() {
        yield* promote
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        const before = (yield* fake.requests).length
        const again = yield* remote.copy("ghcr.io/acme/app:1.2", "registry.acme.dev/app:stable")
        assert.strictEqual(again.sent, 0)
        assert.deepStrictEqual(
          (yield* fake.requests).slice(before).map(({ host, method }) => `${method} ${host}`),
          ["HEAD ghcr.io", "HEAD registry.acme.dev"]
        )
      }).pipe(Effect.provide(layer())))

    it.effect("reads manifests while a target is asked for them that has never heard of the tag", () =>
      Effect.gen(function*() {
        const { descriptor, store } = yield* Content.platforms
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        yield* remote.copy({ store, descriptor }, "ghcr.io/acme/app:1.2")
        yield* fake.inject(
          Fault.latency("10 seconds").on("HEAD", "/manifests/sha256:").at("registry.acme.dev").always()
        )
        const reads = (made: ReadonlyArray<FakeRegistry.Made>) => made.filter(({ method }) => method === "GET").length
        const copying = yield* Effect.forkChild(remote.copy("ghcr.io/acme/app:1.2", "registry.acme.dev/app:new"))
        const before = reads(yield* fake.requests)
        while (reads(yield* fake.requests) === before) yield* yields
        yield* patiently(Fiber.join(copying))
        // Of a tag that it knows much may be there.
        const other = yield* Content.image(store, { layers: [Content.bytes(50, 9)] })
        yield* remote.copy({ store, descriptor: other }, "ghcr.io/acme/app:1.2")
        const { made } = yield* requestsOf(patiently(remote.copy("ghcr.io/acme/app:1.2", "registry.acme.dev/app:new")))
        const root = made.filter(({ path }) => path.endsWith(other.digest))
        assert.deepStrictEqual(root.map(({ method }) => method), ["HEAD", "GET"])
      }).pipe(Effect.provide(layer())))

    for (const takesPost of [true, false]) {
      it.effect(`asks for a blob at most three times at the target, once at the source, ${takesPost ? "with" : "without"} single POSTs`, () =>
        Effect.gen(function*() {
          const store = MemoryStore.make()
          const images = yield* Effect.forEach(
            [1, 2, 3, 4, 5],
            (at) =>
              Content.image(store, { layers: Array.from({ length: 20 }, (_, n) => Content.bytes(2000, at * 100 + n)) })
          )
          const descriptor = yield* Content.index(store, images)
          const remote = yield* Remote.Remote
          yield* remote.copy({ store, descriptor }, "ghcr.io/acme/app:1")
          const fake = yield* FakeRegistry.FakeRegistry
          const refused = Fault.status(400).on("POST", "/blobs/uploads/").at("registry.acme.dev")
          if (!takesPost) yield* fake.inject(refused)
          const { made } = yield* requestsOf(remote.copy("ghcr.io/acme/app:1", "registry.acme.dev/app:1"))
          const blobs = new Set(
            made.filter(({ host, method, path }) => host === "ghcr.io" && method === "GET" && path.includes("/blobs/"))
              .map(({ path }) => path)
          )
          const of = (host: string) =>
            made.filter((request) => request.host === host && request.path.includes("/blobs/"))
          assert.strictEqual(blobs.size, 105)
          assert.strictEqual(of("ghcr.io").length, 105)
          // The one that found out that a single POST is refused.
          assert.isAtMost(of("registry.acme.dev").length, 3 * 105 + (takesPost ? 0 : 1))
          // Each manifest is asked for and put, and the tag is asked for, and put with the index.
          const manifests = made.filter(({ host, path }) =>
            host === "registry.acme.dev" && path.includes("/manifests/")
          )
          assert.strictEqual(manifests.length, 2 * 6 + 1)
        }).pipe(Effect.provide(layer())))
    }

    it.effect("mounts what another repository of the registry has", () =>
      Effect.gen(function*() {
        yield* promote
        const remote = yield* Remote.Remote
        const copied = yield* remote.copy("ghcr.io/acme/app:1.2", "ghcr.io/acme/other:1.2")
        assert.strictEqual(copied.mounted, 6)
      }).pipe(Effect.provide(layer())))

    it.effect("gets one token for each registry, however many blobs there are", () =>
      Effect.gen(function*() {
        yield* promote
        const fake = yield* FakeRegistry.FakeRegistry
        const tokens = (yield* fake.requests).filter(({ path }) => path === "/token")
        assert.deepStrictEqual(
          tokens.map(({ host, query }) => [host, new URLSearchParams(query).getAll("scope")]).sort(),
          [
            ["ghcr.io", ["repository:acme/app:pull,push"]],
            ["registry.acme.dev", ["repository:app:pull,push"]]
          ]
        )
      }).pipe(Effect.provide(layer({ auth }, Credential.basic("ann", "s3cret")))))

    it.effect("ends in one error that says what to do, and leaves no tag, without credentials", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(promote)
        assert.include(error.message, "401")
        const fake = yield* FakeRegistry.FakeRegistry
        assert.deepStrictEqual(yield* fake.tags("ghcr.io/acme/app"), [])
      }).pipe(Effect.provide(layer({ auth }))))
  })

  describe("image", () => {
    it.effect("reads the image of a platform, lazily and once", () =>
      Effect.gen(function*() {
        yield* promote
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        const before = (yield* fake.requests).length
        const image = yield* remote.image("registry.acme.dev/app:stable", { platform: "linux/arm64" })
        assert.strictEqual((yield* fake.requests).length - before, 2)
        assert.strictEqual((yield* image.config).platform.architecture, "arm64")
        yield* image.config
        assert.strictEqual((yield* fake.requests).length - before, 3)
        const size = yield* Stream.runFold(image.layers[1]!.compressed, () => 0, (n, chunk) => n + chunk.length)
        assert.strictEqual(size, 6000)
      }).pipe(Effect.provide(layer())))

    it.effect("says which platform an index does not offer", () =>
      Effect.gen(function*() {
        yield* promote
        const remote = yield* Remote.Remote
        const error = yield* Effect.flip(remote.image("ghcr.io/acme/app:1.2", { platform: "linux/s390x" }))
        assert.include(error.message, "linux/s390x")
      }).pipe(Effect.provide(layer())))
  })

  describe("get", () => {
    it.effect("gives any manifest as it is: schema 1, and types that nobody knows", () =>
      Effect.gen(function*() {
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        const bytes = Content.json({ schemaVersion: 1, name: "a", tag: "1", fsLayers: [] })
        for (const mediaType of [MediaType.dockerSchema1, "application/vnd.acme.thing+json"]) {
          const root = yield* MemoryStore.make().add(mediaType, bytes)
          yield* fake.seed("ghcr.io/acme/app:old", { root, blobs: [], manifests: [{ descriptor: root, bytes }] })
          const got = yield* remote.get("ghcr.io/acme/app:old")
          assert.deepStrictEqual([got.descriptor, got.bytes], [root, bytes])
          const old = "ghcr.io/acme/app:old"
          const reads = [Effect.asVoid(remote.image(old)), remote.index(old), remote.artifact(old)]
          for (const read of reads) {
            const error = yield* Effect.flip<unknown, ContentError | NameError, never>(read)
            assert.strictEqual(error._tag === "ContentError" && error.reason._tag, "Unsupported")
          }
        }
      }).pipe(Effect.provide(layer())))
  })

  describe("tag, list, untag", () => {
    it.effect("names, lists and forgets a name, and only that", () =>
      Effect.gen(function*() {
        yield* promote
        const remote = yield* Remote.Remote
        const { digest } = yield* remote.tag("ghcr.io/acme/app:1.2", "latest")
        assert.deepStrictEqual(yield* Stream.runCollect(remote.list("ghcr.io/acme/app", { pageSize: 1 })), [
          "1.2",
          "latest"
        ])
        yield* remote.untag("ghcr.io/acme/app:1.2")
        assert.deepStrictEqual(yield* Stream.runCollect(remote.list("ghcr.io/acme/app")), ["latest"])
        assert.strictEqual((yield* remote.head(`ghcr.io/acme/app@${digest}`)).digest, digest)
        for (const unnamed of [`ghcr.io/acme/app:latest@${digest}`, "ghcr.io/acme/app"]) {
          assert.include((yield* Effect.flip(remote.untag(unnamed))).message, "by its name")
        }
        assert.deepStrictEqual(yield* Stream.runCollect(remote.list("ghcr.io/acme/app")), ["latest"])
      }).pipe(Effect.provide(layer())))

    it.effect("lists repositories, page by page", () =>
      Effect.gen(function*() {
        yield* promote
        const remote = yield* Remote.Remote
        yield* remote.copy("ghcr.io/acme/app:1.2", "ghcr.io/acme/b:1")
        const { lines, result } = yield* requestsOf(Stream.runCollect(remote.catalog("ghcr.io", { pageSize: 1 })))
        assert.deepStrictEqual(result, ["acme/app", "acme/b"])
        assert.strictEqual(lines.length, 2)
      }).pipe(Effect.provide(layer())))
  })

  describe("delete", () => {
    it.effect("deletes a manifest by its digest with all its tags, and nothing by a tag", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* promote
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        assert.include((yield* Effect.flip(remote.delete("ghcr.io/acme/app:1.2"))).message, "named by its digest")
        yield* remote.delete(`ghcr.io/acme/app@${descriptor.digest}`)
        assert.deepStrictEqual(yield* fake.tags("ghcr.io/acme/app"), [])
        const [blob] = yield* fake.blobs("ghcr.io/acme/app")
        yield* remote.deleteBlob(`ghcr.io/acme/app@${blob}`)
        assert.notInclude(yield* fake.blobs("ghcr.io/acme/app"), blob)
      }).pipe(Effect.provide(layer())))

    it.effect("answers what a registry does not do with a reason of its own, and a hint", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* promote
        const remote = yield* Remote.Remote
        for (
          const remove of [
            remote.untag("ghcr.io/acme/app:1.2"),
            remote.delete(`ghcr.io/acme/app@${descriptor.digest}`)
          ]
        ) {
          const error = yield* Effect.flip(remove)
          assert.strictEqual(error._tag === "RegistryError" && error.reason._tag, "Unsupported")
          assert.include(error._tag === "RegistryError" ? error.hint : "", "does not delete")
        }
      }).pipe(Effect.provide(layer({ settings: { deletes: false } }))))

    it.effect("knows a registry that takes a tag for a wrong digest for one that deletes no tags", () =>
      Effect.gen(function*() {
        yield* promote
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(Fault.status(400, { body: `{"errors":[{"code":"DIGEST_INVALID"}]}` }).on("DELETE"))
        const error = yield* Effect.flip(remote.untag("ghcr.io/acme/app:1.2"))
        assert.strictEqual(error._tag === "RegistryError" && error.reason._tag, "Unsupported")
      }).pipe(Effect.provide(layer())))

    for (const referrers of [true, false]) {
      it.effect(`CLI-20: puts the list in order, ${referrers ? "with" : "without"} an endpoint, and goes deep if told`, () =>
        Effect.gen(function*() {
          const remote = yield* Remote.Remote
          const fake = yield* FakeRegistry.FakeRegistry
          const image = yield* FakeImage.image()
          const push = Effect.fnUntraced(function*(content: FakeImage.Content, name: string) {
            yield* patiently(remote.copy(yield* storeOf(content), `ghcr.io/acme/app${name}`))
            return content
          })
          yield* push(image, ":1")
          const sbom = yield* push(
            yield* FakeImage.artifact({ artifactType: "application/sbom", subject: image }),
            ":sbom"
          )
          const [first, second] = yield* Effect.forEach(["a", "b"], (name) =>
            Effect.flatMap(
              FakeImage.artifact({ artifactType: "application/signature", subject: sbom, annotations: { name } }),
              (content) => push(content, `:${name}`)
            ))
          const listed = Effect.map(
            Stream.runCollect(remote.referrers("ghcr.io/acme/app:sbom")),
            (all) => all.map(({ digest }) => digest).sort()
          )
          assert.deepStrictEqual(yield* listed, [first!.root.digest, second!.root.digest].sort())
          yield* patiently(remote.delete(`ghcr.io/acme/app@${first!.root.digest}`))
          assert.deepStrictEqual(yield* listed, [second!.root.digest])
          yield* patiently(remote.delete(`ghcr.io/acme/app@${image.root.digest}`, { referrers: true }))
          assert.deepStrictEqual(yield* fake.tags("ghcr.io/acme/app"), [])
        }).pipe(Effect.provide(layer({ settings: { referrers } }))))
    }
  })
})
