import * as Keychain from "@effect-oci/authn/Keychain"
import * as Hasher from "@effect-oci/content/Hasher"
import * as Repository from "@effect-oci/name/Repository"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Request from "../../src/internal/request.ts"
import * as Session from "../../src/internal/session.ts"
import * as Content from "../image.ts"

const layer = Transport.layer.pipe(
  Layer.provideMerge(FakeRegistry.layer({ hosts: ["a.test"] })),
  Layer.provide(Keychain.layerAnonymous)
)

const repository = Repository.parseUnsafe("a.test/app")
const bytes = Content.bytes(100_000, 3)

/** Sends bytes that come in chunks of a size, so many in a request, and gives the ranges of the requests. */
const sent = Effect.fnUntraced(function*(chunk: number, limit: number) {
  const digest = Hasher.digestOf(yield* Hasher.Hashing, bytes)
  const descriptor = Descriptor.make({ mediaType: "text/plain", digest, size: bytes.length })
  const client = yield* Request.client(repository, "push")
  const session = yield* Effect.flatMap(
    Session.start(client, repository, {}, 0, () => {}),
    (reply) => Session.sessionOf(reply, 0)
  )
  const told: Array<number> = []
  // The same buffer for every chunk, as a socket has: whoever holds on to one sees it change.
  const buffer = new Uint8Array(chunk)
  const body = Stream.map(
    Stream.rechunk(Stream.fromIterable(Array(Math.ceil(bytes.length / chunk)).keys()), 1),
    (at) => {
      const part = bytes.subarray(at * chunk, (at + 1) * chunk)
      buffer.set(part)
      return buffer.subarray(0, part.length)
    }
  )
  yield* Session.sendRest(client, session, descriptor, body, (offset) => told.push(offset), limit)
  yield* Session.complete(client, session, descriptor, Stream.empty)
  const fake = yield* FakeRegistry.FakeRegistry
  const patches = (yield* fake.requests).filter(({ method }) => method === "PATCH")
  return {
    told,
    ranges: patches.map(({ headers }) => headers["content-range"]),
    blobs: yield* fake.blobs("a.test/app"),
    digest
  }
})

describe("sendRest", () => {
  it.effect("sends all in one request that says of no range", () =>
    Effect.gen(function*() {
      const { blobs, digest, ranges, told } = yield* sent(7000, 100_000)
      assert.deepStrictEqual([ranges, told, blobs], [[undefined], [100_000], [digest]])
    }).pipe(Effect.provide(layer)))

  it.effect("sends what one request may not take in several, whatever the chunks", () =>
    Effect.gen(function*() {
      const { blobs, digest, ranges, told } = yield* sent(7000, 40_000)
      assert.deepStrictEqual(ranges, ["0-39999", "40000-79999", "80000-99999"])
      assert.deepStrictEqual([told, blobs], [[40_000, 80_000, 100_000], [digest]])
    }).pipe(Effect.provide(layer)))

  it.effect("takes a chunk that is more than one request may take", () =>
    Effect.gen(function*() {
      const { blobs, digest, ranges } = yield* sent(100_000, 30_000)
      assert.strictEqual(ranges.length, 4)
      assert.deepStrictEqual(blobs, [digest])
    }).pipe(Effect.provide(layer)))
})

describe("complete", () => {
  /** Registries that take a while before they say that they have an upload. */
  const slow = Transport.layer.pipe(
    Layer.provide(Layer.succeed(
      HttpClient.HttpClient,
      HttpClient.make((request) =>
        Effect.delay(
          Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(null, { status: 201 }))),
          request.method === "PUT" ? "120 seconds" : "0 seconds"
        )
      )
    )),
    Layer.provide(Keychain.layerAnonymous)
  )

  it.effect("waits longer for the answer, the more there is that a registry may read again or copy", () =>
    Effect.gen(function*() {
      const client = yield* Request.client(repository, "push")
      const digest = Hasher.digestOf(yield* Hasher.Hashing, bytes)
      const closed = Effect.fnUntraced(function*(size: number) {
        const session = { url: "https://a.test/v2/app/blobs/uploads/1", offset: size, least: 0, chunkSize: 0 }
        const descriptor = Descriptor.make({ mediaType: "text/plain", digest, size })
        const fiber = yield* Effect.forkChild(Effect.exit(Session.complete(client, session, descriptor, Stream.empty)))
        yield* TestClock.adjust("3 minutes")
        return (yield* Fiber.join(fiber))._tag
      })
      assert.deepStrictEqual([yield* closed(1024 * 1024), yield* closed(1024 * 1024 * 1024)], ["Failure", "Success"])
    }).pipe(Effect.provide(slow)))
})
