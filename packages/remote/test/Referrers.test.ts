import * as Credential from "@effect-oci/authn/Credential"
import type { ContentError } from "@effect-oci/content/ContentError"
import * as Digest from "@effect-oci/name/Digest"
import * as Repository from "@effect-oci/name/Repository"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Manifests from "../src/Manifests.ts"
import * as Referrers from "../src/Referrers.ts"
import * as Remote from "../src/Remote.ts"
import { alone, layer, patiently, requestsOf, storeOf, unconditional } from "./registries.ts"

const app = Repository.parseUnsafe("ghcr.io/acme/app")
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

const signature = (subject: Descriptor.Descriptor, n: number) =>
  FakeImage.artifact({
    artifactType: n % 2 === 0 ? "application/vnd.acme.signature" : "application/vnd.acme.sbom",
    subject,
    annotations: { number: String(n) }
  })

/** An image, and so many artifacts that refer to it, pushed by programs of this library. */
const signed = Effect.fnUntraced(function*(count: number) {
  const fake = yield* FakeRegistry.FakeRegistry
  const subject = yield* fake.seed("ghcr.io/acme/app:1", FakeImage.image())
  const artifacts = yield* Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => signature(subject, n))
  return { fake, subject, artifacts, digests: artifacts.map(({ root }) => root.digest).sort() }
})

const push = Effect.fnUntraced(function*(content: FakeImage.Content) {
  const remote = yield* Remote.Remote
  return yield* remote.copy(yield* storeOf(content), `ghcr.io/acme/app@${content.root.digest}`)
})

const listed = (subject: Digest.Digest, options?: Referrers.Options) =>
  Effect.map(Stream.runCollect(Referrers.list(app, subject, options)), (all) => all.map(({ digest }) => digest).sort())

/** What is under the fallback tag. */
const fallback = Effect.fnUntraced(function*(subject: Digest.Digest) {
  const fake = yield* FakeRegistry.FakeRegistry
  const stored = yield* fake.manifest(`ghcr.io/acme/app:${Referrers.tagOf(subject)}`)
  return Option.match(stored, {
    onNone: () => undefined,
    onSome: ({ bytes, mediaType }) => {
      const document = Result.getOrThrow(Document.parse(bytes, mediaType))
      return document._tag === "ImageIndex" ? document : undefined
    }
  })
})

/** Registries without the endpoint. */
const without = { settings: { referrers: false } } as const

