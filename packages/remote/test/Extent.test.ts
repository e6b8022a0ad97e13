import * as MemoryStore from "@effect-oci/content/MemoryStore"
import type * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Extent from "../src/Extent.ts"
import * as Remote from "../src/Remote.ts"
import { bytes, json } from "./image.ts"
import { layer, patiently, requestsOf } from "./registries.ts"

const from = "ghcr.io/acme/app"
const to = "registry.acme.dev/app"

const tagOf = (digest: Digest.Digest, suffix: string) => `${digest.replace(":", "-")}.${suffix}`

/** An index of two images, signed in each way that there is: an SBOM of a member, signed itself, and cosign's tags. */
const signed = Effect.gen(function*() {
  const fake = yield* FakeRegistry.FakeRegistry
  const index = yield* FakeImage.index()
  yield* fake.seed(`${from}:1`, index)
  const member = index.manifests[1]!.descriptor
  const sbom = yield* FakeImage.artifact({ artifactType: "application/sbom", subject: member })
  const ofSbom = yield* FakeImage.artifact({ artifactType: "application/signature", subject: sbom })
  const ofIndex = yield* FakeImage.artifact({ artifactType: "application/signature", subject: index })
  for (const artifact of [sbom, ofSbom, ofIndex]) yield* fake.seed(from, artifact)
  const cosign = yield* FakeImage.artifact({ artifactType: "application/cosign", bytes: bytes(10, 1) })
  yield* fake.seed(`${from}:${tagOf(index.root.digest, "sig")}`, cosign)
  yield* fake.seed(`${from}:${tagOf(member.digest, "att")}`, cosign)
  yield* fake.seed(`${from}:${tagOf(cosign.root.digest, "sig")}`, ofSbom)
  yield* fake.seed(`${from}:other`, FakeImage.image({ seed: "other" }))
  return { index, member, sbom, ofSbom, ofIndex, cosign }
})

const has = (digest: Digest.Digest) =>
  Effect.flatMap(FakeRegistry.FakeRegistry, (fake) => Effect.map(fake.manifest(`${to}@${digest}`), Option.isSome))

const listed = (reference: string) =>
  Effect.flatMap(
    Remote.Remote,
    (remote) => Effect.map(Stream.runCollect(remote.referrers(reference)), (all) => all.map(({ digest }) => digest))
  )

