import * as Hasher from "@effect-oci/content/Hasher"
import type * as Digest from "@effect-oci/name/Digest"
import * as Repository from "@effect-oci/name/Repository"
import * as Tag from "@effect-oci/name/Tag"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Manifests from "../src/Manifests.ts"
import { json } from "./image.ts"
import { layer, requestsOf } from "./registries.ts"

const app = Repository.parseUnsafe("ghcr.io/acme/app")
const tag = Tag.parseUnsafe

const digestOf = (bytes: Uint8Array, algorithm?: Digest.Algorithm) =>
  Effect.map(Hasher.Hashing, (start) => Hasher.digestOf(start, bytes, algorithm))

/** A signed schema 1 manifest in the form that Docker's libtrust gives it, and what was signed. */
const schema1 = () => {
  const payload = `{\n   "schemaVersion": 1,\n   "name": "acme/app",\n   "tag": "1",\n   "fsLayers": []\n}`
  const cut = payload.lastIndexOf("\n}")
  const header = { formatLength: cut, formatTail: Base64Url.encode(payload.slice(cut)), time: "2016-01-01T00:00:00Z" }
  const signature = { header: { alg: "ES256" }, signature: "c2ln", protected: Base64Url.encode(JSON.stringify(header)) }
  const encode = (text: string) => new TextEncoder().encode(text)
  return {
    payload: encode(payload),
    signed: encode(`${payload.slice(0, cut)},\n   "signatures": ${JSON.stringify([signature])}\n}`)
  }
}