describe("Referrers", () => {
  describe("tagOf", () => {
    it("is the digest with a hyphen, cut where a tag could not be longer", () => {
      const hex = "a".repeat(64)
      assert.strictEqual(Referrers.tagOf(Digest.parseUnsafe(`sha256:${hex}`)), `sha256-${hex}`)
      assert.strictEqual(Referrers.tagOf(Digest.parseUnsafe(`sha512:${hex}${"b".repeat(64)}`)), `sha512-${hex}`)
    })
  })

  describe("list", () => {
    it.effect("finds a type behind three pages of others, where the registry does not look at types", () =>
      Effect.gen(function*() {
        const { artifacts, fake, subject } = yield* signed(2)
        const [signature, sbom] = artifacts.map(({ root }) => root)
        yield* fake.inject(...[signature, signature, signature, sbom].map((found, n) =>
          Fault.status(200, {
            body: JSON.stringify({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: [found] }),
            headers: {
              "content-type": MediaType.ociIndex,
              ...(n === 3 ? {} : { link: `</v2/acme/app/referrers/${subject.digest}?page=${n}>; rel="next"` })
            }
          }).on("GET", "/referrers/")
        ))
        const options = { artifactType: "application/vnd.acme.sbom" }
        assert.deepStrictEqual(yield* listed(subject.digest, options), [sbom!.digest])
      }).pipe(Effect.provide(layer())))

    it.effect("takes nothing that a token server says for an empty list, nor for a registry that has none", () =>
      Effect.gen(function*() {
        const { artifacts, digests, fake, subject } = yield* signed(1)
        yield* Effect.forEach(artifacts, (artifact) => alone(push(artifact)))
        for (const status of [400, 404, 405, 501]) {
          const faults = ["GET", "POST"].map((method) => Fault.status(status).on(method, "/token").times(2))
          yield* fake.inject(...faults)
          const list = Effect.gen(function*() {
            const error = yield* Effect.flip(listed(subject.digest))
            assert.deepStrictEqual([error.reason._tag, error.status], ["NoToken", undefined])
            const remote = yield* Remote.Remote
            const unresolved = yield* Effect.flip(remote.head("ghcr.io/acme/app:1"))
            assert.strictEqual((unresolved as ContentError).reason._tag, "Refused")
            return yield* listed(subject.digest)
          })
          const { lines, result } = yield* requestsOf(alone(list))
          assert.deepStrictEqual(result, digests)
          assert.include(lines, `GET /v2/acme/app/referrers/${subject.digest} 200`)
        }
      }).pipe(
        Effect.provide(
          layer({ auth: { scheme: "bearer", users: { ann: "s3cret" } } }, Credential.basic("ann", "s3cret"))
        )
      ))

    it.effect("takes no page that something on the way answers with for an empty list", () =>
      Effect.gen(function*() {
        const { fake, subject } = yield* signed(0)
        const page = { body: "<!doctype html><title>Log in</title>", headers: { "content-type": "text/html" } }
        yield* fake.inject(Fault.status(200, page).on("*", "/v2/acme/").always())
        assert.strictEqual((yield* Effect.flip(listed(subject.digest))).reason._tag, "ContentMismatch")
      }).pipe(Effect.provide(layer())))

    it.effect("asks the endpoint, page by page, and for a type only if told", () =>
      Effect.gen(function*() {
        const { artifacts, digests, subject } = yield* signed(5)
        yield* Effect.forEach(artifacts, push)
        assert.deepStrictEqual(yield* listed(subject.digest), digests)
        const { lines, result } = yield* requestsOf(
          listed(subject.digest, { artifactType: "application/vnd.acme.sbom" })
        )
        assert.deepStrictEqual(result, [artifacts[1]!.root.digest, artifacts[3]!.root.digest].sort())
        assert.deepStrictEqual(lines, [`GET /v2/acme/app/referrers/${subject.digest} 200`])
        assert.isUndefined(yield* fallback(subject.digest))
      }).pipe(Effect.provide(layer({ settings: { pageSize: 2 } }))))

    it.effect("filters itself where the registry does not say that it has", () =>
      Effect.gen(function*() {
        const { artifacts, fake, subject } = yield* signed(4)
        const index = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: artifacts.map(({ root }) => root) }
        const reply = (headers: Record<string, string>) =>
          Fault.status(200, {
            body: JSON.stringify(index),
            headers: { "content-type": MediaType.ociIndex, ...headers }
          }).on("GET", "/referrers/")
        const ask = listed(subject.digest, { artifactType: "application/vnd.acme.sbom" })
        yield* fake.inject(reply({}))
        assert.strictEqual((yield* ask).length, 2)
        yield* fake.inject(reply({ "oci-filters-applied": "artifactType" }))
        assert.strictEqual((yield* ask).length, 4)
      }).pipe(Effect.provide(layer())))

    it.effect("asks for no more pages than are read", () =>
      Effect.gen(function*() {
        const { artifacts, subject } = yield* signed(6)
        yield* Effect.forEach(artifacts, push)
        const { lines } = yield* requestsOf(Stream.runCollect(Stream.take(Referrers.list(app, subject.digest), 2)))
        assert.strictEqual(lines.length, 1)
      }).pipe(Effect.provide(layer({ settings: { pageSize: 2 } }))))

    for (const status of [400, 401, 404, 405, 406]) {
      it.effect(`reads the fallback tag where the endpoint answers ${status}`, () =>
        Effect.gen(function*() {
          const { artifacts, digests, fake, subject } = yield* signed(2)
          yield* Effect.forEach(artifacts, (artifact) => fake.seed("ghcr.io/acme/app", artifact))
          yield* fake.seed(
            `ghcr.io/acme/app:${Referrers.tagOf(subject.digest)}`,
            FakeImage.indexOf(artifacts)
          )
          yield* fake.inject(Fault.status(status).on("GET", "/referrers/").always())
          assert.deepStrictEqual(yield* alone(listed(subject.digest)), digests)
          const error = yield* Effect.flip(alone(listed(subject.digest, { fallback: false })))
          assert.strictEqual(error.status, status)
        }).pipe(Effect.provide(layer())))
    }

    it.effect("takes no page of HTML for a list", () =>
      Effect.gen(function*() {
        const { fake, subject } = yield* signed(0)
        yield* fake.inject(Fault.headers({ "content-type": "text/html" }).on("GET", "/referrers/").always())
        assert.deepStrictEqual(yield* listed(subject.digest), [])
      }).pipe(Effect.provide(layer())))

    it.effect("is not fooled by a registry that takes the fallback tag for the digest", () =>
      Effect.gen(function*() {
        const { fake, subject } = yield* signed(0)
        yield* fake.seed(`ghcr.io/acme/app:${Referrers.tagOf(subject.digest)}`, FakeImage.image())
        assert.deepStrictEqual(yield* listed(subject.digest), [])
      }).pipe(Effect.provide(layer(without))))

    it.effect("takes a repository that is not there for no registry without the endpoint", () =>
      Effect.gen(function*() {
        const { artifacts, digests, fake, subject } = yield* signed(1)
        yield* fake.inject(
          Fault.status(404, { body: `{"errors":[{"code":"NAME_UNKNOWN"}]}` }).on("GET", "/referrers/")
        )
        assert.deepStrictEqual(yield* listed(subject.digest), [])
        yield* push(artifacts[0]!)
        assert.deepStrictEqual(yield* listed(subject.digest), digests)
        assert.isUndefined(yield* fallback(subject.digest))
      }).pipe(Effect.provide(layer())))

    it.effect("finds nothing where there is nothing, and asks for the endpoint once", () =>
      Effect.gen(function*() {
        const { subject } = yield* signed(0)
        assert.deepStrictEqual(yield* listed(subject.digest), [])
        const { lines } = yield* requestsOf(listed(subject.digest))
        assert.deepStrictEqual(lines, [`GET /v2/acme/app/manifests/${Referrers.tagOf(subject.digest)} 404`])
      }).pipe(Effect.provide(layer(without))))
  })

  describe("add", () => {
    it.effect("keeps the list under a tag, with types and annotations, where the registry keeps none", () =>
      Effect.gen(function*() {
        const { artifacts, digests, subject } = yield* signed(2)
        yield* patiently(Effect.forEach(artifacts, push))
        const index = yield* fallback(subject.digest)
        assert.strictEqual(index?.mediaType, MediaType.ociIndex)
        assert.deepStrictEqual(
          index?.manifests.map(({ annotations, artifactType, mediaType }) => [
            mediaType,
            artifactType,
            { ...annotations }
          ]),
          [
            [MediaType.ociManifest, "application/vnd.acme.signature", { number: "0" }],
            [MediaType.ociManifest, "application/vnd.acme.sbom", { number: "1" }]
          ]
        )
        assert.deepStrictEqual(yield* listed(subject.digest), digests)
      }).pipe(Effect.provide(layer(without))))

    it.effect("names the type of the config where a manifest has no artifact type", () =>
      Effect.gen(function*() {
        const { subject } = yield* signed(0)
        const { store, descriptor } = yield* storeOf(yield* FakeImage.image())
        const { config, layers } = JSON.parse(new TextDecoder().decode(store.contents.get(descriptor.digest)!.bytes))
        const about = { mediaType: subject.mediaType, digest: subject.digest, size: subject.size }
        const root = yield* store.add(
          MediaType.ociManifest,
          json({ schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers, subject: about })
        )
        const remote = yield* Remote.Remote
        yield* patiently(remote.copy({ store, descriptor: root }, "ghcr.io/acme/app:attached"))
        assert.strictEqual((yield* fallback(subject.digest))?.manifests[0]?.artifactType, MediaType.ociConfig)
      }).pipe(Effect.provide(layer(without))))

    it.effect("keeps what others wrote into the list, and its unknown keys", () =>
      Effect.gen(function*() {
        const { artifacts, fake, subject } = yield* signed(2)
        const first = artifacts[0]!
        yield* fake.seed("ghcr.io/acme/app", first)
        const bytes = json({
          schemaVersion: 2,
          mediaType: MediaType.ociIndex,
          annotations: { kept: "yes" },
          manifests: [{ ...first.root, "x-acme": [1] }]
        })
        const { descriptor, store } = yield* storeOf({ root: first.root, blobs: [], manifests: [] })
        const root = yield* store.add(MediaType.ociIndex, bytes)
        assert.strictEqual(descriptor, first.root)
        yield* Manifests.put(app, Referrers.tagOf(subject.digest), root, bytes)
        yield* patiently(push(artifacts[1]!))
        const { annotations, json: document } = (yield* fallback(subject.digest))!
        assert.strictEqual(annotations["kept"], "yes")
        const entries = document["manifests"] as ReadonlyArray<Record<string, unknown>>
        assert.strictEqual(entries.length, 2)
        assert.deepStrictEqual(entries[0]!["x-acme"], [1])
      }).pipe(Effect.provide(layer(without))))

    it.effect("overwrites nothing under the tag that is not a list", () =>
      Effect.gen(function*() {
        const { artifacts, fake, subject } = yield* signed(1)
        const image = yield* fake.seed(`ghcr.io/acme/app:${Referrers.tagOf(subject.digest)}`, FakeImage.image())
        const error = yield* Effect.flip(push(artifacts[0]!))
        assert.include(error.message, "the list of referrers")
        const stored = yield* fake.manifest(`ghcr.io/acme/app:${Referrers.tagOf(subject.digest)}`)
        assert.strictEqual(Option.getOrThrow(stored).digest, image.digest)
      }).pipe(Effect.provide(layer(without))))

    it.effect("does not believe a registry that says it keeps a list and has no endpoint", () =>
      Effect.gen(function*() {
        const { artifacts, digests, fake, subject } = yield* signed(1)
        yield* fake.inject(Fault.headers({ "oci-subject": subject.digest }).on("PUT", "/manifests/").always())
        yield* patiently(push(artifacts[0]!))
        assert.deepStrictEqual(yield* listed(subject.digest), digests)
      }).pipe(Effect.provide(layer(without))))

    it.effect("loses nothing with twenty writers in one program, and writes for many at once", () =>
      Effect.gen(function*() {
        const { artifacts, digests, subject } = yield* signed(20)
        const { lines } = yield* requestsOf(
          patiently(Effect.forEach(artifacts, push, { concurrency: "unbounded", discard: true }))
        )
        assert.deepStrictEqual(yield* listed(subject.digest), digests)
        const writes = lines.filter((line) => line.startsWith("PUT") && line.includes(Referrers.tagOf(subject.digest)))
        assert.isAtMost(writes.length, 6)
      }).pipe(Effect.provide(layer(without))))

    it.effect("loses nothing with twenty writers at a registry that refuses what was overtaken", () =>
      Effect.gen(function*() {
        const { artifacts, digests, fake, subject } = yield* signed(20)
        // So that all of them read before any of them writes.
        yield* fake.inject(Fault.latency("10 millis").on("PUT", "/manifests/").always())
        const { lines } = yield* requestsOf(
          patiently(
            Effect.forEach(artifacts, (artifact) => alone(push(artifact)), { concurrency: "unbounded", discard: true })
          )
        )
        assert.deepStrictEqual(yield* listed(subject.digest), digests)
        assert.isTrue(lines.some((line) => line.startsWith("PUT") && line.endsWith(" 412")))
      }).pipe(Effect.provide(layer(without))))

    it.effect("loses nothing with twenty writers at a registry that looks at no condition", () =>
      Effect.gen(function*() {
        const { artifacts, digests, subject } = yield* signed(20)
        const { lines } = yield* requestsOf(
          patiently(
            Effect.forEach(artifacts, (artifact) => alone(push(artifact)), { concurrency: "unbounded", discard: true })
          )
        )
        assert.deepStrictEqual(yield* listed(subject.digest), digests)
        assert.isFalse(lines.some((line) => line.endsWith(" 412")))
      }).pipe(Effect.provide(Layer.provideMerge(unconditional, layer(without)))))
  })

  describe("remove", () => {
    it.effect("takes a deleted manifest out of the list, and the list away with its last", () =>
      Effect.gen(function*() {
        const { artifacts, fake, subject } = yield* signed(2)
        yield* patiently(Effect.forEach(artifacts, push))
        yield* patiently(Referrers.remove(app, subject.digest, artifacts[0]!.root.digest))
        assert.deepStrictEqual(yield* listed(subject.digest), [artifacts[1]!.root.digest])
        yield* patiently(Referrers.remove(app, subject.digest, artifacts[1]!.root.digest))
        assert.deepStrictEqual(yield* fake.tags("ghcr.io/acme/app"), ["1"])
      }).pipe(Effect.provide(layer(without))))
  })
})