describe("Extent", () => {
  describe("referrers", () => {
    for (const referrers of [true, false]) {
      it.effect(`go along, of members and of referrers too, ${referrers ? "with" : "without"} an endpoint there`, () =>
        Effect.gen(function*() {
          const { index, member, ofIndex, ofSbom, sbom } = yield* signed
          const remote = yield* Remote.Remote
          const fake = yield* FakeRegistry.FakeRegistry
          yield* patiently(remote.copy(`${from}:1`, `${to}:1`, { referrers: true }))
          assert.deepStrictEqual(yield* listed(`${to}:1`), [ofIndex.root.digest])
          assert.deepStrictEqual(yield* listed(`${to}@${member.digest}`), [sbom.root.digest])
          assert.deepStrictEqual(yield* listed(`${to}@${sbom.root.digest}`), [ofSbom.root.digest])
          // Who watches the tag finds the signature.
          const puts = (yield* fake.requests).filter(({ method, path }) =>
            method === "PUT" && path.includes("/manifests/")
          )
          assert.isTrue(puts.at(-1)!.path.endsWith("/manifests/1"))
          assert.isFalse(yield* has((yield* FakeImage.image({ seed: "other" })).root.digest))
          assert.strictEqual((yield* remote.head(`${to}:1`)).digest, index.root.digest)
        }).pipe(Effect.provide(layer({
          hosts: ["ghcr.io", { name: "registry.acme.dev", settings: { referrers } }]
        }))))
    }

    it.effect("stay where they are unless told, and are caught up on later", () =>
      Effect.gen(function*() {
        const { ofIndex } = yield* signed
        const remote = yield* Remote.Remote
        yield* remote.copy(`${from}:1`, `${to}:1`)
        assert.isFalse(yield* has(ofIndex.root.digest))
        yield* remote.copy(`${from}:1`, `${to}:1`, { referrers: true })
        assert.isTrue(yield* has(ofIndex.root.digest))
        const again = yield* remote.copy(`${from}:1`, `${to}:1`, { referrers: true })
        assert.strictEqual(again.sent, 0)
      }).pipe(Effect.provide(layer())))

    it.effect("get into a list that could not be written the first time, though they are there themselves", () =>
      Effect.gen(function*() {
        const { member, ofIndex, sbom } = yield* signed
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(Fault.status(403).at("registry.acme.dev").on("PUT", "/manifests/sha256-").times(3))
        const copy = patiently(remote.copy(`${from}:1`, `${to}:1`, { referrers: true }))
        assert.include((yield* Effect.flip(copy)).message, "403")
        assert.deepStrictEqual(yield* fake.tags(to), [])
        assert.isTrue((yield* has(ofIndex.root.digest)) || (yield* has(sbom.root.digest)))
        yield* Effect.ignore(copy)
        yield* Effect.ignore(copy)
        yield* copy
        assert.deepStrictEqual(yield* listed(`${to}:1`), [ofIndex.root.digest])
        assert.deepStrictEqual(yield* listed(`${to}@${member.digest}`), [sbom.root.digest])
      }).pipe(Effect.provide(layer({
        hosts: ["ghcr.io", { name: "registry.acme.dev", settings: { referrers: false } }]
      }))))
  })

  describe("digest tags", () => {
    it.effect("go along, of members and of signatures too; the source's tags are listed once", () =>
      Effect.gen(function*() {
        const { cosign, index, member } = yield* signed
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        const { made } = yield* requestsOf(remote.copy(`${from}:1`, `${to}:1`, { digestTags: true }))
        assert.deepStrictEqual(
          yield* fake.tags(to),
          [
            "1",
            tagOf(index.root.digest, "sig"),
            tagOf(member.digest, "att"),
            tagOf(cosign.root.digest, "sig")
          ].sort()
        )
        assert.strictEqual(made.filter(({ path }) => path.endsWith("/tags/list")).length, 1)
      }).pipe(Effect.provide(layer())))

    it("are told from others", () => {
      const hex = "a".repeat(64)
      for (const tag of [`sha256-${hex}`, `sha256-${hex}.sig`]) assert.isTrue(Extent.isDigestTag(tag), tag)
      for (const tag of ["1.2", `sha256-${hex.slice(1)}.sig`, `sha256-${hex}0`, `x-sha256-${hex}`]) {
        assert.isFalse(Extent.isDigestTag(tag), tag)
      }
    })
  })

  it.effect("leaves platforms out, and says what is there then", () =>
    Effect.gen(function*() {
      const { index } = yield* signed
      const remote = yield* Remote.Remote
      const copied = yield* remote.copy(`${from}:1`, `${to}:1`, { platforms: ["linux/arm64"] })
      assert.notStrictEqual(copied.descriptor.digest, index.root.digest)
      assert.strictEqual((yield* remote.head(`${to}:1`)).digest, copied.descriptor.digest)
      assert.strictEqual((yield* remote.index(`${to}:1`)).index.manifests.length, 1)
      assert.isFalse(yield* has(index.manifests[0]!.descriptor.digest))
      const again = yield* remote.copy(`${from}:1`, `${to}:1`, { platforms: ["linux/arm64"] })
      assert.strictEqual(again.sent, 0)
      const error = yield* Effect.flip(
        remote.copy(`${from}:1`, `${to}@${index.root.digest}`, { platforms: ["linux/arm64"] })
      )
      assert.include(error.message, "the target is named by")
    }).pipe(Effect.provide(layer())))

  it.effect("sets tags with the manifest, in one request, and several by their own where the registry cannot", () =>
    Effect.gen(function*() {
      yield* signed
      const remote = yield* Remote.Remote
      const fake = yield* FakeRegistry.FakeRegistry
      const puts = (made: ReadonlyArray<FakeRegistry.Made>) =>
        made.filter(({ method, path }) => method === "PUT" && path.includes("/manifests/"))
          .map(({ path, query }) => `${path.includes("sha256:") ? "digest" : path.split("/").at(-1)}${query}`)
      const first = yield* requestsOf(remote.copy(`${from}:other`, `${to}:a`))
      assert.deepStrictEqual(puts(first.made), ["a"])
      const tags = [Tag.parseUnsafe("c")]
      const second = yield* requestsOf(remote.copy(`${from}:1`, `${to}:b`, { tags }))
      assert.deepStrictEqual(puts(second.made).slice(-2), ["digest", "digest?tag=c&tag=b"])
      assert.deepStrictEqual(yield* fake.tags(to), ["a", "b", "c"])
      yield* fake.inject(Fault.headers({ "oci-tag": undefined }).on("PUT", "/manifests/").always())
      const third = yield* requestsOf(remote.copy(`${from}:1`, `${to}2:b`, { tags }))
      assert.deepStrictEqual(puts(third.made).slice(-3).toSorted(), ["b", "c", "digest?tag=c&tag=b"])
      assert.deepStrictEqual(yield* fake.tags(`${to}2`), ["b", "c"])
    }).pipe(Effect.provide(layer())))

  it.effect("sets no tag before what is verified has been", () =>
    Effect.gen(function*() {
      yield* signed
      const remote = yield* Remote.Remote
      const { made } = yield* requestsOf(remote.copy(`${from}:other`, `${to}:a`, { verify: true }))
      const asked = made.map(({ method, path }) => `${method} ${path.includes("sha256:") ? "digest" : "tag"}`)
      assert.deepStrictEqual([asked.at(-1), asked.at(-2)], ["PUT tag", "HEAD digest"])
    }).pipe(Effect.provide(layer())))

  it.effect("A45: copies schema 1 with its layers, byte for byte", () =>
    Effect.gen(function*() {
      const fake = yield* FakeRegistry.FakeRegistry
      const remote = yield* Remote.Remote
      const store = MemoryStore.make()
      const blob = bytes(5000, 9)
      const layer = yield* store.add(MediaType.dockerLayerGzip, blob)
      const fsLayers = [{ blobSum: layer.digest }, { blobSum: layer.digest }]
      const old = json({ schemaVersion: 1, name: "acme/app", tag: "old", fsLayers, history: [] })
      const root = yield* store.add(MediaType.dockerSchema1, old)
      yield* fake.seed(`${from}:old`, {
        root,
        blobs: [{ descriptor: layer, bytes: blob }],
        manifests: [{ descriptor: root, bytes: old }]
      })
      const copied = yield* remote.copy(`${from}:old`, `${to}:old`)
      assert.strictEqual(copied.sent, 3)
      assert.deepStrictEqual(Option.getOrThrow(yield* fake.manifest(`${to}:old`)).bytes, old)
      assert.deepStrictEqual(yield* fake.blobs(to), [layer.digest])
    }).pipe(Effect.provide(layer())))

  it.effect("plans and writes nothing", () =>
    Effect.gen(function*() {
      yield* signed
      const remote = yield* Remote.Remote
      const fake = yield* FakeRegistry.FakeRegistry
      const { made, result } = yield* requestsOf(remote.plan(`${from}:1`, `${to}:1`, { referrers: true }))
      assert.isTrue(made.every(({ method }) => method === "GET" || method === "HEAD"))
      assert.deepStrictEqual(yield* fake.tags(to), [])
      assert.strictEqual(result.reference.tag, "1")
    }).pipe(Effect.provide(layer())))
})
