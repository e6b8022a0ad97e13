import * as Credential from "@effect-oci/authn/Credential"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Foreign from "../src/Foreign.ts"
import * as Remote from "../src/Remote.ts"
import { bytes, json } from "./image.ts"
import { layer } from "./registries.ts"

const data = new Uint8Array(bytes(5000, 3))

interface Asked {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

/** A host beyond all registries that answers as told, and what it was asked. */
const elsewhere = (answer: (url: URL) => Response) => {
  const asked: Array<Asked> = []
  const client = Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request, url) =>
      Effect.sync(() => {
        asked.push({ url: url.href, headers: request.headers })
        return HttpClientResponse.fromWeb(request, answer(url))
      })
    )
  )
  return { asked, on: Foreign.layer.pipe(Layer.provide(client)) }
}

/** An image with a layer that is elsewhere, and its layer read. */
const read = Effect.fnUntraced(function*(...urls: ReadonlyArray<string>) {
  const store = MemoryStore.make()
  const layer = yield* MemoryStore.make().add(MediaType.dockerForeignLayer, data)
  const config = yield* store.add(MediaType.ociConfig, json({ os: "windows", architecture: "amd64" }))
  const descriptor = yield* store.add(
    MediaType.ociManifest,
    json({ schemaVersion: 2, config, layers: [{ ...layer, urls }] })
  )
  const remote = yield* Remote.Remote
  yield* remote.copy({ store, descriptor }, "ghcr.io/acme/app:1")
  const image = yield* remote.image("ghcr.io/acme/app:1")
  return { bytes: Stream.mkUint8Array(image.layers[0]!.compressed) }
})

const url = "https://layers.example/base.tar.gz"
const user = Credential.basic("ann", "s3cret")
const guarded = layer({ auth: { scheme: "bearer", users: { ann: "s3cret" } } }, user)

describe("Foreign", () => {
  it.effect("A01: asks nobody unless it is provided", () =>
    Effect.gen(function*() {
      const { asked } = elsewhere(() => new Response(data))
      const error = yield* Effect.flip((yield* read(url)).bytes)
      assert.strictEqual(error.reason._tag, "NotFound")
      assert.deepStrictEqual(asked, [])
      const fake = yield* FakeRegistry.FakeRegistry
      assert.isFalse((yield* fake.requests).some(({ host }) => host === "layers.example"))
    }).pipe(Effect.provide(guarded)))

  it.effect("fetches the layer, verified, and says nothing of who asks", () =>
    Effect.gen(function*() {
      const { asked, on } = elsewhere(() => new Response(data))
      const { bytes: layer } = yield* read(url)
      assert.deepStrictEqual(yield* Effect.provide(layer, on), data)
      assert.deepStrictEqual(asked.map(({ url }) => url), [url])
      assert.notInclude(JSON.stringify(asked), "s3cret")
      assert.notProperty(asked[0]!.headers, ["author", "ization"].join(""))
    }).pipe(Effect.provide(guarded)))

  it.effect("A01: answers no challenge", () =>
    Effect.gen(function*() {
      const { asked, on } = elsewhere(() =>
        new Response("", {
          status: 401,
          headers: { "www-authenticate": `Bearer realm="https://layers.example/token"` }
        })
      )
      const { bytes: layer } = yield* read(url)
      assert.include((yield* Effect.flip(Effect.provide(layer, on))).message, "401")
      assert.strictEqual(asked.length, 1)
    }).pipe(Effect.provide(guarded)))

  it.effect("takes other bytes from nowhere, and asks the next URL where one does not answer", () =>
    Effect.gen(function*() {
      const wrong = elsewhere(() => new Response(new Uint8Array(bytes(5000, 4))))
      const { bytes: layer } = yield* read(url)
      assert.strictEqual((yield* Effect.flip(Effect.provide(layer, wrong.on))).reason._tag, "DigestMismatch")
      const second = elsewhere(({ pathname }) =>
        pathname === "/b" ? new Response(data) : new Response("", { status: 500 })
      )
      const { bytes: two } = yield* read("https://layers.example/a", "https://layers.example/b")
      assert.deepStrictEqual(yield* Effect.provide(two, second.on), data)
    }).pipe(Effect.provide(guarded)))

  it.effect("goes to no other scheme, user or internal address, redirected or not", () =>
    Effect.gen(function*() {
      const bad = [
        "http://layers.example/a",
        "file:///etc/passwd",
        "https://ann:s3cret@layers.example/a",
        "https://127.0.0.1/a",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/a",
        "https://localhost/a"
      ]
      for (const target of bad) {
        const straight = elsewhere(() => new Response(data))
        assert.strictEqual(
          (yield* Effect.flip(Effect.provide((yield* read(target)).bytes, straight.on)))._tag,
          "ContentError"
        )
        assert.deepStrictEqual(straight.asked, [], target)
        const around = elsewhere(() => new Response("", { status: 302, headers: { location: target } }))
        assert.strictEqual(
          (yield* Effect.flip(Effect.provide((yield* read(url)).bytes, around.on)))._tag,
          "ContentError"
        )
        assert.strictEqual(around.asked.length, 1, target)
      }
    }).pipe(Effect.provide(guarded)))

  it.effect("follows no redirects without end", () =>
    Effect.gen(function*() {
      const { asked, on } = elsewhere(() => new Response("", { status: 302, headers: { location: url } }))
      assert.include((yield* Effect.flip(Effect.provide((yield* read(url)).bytes, on))).message, "redirects")
      assert.strictEqual(asked.length, 6)
    }).pipe(Effect.provide(guarded)))

  it.effect("A01: waits for nobody who does not answer, and asks the next", () =>
    Effect.gen(function*() {
      const client = HttpClient.make((request, { host }) =>
        host === "silent.example"
          ? Effect.never
          : Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(data)))
      )
      const { bytes } = yield* read("https://silent.example/base.tar.gz", url)
      const fiber = yield* Effect.forkChild(
        Effect.provide(bytes, Layer.provide(Foreign.layer, Layer.succeed(HttpClient.HttpClient, client)))
      )
      for (let seconds = 0; seconds < 60 && fiber.pollUnsafe() === undefined; seconds++) {
        yield* Effect.promise(() => new Promise((resume) => setImmediate(resume)))
        yield* TestClock.adjust("1 second")
      }
      assert.isDefined(fiber.pollUnsafe())
      assert.deepStrictEqual(yield* Fiber.join(fiber), data)
    }).pipe(Effect.provide(layer())))
})
