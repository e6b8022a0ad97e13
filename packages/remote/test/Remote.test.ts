import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Remote from "../src/Remote.ts"
import * as Content from "./image.ts"

const layer = (options: Partial<FakeRegistry.Options> = {}, user?: Credential.Credential) =>
  Remote.layer.pipe(
    Layer.provideMerge(Transport.layer),
    Layer.provideMerge(FakeRegistry.layer({ hosts: ["ghcr.io", "registry.acme.dev"], ...options })),
    Layer.provide(Keychain.layerMemory(user === undefined ? [] : [["ghcr.io", user], ["registry.acme.dev", user]]))
  )

const auth = { scheme: "bearer", users: { ann: "s3cret" } } as const

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

  describe("tag, list, delete", () => {
    it.effect("names, lists and forgets", () =>
      Effect.gen(function*() {
        yield* promote
        const remote = yield* Remote.Remote
        yield* remote.tag("ghcr.io/acme/app:1.2", "latest")
        assert.deepStrictEqual(yield* Stream.runCollect(remote.list("ghcr.io/acme/app", { pageSize: 1 })), [
          "1.2",
          "latest"
        ])
        yield* remote.delete("ghcr.io/acme/app:1.2")
        assert.deepStrictEqual(yield* Stream.runCollect(remote.list("ghcr.io/acme/app")), ["latest"])
      }).pipe(Effect.provide(layer())))
  })
})