describe("Manifests", () => {
  describe("get", () => {
    it.effect("CLI-01, CLI-02: says which types it takes, and ignores parameters of what comes", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.seed("ghcr.io/acme/app:1", FakeImage.image())
        yield* fake.inject(
          Fault.headers({ "content-type": `${MediaType.ociManifest}; charset=utf-8` }).on("GET", "/manifests/")
        )
        const { made, result } = yield* requestsOf(Manifests.get(app, tag("1")))
        assert.strictEqual(result.descriptor.mediaType, MediaType.ociManifest)
        const accept = made.at(-1)!.headers["accept"]!
        for (const type of MediaType.manifestTypes) assert.include(accept, type)
      }).pipe(Effect.provide(layer())))

    it.effect("CLI-04, CLI-22: hashes the bytes itself, whatever the registry says of them or not", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const root = yield* fake.seed("ghcr.io/acme/app:1", FakeImage.image())
        yield* fake.inject(
          Fault.headers({ "docker-content-digest": undefined }).on("GET", "/manifests/"),
          Fault.headers({ "docker-content-digest": `sha256:${"0".repeat(64)}` }).on("GET", "/manifests/")
        )
        for (let n = 0; n < 2; n++) {
          assert.strictEqual((yield* Manifests.get(app, tag("1"))).descriptor.digest, root.digest)
        }
      }).pipe(Effect.provide(layer())))

    it.effect("takes no page for a manifest, whatever says that it is one", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        for (const type of ["text/html; charset=utf-8", MediaType.ociManifest]) {
          const page = Fault.status(200, {
            body: "<!doctype html><title>Log in</title>",
            headers: { "content-type": type }
          })
          yield* fake.inject(
            page.on("GET", "/manifests/"),
            page.on("HEAD", "/manifests/"),
            page.on("GET", "/manifests/")
          )
          for (
            const ask of [Effect.asVoid(Manifests.get(app, tag("1"))), Effect.asVoid(Manifests.head(app, tag("1")))]
          ) {
            const error = yield* Effect.flip(ask)
            assert.strictEqual(error.reason._tag, "ContentMismatch")
            assert.include(error.message, `no manifest: ${type.replace(/;.*/, "")}`)
          }
        }
      }).pipe(Effect.provide(layer())))

    it.effect("CLI-05: takes no other bytes for a digest", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const root = yield* fake.seed("ghcr.io/acme/app:1", FakeImage.image())
        yield* fake.inject(Fault.corrupt(10).on("GET", "/manifests/"))
        const error = yield* Effect.flip(Manifests.get(app, root.digest))
        assert.strictEqual(error.reason._tag, "ContentMismatch")
      }).pipe(Effect.provide(layer())))

    it.effect("A45: knows a signed schema 1 manifest by the digest of what was signed", () =>
      Effect.gen(function*() {
        const { payload, signed } = schema1()
        const digest = yield* digestOf(payload)
        const fake = yield* FakeRegistry.FakeRegistry
        const reply = Fault.status(200, {
          body: new TextDecoder().decode(signed),
          headers: { "content-type": MediaType.dockerSchema1Signed }
        })
        yield* fake.inject(reply.on("GET", "/manifests/").times(3))
        assert.strictEqual((yield* Manifests.get(app, tag("1"))).descriptor.digest, digest)
        assert.deepStrictEqual((yield* Manifests.get(app, digest)).bytes, signed)
        const other = yield* Effect.flip(Manifests.get(app, yield* digestOf(signed)))
        assert.strictEqual(other.reason._tag, "ContentMismatch")
      }).pipe(Effect.provide(layer())))
  })

  describe("put", () => {
    const put = Effect.fnUntraced(function*(options?: Manifests.PutOptions) {
      const fake = yield* FakeRegistry.FakeRegistry
      const content = yield* FakeImage.image()
      yield* fake.seed("ghcr.io/acme/app", content)
      const { bytes, descriptor } = content.manifests[0]!
      return { fake, descriptor, said: yield* Manifests.put(app, descriptor.digest, descriptor, bytes, options) }
    })

    it.effect("sets tags with the manifest where the registry can, and says which", () =>
      Effect.gen(function*() {
        const { fake, said } = yield* put({ tags: [tag("1"), tag("latest")] })
        assert.deepStrictEqual(said.tags, ["1", "latest"])
        assert.deepStrictEqual(yield* fake.tags("ghcr.io/acme/app"), ["1", "latest"])
        yield* fake.inject(Fault.headers({ "oci-tag": undefined }).on("PUT", "/manifests/"))
        assert.deepStrictEqual((yield* put({ tags: [tag("2")] })).said.tags, [])
      }).pipe(Effect.provide(layer())))

    it.effect("replaces only what was seen", () =>
      Effect.gen(function*() {
        const { descriptor, fake } = yield* put()
        const other = yield* FakeImage.image({ seed: "other" })
        yield* fake.seed("ghcr.io/acme/app", other)
        const { bytes, descriptor: next } = other.manifests[0]!
        yield* fake.seed("ghcr.io/acme/app:1", FakeImage.image())
        const { etag } = yield* Manifests.get(app, tag("1"))
        assert.strictEqual(etag, `"${descriptor.digest}"`)
        const write = (replaces: string | null) => Manifests.put(app, tag("1"), next, bytes, { replaces })
        assert.strictEqual((yield* Effect.flip(write(null))).status, 412)
        yield* write(etag!)
        assert.strictEqual((yield* Effect.flip(write(etag!))).status, 412)
      }).pipe(Effect.provide(layer())))

    it.effect("believes no registry that stored something else", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(
          Fault.headers({ "docker-content-digest": `sha256:${"0".repeat(64)}` }).on("PUT", "/manifests/")
        )
        assert.include((yield* Effect.flip(put())).message, "the registry stored sha256:000")
      }).pipe(Effect.provide(layer())))

    it.effect("CLI-16: pushes a manifest of 4 MB under its sha512 digest", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const content = yield* FakeImage.image()
        yield* fake.seed("ghcr.io/acme/app", content)
        const { config, layers } = JSON.parse(new TextDecoder().decode(content.manifests[0]!.bytes))
        const bytes = json({
          schemaVersion: 2,
          mediaType: MediaType.ociManifest,
          config,
          layers,
          annotations: { pad: "x".repeat(4_000_000) }
        })
        const digest = yield* digestOf(bytes, "sha512")
        yield* Manifests.put(app, digest, { mediaType: MediaType.ociManifest, digest, size: bytes.length }, bytes)
        assert.deepStrictEqual((yield* Manifests.get(app, digest)).bytes, bytes)
      }).pipe(Effect.provide(layer())))
  })
})
