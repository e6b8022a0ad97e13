import * as Keychain from "@effect-oci/authn/Keychain"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Remote from "../../src/Remote.ts"
import * as Content from "../image.ts"

/** Spellings of a session's URL, made of its last part. */
const forms: ReadonlyArray<readonly [string, (id: string) => string]> = [
  ["a path", (id) => `/v2/app/blobs/uploads/${id}`],
  ["a URL", (id) => `https://a.test/v2/app/blobs/uploads/${id}`],
  ["a URL without a scheme", (id) => `//a.test/v2/app/blobs/uploads/${id}`],
  ["a URL with its port", (id) => `https://a.test:443/v2/app/blobs/uploads/${id}`],
  ["a name beside the request", (id) => id],
  ["a name with a dot", (id) => `./${id}`],
  ["a name from above", (id) => `../../blobs/uploads/${id}`],
  ["a path with a query", (id) => `/v2/app/blobs/uploads/${id}?_state=a%2Bb%3D%3D&digest-of=none&z`]
]

const layer = (form: (id: string) => string) => {
  const spelled = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(
      HttpClient.HttpClient,
      (client) =>
        HttpClient.transform(client, (reply, request) =>
          Effect.map(reply, (response) => {
            const { location } = response.headers
            if (location === undefined || request.method === "PUT") return response
            const id = /([^/?]*)(?:\?|$)/.exec(location)![1]!
            // All of the response but this one header.
            return Object.create(response, { headers: { value: Headers.set(response.headers, "location", form(id)) } })
          }))
    )
  )
  return Remote.layer.pipe(
    Layer.provideMerge(Transport.layer),
    Layer.provideMerge(spelled),
    Layer.provideMerge(FakeRegistry.layer({ hosts: ["a.test"] })),
    Layer.provide(Keychain.layerAnonymous)
  )
}

describe("B18: a session's URL", () => {
  it.effect.each(forms)("is taken as %s", ([, form]) =>
    Effect.gen(function*() {
      const store = MemoryStore.make("seed")
      const descriptor = yield* Content.image(store, {
        layers: [Content.bytes(5_000_000, 3), Content.bytes(70_000, 4)]
      })
      const remote = yield* Remote.Remote
      const copied = yield* remote.copy({ store, descriptor }, "a.test/app:1")
      assert.strictEqual(copied.descriptor.digest, descriptor.digest)
      const fake = yield* FakeRegistry.FakeRegistry
      const sessions = (yield* fake.requests).filter(({ method, path }) =>
        method !== "POST" && path.startsWith("/v2/app/blobs/uploads/")
      )
      assert.isAbove(sessions.length, 0)
      const query = form("id").split("?")[1]
      // As it was given: encoded as it was, in its order.
      if (query !== undefined) assert.isTrue(sessions.every((made) => made.query.startsWith(`?${query}`)))
    }).pipe(Effect.provide(layer(form))))
})
