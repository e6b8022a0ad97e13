import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as Digest from "@effect-oci/name/Digest"
import * as Repository from "@effect-oci/name/Repository"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import * as Blobs from "../src/Blobs.ts"
import * as Remote from "../src/Remote.ts"
import { bytes } from "./image.ts"
import { layer, patiently, requestsOf } from "./registries.ts"

const app = Repository.parseUnsafe("ghcr.io/acme/app")
const data = bytes(1_000_001, 4)

const seeded = Effect.gen(function*() {
  const fake = yield* FakeRegistry.FakeRegistry
  const descriptor = yield* MemoryStore.make().add("application/octet-stream", data)
  const part = { descriptor, bytes: data }
  yield* fake.seed("ghcr.io/acme/app", { root: descriptor, blobs: [part], manifests: [] })
  return { fake, descriptor }
})

const parallel = (descriptor: Descriptor.Descriptor, options?: Blobs.ParallelOptions) =>
  Stream.mkUint8Array(Blobs.getParallel(app, descriptor, { chunkSize: 100_000, ...options }))

/** A registry that answers every range with the whole. */
const noRanges = Fault.status(200, {})

describe("Blobs", () => {
  describe("getParallel", () => {
    it.effect("gives the bytes in order, by closed ranges of one size", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* seeded
        const { made, result } = yield* requestsOf(parallel(descriptor))
        assert.deepStrictEqual(result, data)
        const ranges = made.filter(({ path }) => path.includes("/blobs/")).map(({ headers }) => headers["range"])
        assert.strictEqual(ranges.length, 12)
        assert.strictEqual(ranges[0], "bytes=0-0")
        assert.includeMembers(ranges, ["bytes=0-99999", "bytes=900000-999999", "bytes=1000000-1000000"])
        // Whether the registry sends parts is known by now.
        const again = yield* requestsOf(parallel(descriptor))
        assert.strictEqual(again.made.filter(({ headers }) => headers["range"] === "bytes=0-0").length, 0)
      }).pipe(Effect.provide(layer())))

    it.effect("holds no more parts than are under way", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* seeded
        const { made } = yield* requestsOf(
          Stream.runDrain(Stream.take(Blobs.getParallel(app, descriptor, { chunkSize: 100_000, concurrency: 2 }), 1))
        )
        assert.isAtMost(made.filter(({ path }) => path.includes("/blobs/")).length, 5)
      }).pipe(Effect.provide(layer())))

    it.effect("makes nothing of a size that nobody can have", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* seeded
        const error = yield* Effect.flip(parallel({ ...descriptor, size: Number.MAX_SAFE_INTEGER }))
        assert.strictEqual(error.reason._tag, "ContentMismatch")
      }).pipe(Effect.provide(layer())))

    it.effect("begins at an offset", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* seeded
        assert.deepStrictEqual(yield* parallel(descriptor, { offset: 123_456 }), data.subarray(123_456))
      }).pipe(Effect.provide(layer())))

    it.effect("resumes each part by itself", () =>
      Effect.gen(function*() {
        const { descriptor, fake } = yield* seeded
        yield* parallel(descriptor)
        yield* fake.inject(Fault.truncate(70_000).on("GET", "/blobs/").times(3))
        const { made, result } = yield* requestsOf(patiently(parallel(descriptor)))
        assert.deepStrictEqual(result, data)
        assert.strictEqual(made.length, 14)
      }).pipe(Effect.provide(layer())))

    it.effect("asks for the whole where the registry sends no parts", () =>
      Effect.gen(function*() {
        const { descriptor, fake } = yield* seeded
        yield* fake.inject(noRanges.on("GET", "/blobs/"))
        const { made, result } = yield* requestsOf(parallel(descriptor))
        assert.deepStrictEqual(result, data)
        assert.deepStrictEqual(
          made.filter(({ path }) => path.includes("/blobs/")).map(({ headers }) => headers["range"]),
          ["bytes=0-0", undefined]
        )
      }).pipe(Effect.provide(layer())))
  })

  describe("cut", () => {
    it.effect("gives a part of a longer body, and pulls no more of it than that", () =>
      Effect.gen(function*() {
        let pulled = 0
        const body = Stream.fromIterable([data.subarray(0, 10), data.subarray(10, 20), data.subarray(20, 30)], {
          chunkSize: 1
        }).pipe(Stream.tap(() => Effect.sync(() => pulled++)))
        assert.deepStrictEqual(yield* Stream.mkUint8Array(Blobs.cut(body, 5, 15)), data.subarray(5, 15))
        assert.strictEqual(pulled, 2)
      }))
  })

  describe("get", () => {
    it.effect("asks for nothing where all is there already", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* seeded
        const { made, result } = yield* requestsOf(
          Stream.mkUint8Array(Blobs.get(app, descriptor, descriptor.size))
        )
        assert.deepStrictEqual([result.length, made.length], [0, 0])
      }).pipe(Effect.provide(layer())))
  })

  describe("read", () => {
    const tiny = bytes(5000, 5)
    const placed = Effect.gen(function*() {
      const fake = yield* FakeRegistry.FakeRegistry
      const descriptor = yield* MemoryStore.make().add("application/octet-stream", tiny)
      yield* fake.seed("ghcr.io/acme/app", {
        root: descriptor,
        blobs: [{ descriptor, bytes: tiny }],
        manifests: []
      })
      return { fake, descriptor }
    })

    it.effect("gives all bytes, in one request", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* placed
        const { made, result } = yield* requestsOf(Blobs.read(app, descriptor))
        assert.deepStrictEqual(result, tiny)
        assert.strictEqual(made.filter(({ path }) => path.includes("/blobs/")).length, 1)
      }).pipe(Effect.provide(layer())))

    it.effect("goes on where it broke off, and tries again what may be mended", () =>
      Effect.gen(function*() {
        const { descriptor, fake } = yield* placed
        yield* fake.inject(Fault.truncate(3000).on("GET", "/blobs/").times(1))
        const { made, result } = yield* requestsOf(patiently(Blobs.read(app, descriptor)))
        assert.deepStrictEqual(result, tiny)
        assert.strictEqual(made.at(-1)?.headers["range"], "bytes=3000-4999")
        yield* fake.inject(Fault.status(503).on("GET", "/blobs/").times(2))
        const again = yield* requestsOf(patiently(Blobs.read(app, descriptor)))
        assert.deepStrictEqual(again.result, tiny)
        assert.strictEqual(again.made.length, 3)
      }).pipe(Effect.provide(layer())))

    it.effect("fails where there is nothing, or something of another size", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* placed
        const nowhere = { ...descriptor, digest: Digest.parseUnsafe(`sha256:${"0".repeat(64)}`) }
        assert.strictEqual((yield* Effect.flip(Blobs.read(app, nowhere))).reason._tag, "NotFound")
        const longer = { ...descriptor, size: 5001 }
        assert.strictEqual((yield* Effect.flip(Blobs.read(app, longer))).reason._tag, "ContentMismatch")
      }).pipe(Effect.provide(layer())))

    it.effect("takes what is there as a whole as it is, unless it is of another size", () =>
      Effect.gen(function*() {
        const descriptor = yield* MemoryStore.make().add("application/octet-stream", tiny)
        const read = (whole: Uint8Array) =>
          Blobs.read(app, descriptor).pipe(
            Effect.provideService(Transport.Transport, {
              distrust: () => Effect.succeed(false),
              client: () =>
                HttpClient.makeWith<RegistryError, never, RegistryError, never>(
                  Effect.map((request) =>
                    Object.defineProperty(
                      HttpClientResponse.fromWeb(request, new Response(whole.slice())),
                      ResponseBody.Whole,
                      { value: whole }
                    )
                  ),
                  Effect.succeed
                )
            })
          )
        assert.strictEqual(yield* read(tiny), tiny)
        assert.deepStrictEqual(yield* read(bytes(6000, 5)), bytes(6000, 5).slice(0, 5000))
      }))
  })

  it.effect("a blob of another length is refused, and not left on its connection", () =>
    Effect.gen(function*() {
      let isOver = false
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
        cancel: () => {
          isOver = true
        }
      }, { highWaterMark: 0 })
      const descriptor = yield* MemoryStore.make().add("application/octet-stream", data)
      const error = yield* Effect.flip(Stream.runDrain(Blobs.get(app, descriptor))).pipe(
        Effect.provideService(Transport.Transport, {
          distrust: () => Effect.succeed(false),
          client: () =>
            HttpClient.makeWith<RegistryError, never, RegistryError, never>(
              Effect.map((request) =>
                HttpClientResponse.fromWeb(request, new Response(body, { headers: { "content-length": "1000002" } }))
              ),
              Effect.succeed
            )
        })
      )
      assert.strictEqual(error.reason._tag, "ContentMismatch")
      assert.isTrue(isOver)
    }))

  describe("Remote.blob", () => {
    it.effect("reads the whole, a rest, or several parts at once, and refuses what is beyond", () =>
      Effect.gen(function*() {
        const { descriptor } = yield* seeded
        const remote = yield* Remote.Remote
        const read = (options?: Blobs.ParallelOptions) =>
          Stream.mkUint8Array(remote.blob(`ghcr.io/acme/app@${descriptor.digest}`, options))
        assert.deepStrictEqual(yield* read(), data)
        assert.deepStrictEqual(yield* read({ offset: 1_000_000 }), data.subarray(1_000_000))
        assert.deepStrictEqual(yield* read({ concurrency: 3, chunkSize: 300_000 }), data)
        assert.include((yield* Effect.flip(read({ offset: 1_000_002 }))).message, "beyond the blob's 1000001 bytes")
      }).pipe(Effect.provide(layer())))
  })
})
