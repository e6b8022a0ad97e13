import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import { Remote } from "@effect-oci/remote/Remote"
import * as RemoteLayer from "@effect-oci/remote/Remote"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as NodeOci from "../src/NodeOci.ts"
import * as NodeRegistry from "../src/NodeRegistry.ts"

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const user = Credential.basic("ann", "s3cret")
const auth = { scheme: "bearer", users: { ann: "s3cret" } } as const

/** A program as its user writes it: it knows nothing of what it runs on. */
const program = Effect.fn("program")(function*(host: string) {
  const remote = yield* Remote
  const store = MemoryStore.make("memory")
  const layer = yield* store.add(MediaType.ociLayer, new Uint8Array(1_000_000).fill(1))
  const config = yield* store.add(MediaType.ociConfig, json({ os: "linux", architecture: "amd64" }))
  const descriptor = yield* store.add(MediaType.ociManifest, json({ schemaVersion: 2, config, layers: [layer] }))
  yield* remote.copy({ store, descriptor }, `${host}/acme/app:1`)
  const image = yield* remote.image(`${host}/acme/app:1`)
  const sizes = yield* Effect.forEach(
    image.layers,
    ({ compressed }) => Stream.runFold(compressed, () => 0, (size, chunk) => size + chunk.length)
  )
  const mounted = yield* remote.copy(image, `${host}/acme/copy:1`)
  const missing = yield* Effect.flip(remote.head(`${host}/acme/nope:1`))
  return {
    sizes,
    architecture: (yield* image.config).platform.architecture,
    tags: yield* Stream.runCollect(remote.list(`${host}/acme/copy`)),
    mounted: mounted.mounted,
    missing: missing.message.replace(/https?:\/\/[^/]+/, "")
  }
})

const expected = {
  sizes: [1_000_000],
  architecture: "amd64",
  tags: ["1"],
  mounted: 2,
  missing: "HEAD /v2/acme/nope/manifests/1: 404 not found"
}

const inProcess = (options?: Partial<FakeRegistry.Options>) =>
  RemoteLayer.layer.pipe(
    Layer.provide(Transport.layer),
    Layer.provide(FakeRegistry.layer({ hosts: ["registry.example"], ...options })),
    Layer.provide(Keychain.layerMemory([["registry.example", user]]))
  )

const served = (options?: NodeRegistry.Options) =>
  Effect.scoped(Effect.gen(function*() {
    const host = yield* NodeRegistry.serve(options)
    return yield* program(host).pipe(
      Effect.provide(NodeOci.layerWith(Keychain.layerMemory([[host, user]])))
    )
  }))

describe("a program", () => {
  it.effect("runs on a registry in process", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* program("registry.example"), expected)
    }).pipe(Effect.provide(inProcess())))

  it.effect("runs on one in process that asks for a token", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* program("registry.example"), expected)
    }).pipe(Effect.provide(inProcess({ auth }))))

  it.live("runs on one behind a socket, unchanged", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* served(), expected)
    }))

  it.live("runs on one behind a socket that asks for a token", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* served({ auth }), expected)
    }))

  it.live("runs on one behind a socket that asks for a password", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* served({ auth: { ...auth, scheme: "basic" } }), expected)
    }))
})
