/**
 * Registries in process, and programs that use them.
 */
import type * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import type { Content } from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Transport from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import * as Remote from "../src/Remote.ts"

export const layer = (options: Partial<FakeRegistry.Options> = {}, user?: Credential.Credential) =>
  Remote.layer.pipe(
    Layer.provideMerge(Transport.layer),
    Layer.provideMerge(FakeRegistry.layer({ hosts: ["ghcr.io", "registry.acme.dev"], ...options })),
    Layer.provideMerge(Keychain.layerMemory(user === undefined ? [] : [["ghcr.io", user], ["registry.acme.dev", user]]))
  )

/** A program of its own, as if in another process: it shares nothing but the registries. */
export const alone = Effect.provide(Layer.fresh(Remote.layer.pipe(Layer.provideMerge(Layer.fresh(Transport.layer)))))

/** Runs to the end, whatever it waits for on the way; time passes only when nothing else is to do. */
export const patiently = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(self)
    while (fiber.pollUnsafe() === undefined) {
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("10 millis")
    }
    return yield* Fiber.join(fiber)
  })

/** Content in memory, to be copied from. */
export const storeOf = Effect.fnUntraced(function*(content: Content) {
  const store = MemoryStore.make()
  for (const { bytes, descriptor } of [...content.blobs, ...content.manifests]) {
    yield* store.add(descriptor.mediaType, bytes)
  }
  return { store, descriptor: content.root }
})

/** The requests that were made during an effect, as `METHOD host/path?query status`. */
export const requestsOf = Effect.fnUntraced(function*<A, E, R>(self: Effect.Effect<A, E, R>) {
  const fake = yield* FakeRegistry.FakeRegistry
  const before = (yield* fake.requests).length
  const result = yield* self
  const made = (yield* fake.requests).slice(before)
  return { result, made, lines: made.map(({ method, path, status }) => `${method} ${path} ${status}`) }
})

/** Most registries do not look at conditions. */
export const unconditional = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(
    HttpClient.HttpClient,
    HttpClient.mapRequest(({ body, hash, headers, method, url, urlParams }) =>
      HttpClientRequest.makeWith(
        method,
        url,
        urlParams,
        hash,
        Headers.removeMany(headers, ["if-match", "if-none-match"]),
        body
      )
    )
  )
)
