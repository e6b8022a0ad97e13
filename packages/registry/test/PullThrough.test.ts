import * as Budget from "@effect-oci/content/Budget"
import {
  ContentError,
  NotFound,
  type Reason,
  Refused,
  Unavailable,
  Unsupported
} from "@effect-oci/content/ContentError"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import type { Source } from "@effect-oci/content/Store"
import * as Verify from "@effect-oci/content/Verify"
import * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as DiskStorage from "../src/DiskStorage.ts"
import * as FakeImage from "../src/FakeImage.ts"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import * as PullThrough from "../src/PullThrough.ts"
import * as RegistryServer from "../src/RegistryServer.ts"
import { type Condition, Storage } from "../src/Storage.ts"
import { folder } from "./disk.ts"
import { digestOf, encode, sendTo } from "./registry.ts"
import { suite } from "./storage.ts"

const failure = (reason: Reason) => new ContentError({ operation: "read", location: "up.test/a", reason })

/** An upstream with an image `a:1`, a cache before it, and what was asked of the upstream. */
const proxied = Effect.fnUntraced(function*(
  change: (source: Source) => Source = (source) => source,
  size = 100_000,
  tags?: Stream.Stream<string, ContentError>
) {
  const upstream = MemoryStore.make("up.test/a")
  const image = yield* FakeImage.image({ layers: 2, size })
  for (const { bytes, descriptor } of [...image.blobs, ...image.manifests]) {
    yield* upstream.add(descriptor.mediaType, bytes)
  }
  yield* upstream.tag(image.root, Tag.parseUnsafe("1"))
  const asked: Array<string> = []
  const source = change(upstream)
  const counted: Source = {
    ...source,
    resolve: (identifier) => Effect.suspend(() => (asked.push(identifier), source.resolve(identifier))),
    fetch: (descriptor, offset) =>
      Stream.suspend(() => (asked.push(descriptor.digest), source.fetch(descriptor, offset)))
  }
  const cache = yield* MemoryStorage.make
  let reads = 0
  const begin = PullThrough.make({
    ...cache,
    manifests: (repository) => Stream.tap(cache.manifests(repository), () => Effect.sync(() => void reads++))
  }, {
    sourceOf: (repository) => Effect.succeed(repository === "a" ? Option.some(counted) : Option.none()),
    tagsOf: (repository) => repository === "a" ? Option.fromUndefinedOr(tags) : Option.none()
  })
  const serve = (storage: Storage["Service"]) => sendTo(Effect.provideService(RegistryServer.app, Storage, storage))
  const storage = yield* begin
  const send = serve(storage)
  /** Another process with what the first one has kept. */
  const restart = Effect.map(begin, serve)
  const cached = Effect.fnUntraced(function*(descriptor: Descriptor.Descriptor) {
    const blob = yield* cache.blobSize("a", descriptor.digest)
    const manifest = yield* cache.manifest("a", descriptor.digest)
    return Option.isSome(blob) || Option.isSome(manifest)
  })
  return { image, upstream, asked, storage, send, restart, cached, cache, reads: () => reads, layer: image.blobs[0]! }
})

/** `good` with an image, and `evil` with a manifest that names the same layer, of what size it likes. */
const shared = Effect.fnUntraced(function*(size: (right: number) => number = (right) => right, lie?: Source["fetch"]) {
  const image = yield* FakeImage.image({ layers: 1, size: 200_000 })
  const layer = image.blobs.find(({ descriptor }) => descriptor.mediaType.includes("layer"))!
  const upstreams = { good: MemoryStore.make("up.test/good"), evil: MemoryStore.make("up.test/evil") }
  for (const { bytes, descriptor } of [...image.blobs, ...image.manifests]) {
    yield* upstreams.good.add(descriptor.mediaType, bytes)
  }
  yield* upstreams.good.tag(image.root, Tag.parseUnsafe("1"))
  const manifest = JSON.parse(new TextDecoder().decode(image.manifests[0]!.bytes))
  const layers = [{ ...layer.descriptor, size: size(layer.bytes.length) }]
  const naming = yield* upstreams.evil.add(image.root.mediaType, encode(JSON.stringify({ ...manifest, layers })))
  yield* upstreams.evil.tag(naming, Tag.parseUnsafe("1"))
  const read = { good: 0, evil: 0 }
  const sourceOf = (name: "good" | "evil"): Source => ({
    ...upstreams[name],
    fetch: (descriptor, offset) => {
      if (descriptor.digest !== layer.descriptor.digest) return upstreams[name].fetch(descriptor, offset)
      const fetch = name === "evil" && lie !== undefined ? lie : upstreams[name].fetch
      return Stream.tap(fetch(descriptor, offset), (chunk) => Effect.sync(() => read[name] += chunk.length))
    }
  })
  const cache = yield* MemoryStorage.make
  const storage = yield* PullThrough.make(cache, {
    sourceOf: (repository) =>
      Effect.succeed(repository === "good" || repository === "evil" ? Option.some(sourceOf(repository)) : Option.none())
  })
  const send = sendTo(Effect.provideService(RegistryServer.app, Storage, storage))
  const path = (repository: string) => `/v2/${repository}/blobs/${layer.descriptor.digest}`
  const pull = (repository: string) => send("GET", `/v2/${repository}/manifests/1`)
  return { cache, upstreams, layer, read, send, path, pull }
})

const get = (digest: string) => ["GET", `/v2/a/blobs/${digest}`] as const

suite(
  "PullThrough where there is no source",
  Layer.effect(
    Storage,
    Effect.flatMap(MemoryStorage.make, (cache) => PullThrough.make(cache, { sourceOf: () => Effect.succeedNone }))
  )
)

describe("PullThrough", () => {
  it.effect("gives a large manifest from where it keeps it, the first time as well", () =>
    Effect.gen(function*() {
      const upstream = MemoryStore.make("up.test/a")
      const mediaType = MediaType.ociIndex
      const text = JSON.stringify({
        schemaVersion: 2,
        mediaType,
        manifests: [],
        annotations: { a: "x".repeat(300_000) }
      })
      yield* upstream.tag(yield* upstream.add(mediaType, encode(text)), Tag.parseUnsafe("1"))
      const storage = yield* PullThrough.make(yield* DiskStorage.make(yield* folder), {
        sourceOf: () => Effect.succeedSome(upstream)
      })
      for (let i = 0; i < 2; i++) {
        const { again } = Option.getOrThrow(yield* storage.manifest("a", Tag.parseUnsafe("1")))
        assert.strictEqual(new TextDecoder().decode(yield* Stream.mkUint8Array(again!)), text)
      }
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("gets what it lacks, and keeps it", () =>
    Effect.gen(function*() {
      const { asked, cached, image, send } = yield* proxied()
      for (let i = 0; i < 2; i++) {
        const manifest = yield* send("GET", "/v2/a/manifests/1")
        assert.deepStrictEqual(manifest.bytes, image.manifests[0]!.bytes)
        for (const { bytes, descriptor } of image.blobs) {
          const head = yield* send("HEAD", `/v2/a/blobs/${descriptor.digest}`)
          assert.deepStrictEqual([head.status, head.headers["content-length"]], [200, String(bytes.length)])
          assert.deepStrictEqual((yield* send(...get(descriptor.digest))).bytes, bytes)
          assert.isTrue(yield* cached(descriptor))
        }
      }
      // The tag each time, all else once.
      assert.sameMembers(asked, [
        "1",
        "1",
        image.root.digest,
        ...image.blobs.map(({ descriptor }) => descriptor.digest)
      ])
      assert.strictEqual((yield* send("GET", `/v2/a/manifests/${image.root.digest}`)).status, 200)
      assert.strictEqual(asked.length, 6)
    }))

  it.effect("follows a tag that moves, and one that goes", () =>
    Effect.gen(function*() {
      const { send, upstream } = yield* proxied()
      yield* send("GET", "/v2/a/manifests/1")
      const other = yield* FakeImage.image({ seed: "other" })
      for (const { bytes, descriptor } of [...other.blobs, ...other.manifests]) {
        yield* upstream.add(descriptor.mediaType, bytes)
      }
      yield* upstream.tag(other.root, Tag.parseUnsafe("1"))
      const moved = yield* send("HEAD", "/v2/a/manifests/1")
      assert.strictEqual(moved.headers["docker-content-digest"], other.root.digest)
      ;(upstream.tags as Map<Tag.Tag, unknown>).clear()
      assert.strictEqual((yield* send("GET", "/v2/a/manifests/1")).status, 404)
    }))

  it.effect("A87: gives nothing in place of what the upstream will not say, and asks again", () =>
    Effect.gen(function*() {
      for (const reason of [new Unavailable({ detail: "503" }), new Refused({ detail: "429" })]) {
        let down = true
        const { asked, send } = yield* proxied((source) => ({
          ...source,
          resolve: (identifier) => down ? Effect.fail(failure(reason)) : source.resolve(identifier)
        }))
        down = false
        assert.strictEqual((yield* send("GET", "/v2/a/manifests/1")).status, 200)
        down = true
        assert.strictEqual((yield* send("GET", "/v2/a/manifests/1")).status, 502)
        assert.strictEqual((yield* send("GET", "/v2/a/manifests/2")).status, 502)
        down = false
        assert.strictEqual((yield* send("GET", "/v2/a/manifests/1")).status, 200)
        assert.strictEqual((yield* send("GET", "/v2/a/manifests/2")).status, 404)
        assert.strictEqual(asked.filter((what) => what === "1").length, 3)
      }
    }))

  it.effect("A87: waits for no upstream that does not answer", () =>
    Effect.gen(function*() {
      const { send } = yield* proxied((source) => ({ ...source, resolve: () => Effect.never }))
      const fiber = yield* Effect.forkChild(send("GET", "/v2/a/manifests/1"))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).status, 502)
    }))

  it.effect("A87: waits for no manifest that stalls, and as long as one takes that does not", () =>
    Effect.gen(function*() {
      const after = (source: Source, seconds: number): Source["fetch"] => (descriptor) =>
        Stream.flatMap(source.fetch(descriptor), (bytes) =>
          Stream.concat(
            Stream.make(bytes.subarray(0, 10)),
            Stream.fromEffect(Effect.delay(Effect.succeed(bytes.subarray(10)), `${seconds} seconds`))
          ))
      for (
        const [status, fetch] of [
          [502, () => () => Stream.never],
          [502, (source) => after(source, 30)],
          [200, (source) => after(source, 9)]
        ] satisfies ReadonlyArray<readonly [number, (source: Source) => Source["fetch"]]>
      ) {
        const { cached, image, send } = yield* proxied((source) => ({ ...source, fetch: fetch(source) }))
        const fiber = yield* Effect.forkChild(send("GET", "/v2/a/manifests/1"))
        yield* TestClock.adjust("10 seconds")
        assert.isDefined(fiber.pollUnsafe())
        assert.strictEqual((yield* Fiber.join(fiber)).status, status)
        assert.strictEqual(yield* cached(image.root), status === 200)
      }
    }))

  it.effect("A87: remembers for seconds that something is not there", () =>
    Effect.gen(function*() {
      const { asked, image, send, upstream } = yield* proxied()
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* send("GET", "/v2/a/manifests/2")).status, 404)
      assert.deepStrictEqual(asked, ["2"])
      yield* upstream.tag(image.root, Tag.parseUnsafe("2"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* send("GET", "/v2/a/manifests/2")).status, 200)
    }))

  it.effect("A88: reaches no repository and no blob but those it is told of", () =>
    Effect.gen(function*() {
      const { asked, layer, send } = yield* proxied()
      assert.strictEqual((yield* send("GET", "/v2/b/manifests/1")).status, 404)
      assert.strictEqual((yield* send(...get(layer.descriptor.digest))).status, 404)
      assert.deepStrictEqual(asked, [])
      yield* send("GET", "/v2/a/manifests/1")
      assert.strictEqual((yield* send("GET", `/v2/b/blobs/${layer.descriptor.digest}`)).status, 404)
      assert.strictEqual((yield* send(...get(layer.descriptor.digest))).status, 200)
    }))

  describe("after a restart", () => {
    it.effect("gets what kept manifests name, and asks for these no more", () =>
      Effect.gen(function*() {
        const { asked, image, restart, send } = yield* proxied()
        yield* send("GET", "/v2/a/manifests/1")
        const again = yield* restart
        asked.length = 0
        for (const { bytes, descriptor } of image.blobs) {
          const head = yield* again("HEAD", `/v2/a/blobs/${descriptor.digest}`)
          assert.deepStrictEqual([head.status, head.headers["content-length"]], [200, String(bytes.length)])
          assert.deepStrictEqual((yield* again(...get(descriptor.digest))).bytes, bytes)
        }
        assert.deepStrictEqual(asked, image.blobs.map(({ descriptor }) => descriptor.digest))
      }))

    it.effect("gives what is kept without the upstream, and without reading a manifest", () =>
      Effect.gen(function*() {
        const { asked, layer, reads, restart, send } = yield* proxied()
        yield* send("GET", "/v2/a/manifests/1")
        yield* send(...get(layer.descriptor.digest))
        const again = yield* restart
        asked.length = 0
        assert.deepStrictEqual((yield* again(...get(layer.descriptor.digest))).bytes, layer.bytes)
        assert.deepStrictEqual([asked, reads()], [[], 0])
      }))

    it.effect("A88: asks for no blob that no manifest names, nor of where only another repository's does", () =>
      Effect.gen(function*() {
        const { asked, cache, image, layer, restart, upstream } = yield* proxied()
        const stored = { ...image.root, bytes: image.manifests[0]!.bytes }
        yield* cache.putManifest("b", stored, { tags: [], subject: Option.none() })
        const { digest } = yield* upstream.add("application/octet-stream", encode("in the repository"))
        const send = yield* restart
        for (const name of ["a", "b", "c"]) {
          for (const wanted of [digest, layer.descriptor.digest]) {
            assert.strictEqual((yield* send("GET", `/v2/${name}/blobs/${wanted}`)).status, 404)
          }
        }
        assert.deepStrictEqual(asked, [])
      }))

    it.effect("reads kept manifests once or twice for all who ask at once, named or not", () =>
      Effect.gen(function*() {
        const { cache, image, reads, restart, send } = yield* proxied()
        yield* send("GET", "/v2/a/manifests/1")
        for (let i = 0; i < 99; i++) {
          const bytes = encode(`{"i":${i}}`)
          const stored = { digest: digestOf(bytes), mediaType: "application/json", bytes }
          yield* cache.putManifest("a", stored, { tags: [], subject: Option.none() })
        }
        const again = yield* restart
        const named = image.blobs.map(({ descriptor }) => descriptor.digest)
        const unnamed = Array.from({ length: 100 }, (_, i) => digestOf(`unnamed ${i}`))
        const replies = yield* Effect.forEach(
          [...unnamed, ...named],
          (digest) => again("HEAD", `/v2/a/blobs/${digest}`),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(replies.map(({ status }) => status), [
          ...unnamed.map(() => 404),
          ...named.map(() => 200)
        ])
        assert.isAtMost(reads(), 200)
      }))
  })

  it.effect("remembers of what a manifest names no more than it needs to get it", () =>
    Effect.gen(function*() {
      const fetched: Array<Descriptor.Descriptor> = []
      const { image, layer, send, upstream } = yield* proxied((source) => ({
        ...source,
        fetch: (descriptor) => Stream.suspend(() => (fetched.push(descriptor), source.fetch(descriptor)))
      }))
      const manifest = JSON.parse(new TextDecoder().decode(image.manifests[0]!.bytes))
      const layers = [{ ...layer.descriptor, annotations: { large: "x".repeat(1_000_000) } }]
      const large = yield* upstream.add(image.root.mediaType, encode(JSON.stringify({ ...manifest, layers })))
      yield* upstream.tag(large, Tag.parseUnsafe("large"))
      yield* send("GET", "/v2/a/manifests/large")
      assert.deepStrictEqual((yield* send(...get(layer.descriptor.digest))).bytes, layer.bytes)
      const { digest, size } = layer.descriptor
      assert.deepStrictEqual(fetched.at(-1), { mediaType: "application/octet-stream", digest, size })
    }))

  it.effect("gets a blob where the repository that is asked has it, whoever named it first, of whatever size", () =>
    Effect.gen(function*() {
      for (const size of [undefined, () => 5]) {
        const { layer, path, pull, send } = yield* shared(size)
        for (const name of ["evil", "good"]) yield* pull(name)
        assert.strictEqual((yield* send("GET", path("evil"))).status, 404)
        const head = yield* send("HEAD", path("good"))
        assert.strictEqual(head.headers["content-length"], String(layer.bytes.length))
        assert.deepStrictEqual((yield* send("GET", path("good"))).bytes, layer.bytes)
      }
    }))

  it.effect("gives nothing that it keeps for one repository to another that only names it, or says that it has it", () =>
    Effect.gen(function*() {
      const zeros: Source["fetch"] = ({ size }, offset = 0) => Stream.succeed(new Uint8Array(size - offset))
      for (const lie of [undefined, zeros]) {
        const { cache, layer, path, pull, send } = yield* shared(undefined, lie)
        yield* pull("good")
        assert.deepStrictEqual((yield* send("GET", path("good"))).bytes, layer.bytes)
        assert.strictEqual((yield* send("GET", path("evil"))).status, 404)
        yield* pull("evil")
        for (const range of ["bytes=0-", "bytes=10-19"]) {
          const exit = yield* Effect.exit(send("GET", path("evil"), { headers: { range } }))
          assert.isTrue(Exit.isFailure(exit) || exit.value.status === (lie === undefined ? 404 : 502))
        }
        assert.isTrue(Option.isNone(yield* cache.blobSize("evil", layer.descriptor.digest)))
      }
    }))

  it.effect("fetches no blob for a second repository whose source shows that it has it", () =>
    Effect.gen(function*() {
      const { cache, layer, path, pull, read, send, upstreams } = yield* shared()
      yield* upstreams.evil.add(layer.descriptor.mediaType, layer.bytes)
      for (const name of ["good", "evil", "evil"]) {
        yield* pull(name)
        assert.deepStrictEqual((yield* send("GET", path(name))).bytes, layer.bytes)
      }
      assert.deepStrictEqual(read, { good: layer.bytes.length, evil: 64 * 1024 })
      assert.isTrue(Option.isSome(yield* cache.blobSize("evil", layer.descriptor.digest)))
    }))

  describe("A88: a lying upstream", () => {
    /** As a blob; or as a manifest, which it still is, and of a digest that it names, so that nothing but its own digest tells. */
    const wrong = (bytes: Uint8Array) => {
      const changed = bytes.slice()
      const named = Buffer.from(bytes).indexOf("sha256:")
      if (named === -1) changed[changed.length - 1]! ^= 1
      else changed[named + 7] = changed[named + 7] === 0x61 ? 0x62 : 0x61
      return changed
    }
    const lies: Record<
      string,
      (self: Stream.Stream<Uint8Array, ContentError>, d: Descriptor.Descriptor) => typeof self
    > = {
      "of the digest, found out by the source": (self, descriptor) =>
        Verify.stream(descriptor, { location: "up.test/a" })(Stream.map(self, wrong)),
      "of the digest, found out by nobody else": (self) => Stream.map(self, wrong),
      "that sends too little": (self, descriptor) =>
        Verify.stream(descriptor, { location: "up.test/a" })(Stream.map(self, (chunk) => chunk.subarray(1))),
      "that breaks off": (self) =>
        Stream.concat(Stream.take(self, 1), Stream.fail(failure(new Unavailable({ detail: "reset" }))))
    }
    for (const [name, lie] of Object.entries(lies)) {
      it.effect(`${name}: leaves nothing in the cache`, () =>
        Effect.gen(function*() {
          let lying = false
          const { cached, image, layer, send } = yield* proxied((source) => ({
            ...source,
            fetch: (descriptor) => lying ? lie(source.fetch(descriptor), descriptor) : source.fetch(descriptor)
          }))
          lying = true
          assert.strictEqual((yield* send("GET", "/v2/a/manifests/1")).status, 502)
          assert.isFalse(yield* cached(image.root))
          lying = false
          yield* send("GET", "/v2/a/manifests/1")
          lying = true
          // Where the status has been sent when it turns out, the body breaks off before its end.
          const exit = yield* Effect.exit(send(...get(layer.descriptor.digest)))
          assert.isTrue(Exit.isFailure(exit) || exit.value.status === 502)
          assert.isFalse(yield* cached(layer.descriptor))
          lying = false
          assert.deepStrictEqual((yield* send(...get(layer.descriptor.digest))).bytes, layer.bytes)
          assert.isTrue(yield* cached(layer.descriptor))
        }))
    }
  })

  describe("what the upstream has under a tag", () => {
    /** What a client gets of it, and whether it was kept. */
    const pulled = Effect.fnUntraced(function*(mediaType: string, text: string) {
      const { cached, send, upstream } = yield* proxied((source) => ({
        ...source,
        // As a registry, which has manifests in one place and blobs in another.
        fetch: (descriptor) =>
          MediaType.isDocument(descriptor.mediaType)
            ? source.fetch(descriptor)
            : Stream.fail(failure(new NotFound({ what: "the blob" })))
      }))
      const descriptor = yield* upstream.add(mediaType, encode(text))
      yield* upstream.tag(descriptor, Tag.parseUnsafe("other"))
      const { headers, status, text: got } = yield* send("GET", "/v2/a/manifests/other")
      const again = yield* send("GET", `/v2/a/manifests/${descriptor.digest}`)
      assert.strictEqual(again.status, status)
      return { status, got, type: headers["content-type"], isKept: yield* cached(descriptor) }
    })

    for (const type of ["text/html", "application/vnd.acme.thing", MediaType.dockerSchema1, "application/json"]) {
      it.effect(`is not kept nor given where it is a page: ${type}`, () =>
        Effect.gen(function*() {
          const { isKept, status } = yield* pulled(type, "<!doctype html><title>Log in</title>")
          assert.deepStrictEqual([status, isKept], [502, false])
        }))
    }

    for (const type of ["application/vnd.acme.thing", MediaType.dockerSchema1]) {
      it.effect(`is given as it is where nothing of it is read: ${type}`, () =>
        Effect.gen(function*() {
          const text = `{ "schemaVersion" : 1 }`
          assert.deepStrictEqual(yield* pulled(type, text), { status: 200, got: text, type, isKept: true })
        }))
    }
  })

  it.effect("says what is wrong with a blob that a manifest names, and begins no answer before it knows", () =>
    Effect.gen(function*() {
      for (
        const [reason, status, code] of [
          [new NotFound({ what: "the blob" }), 404, "BLOB_UNKNOWN"],
          [new Refused({ detail: "429" }), 502, "UNSUPPORTED"],
          [new Unavailable({ detail: "503" }), 502, "UNSUPPORTED"]
        ] as const
      ) {
        let isWrong = false
        const { layer, send } = yield* proxied((source) => ({
          ...source,
          fetch: (descriptor) => isWrong ? Stream.fail(failure(reason)) : source.fetch(descriptor)
        }))
        yield* send("GET", "/v2/a/manifests/1")
        isWrong = true
        const { digest } = layer.descriptor
        const all = yield* Effect.all([
          send(...get(digest)),
          send(...get(digest)),
          send(...get(digest), { headers: { range: "bytes=10-19" } })
        ], { concurrency: "unbounded" })
        for (const { codes, status: said } of all) assert.deepStrictEqual([said, codes], [status, [code]])
        isWrong = false
        assert.deepStrictEqual((yield* send(...get(digest))).bytes, layer.bytes)
      }
    }))

  it.effect("SRV-44: has its clients wait as long as the upstream asks it to", () =>
    Effect.gen(function*() {
      let isBusy = false
      const busy = new ContentError({
        operation: "read",
        location: "up.test/a",
        reason: new Unavailable({ detail: "429" }),
        cause: { retryAfter: Duration.millis(29_500) }
      })
      const { layer, send } = yield* proxied((source) => ({
        ...source,
        resolve: (identifier) => isBusy ? Effect.fail(busy) : source.resolve(identifier),
        fetch: (descriptor) => isBusy ? Stream.fail(busy) : source.fetch(descriptor)
      }))
      yield* send("GET", "/v2/a/manifests/1")
      isBusy = true
      for (const path of ["/v2/a/manifests/1", `/v2/a/blobs/${layer.descriptor.digest}`]) {
        const { codes, headers, status } = yield* send("GET", path)
        assert.deepStrictEqual([status, codes, headers["retry-after"]], [429, ["TOOMANYREQUESTS"], "30"])
      }
    }))

  it.effect("SRV-44: says at once where the upstream is waited for longer than a client is patient", () =>
    Effect.gen(function*() {
      const wait = { origin: "up.test", duration: Duration.seconds(9), isRateLimited: true, detail: "429" }
      let told: Budget.Wait = wait
      const { send } = yield* proxied((source) => ({
        ...source,
        resolve: (identifier) =>
          Budget.waiting(told).pipe(
            Effect.andThen(Effect.sleep(told.duration)),
            Effect.andThen(source.resolve(identifier))
          )
      }))
      const waited = yield* Effect.forkChild(send("GET", "/v2/a/manifests/1"))
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual((yield* Fiber.join(waited)).status, 200)
      told = { ...wait, duration: Duration.seconds(30) }
      const busy = yield* send("GET", "/v2/a/manifests/1")
      assert.deepStrictEqual([busy.status, busy.codes, busy.headers["retry-after"]], [429, ["TOOMANYREQUESTS"], "30"])
      told = { ...told, isRateLimited: false, detail: "connection refused" }
      const refused = yield* send("GET", "/v2/a/manifests/1")
      assert.deepStrictEqual([refused.status, refused.headers["retry-after"]], [502, undefined])
    }))

  it.effect("fetches a blob once, however many ask, wherever they begin", () =>
    Effect.gen(function*() {
      const { asked, layer, send } = yield* proxied()
      yield* send("GET", "/v2/a/manifests/1")
      const { digest } = layer.descriptor
      const replies = yield* Effect.all([
        send(...get(digest), { headers: { range: "bytes=10-19" } }),
        ...Array.from({ length: 20 }, () => send(...get(digest)))
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(replies[0]!.bytes, layer.bytes.subarray(10, 20))
      for (const { bytes } of replies.slice(1)) assert.deepStrictEqual(bytes, layer.bytes)
      assert.strictEqual(asked.filter((what) => what === digest).length, 1)
    }))

  /** In pieces of 1000 bytes. */
  const inPieces = (bytes: Stream.Stream<Uint8Array, ContentError>) =>
    Stream.flatMap(bytes, (chunk) =>
      Stream.fromIterable(
        Array.from({ length: Math.ceil(chunk.length / 1000) }, (_, i) => chunk.subarray(i * 1000, i * 1000 + 1000)),
        { chunkSize: 1 }
      ))

  it.effect("lets pieces through while the rest is on its way, and fetches to its end what a client gave up", () =>
    Effect.gen(function*() {
      const { cached, layer: { descriptor }, send, storage } = yield* proxied((source) => ({
        ...source,
        fetch: (descriptor) => Stream.tap(inPieces(source.fetch(descriptor)), () => Effect.sleep("1 second"))
      }), 10_000)
      const manifest = yield* Effect.forkChild(send("GET", "/v2/a/manifests/1"))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(manifest)
      let size = 0
      const client = yield* Effect.forkChild(
        Effect.flatMap(
          storage.readBlob("a", descriptor.digest, 0, descriptor.size),
          Stream.runForEach((chunk) => Effect.sync(() => size += chunk.length))
        )
      )
      yield* TestClock.adjust("3 seconds")
      // The last of them waits for the next.
      assert.strictEqual(size, 2000)
      yield* Fiber.interrupt(client)
      assert.isFalse(yield* cached(descriptor))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(yield* cached(descriptor))
      assert.strictEqual(size, 2000)
    }))

  it.effect("gives on what a source that lends a Node buffer has said, not what it says next", () =>
    Effect.gen(function*() {
      const buffer = Buffer.alloc(1000)
      const { layer, send } = yield* proxied((source) => ({
        ...source,
        fetch: (descriptor) =>
          Stream.map(inPieces(source.fetch(descriptor)), (chunk) => {
            chunk.forEach((byte, at) => buffer[at] = byte)
            return buffer.subarray(0, chunk.length)
          })
      }), 20_000)
      yield* send("GET", "/v2/a/manifests/1")
      assert.deepStrictEqual((yield* send(...get(layer.descriptor.digest))).bytes, layer.bytes)
    }))

  /** What a list is while its source is as each of these, and what its client hears. */
  const unlisted: ReadonlyArray<
    readonly [Stream.Stream<never, ContentError>, status: number, retryAfter: string | undefined]
  > = [
    [Stream.fail(failure(new Unavailable({ detail: "down" }))), 502, undefined],
    [Stream.fail(failure(new Refused({ detail: "403" }))), 502, undefined],
    [Stream.fail(failure(new Unsupported({ detail: "405" }))), 502, undefined],
    [
      Stream.fail(
        new ContentError({
          operation: "list",
          location: "up.test/a",
          reason: new Unavailable({ detail: "429" }),
          cause: { retryAfter: Duration.seconds(7) }
        })
      ),
      429,
      "7"
    ],
    [
      Stream.fromEffect(
        Effect.andThen(
          Budget.waiting({ origin: "up.test", duration: Duration.seconds(60), isRateLimited: true, detail: "429" }),
          Effect.never
        )
      ),
      429,
      "60"
    ],
    [Stream.never, 502, undefined]
  ]

  it.effect("lists the tags that the source has, asked once for all pages, and none where that cannot say", () =>
    Effect.gen(function*() {
      let lists = 0
      let answer: Stream.Stream<string, ContentError> = Stream.make("b", "1", "a", "Z")
      const { send } = yield* proxied((source) => source, 100, Stream.suspend(() => (lists++, answer)))
      const list = (query = "", repository = "a") =>
        Effect.map(
          send("GET", `/v2/${repository}/tags/list${query}`),
          ({ status, text }) => status === 200 ? JSON.parse(text).tags : status
        )
      assert.deepStrictEqual(yield* list("?n=3"), ["1", "Z", "a"])
      assert.deepStrictEqual(yield* list("?n=3&last=a"), ["b"])
      assert.strictEqual(lists, 1)
      assert.strictEqual(yield* list("", "other"), 404)

      yield* TestClock.adjust("5 seconds")
      answer = Stream.make("a")
      assert.deepStrictEqual(yield* list(), ["a"])

      yield* send("GET", "/v2/a/manifests/1")
      for (const [failed, status, retryAfter] of unlisted) {
        yield* TestClock.adjust("5 seconds")
        for (const whole of [failed, Stream.concat(Stream.make("a"), failed)]) {
          answer = whole
          const waiting = yield* Effect.forkChild(send("GET", "/v2/a/tags/list"), { startImmediately: true })
          yield* TestClock.adjust("10 seconds")
          const { headers, status: said } = yield* Fiber.join(waiting)
          assert.deepStrictEqual([said, headers["retry-after"]], [status, retryAfter])
        }
        answer = Stream.make("back")
        assert.deepStrictEqual(yield* list(), ["back"])
      }

      yield* TestClock.adjust("5 seconds")
      answer = Stream.fail(failure(new NotFound({ what: "a" })))
      assert.strictEqual(yield* list(), 404)
    }))

  it.effect("lists what it has pulled of tags that cannot be listed where they come from", () =>
    Effect.gen(function*() {
      const { send } = yield* proxied()
      assert.strictEqual((yield* send("GET", "/v2/a/tags/list")).status, 404)
      yield* send("GET", "/v2/a/manifests/1")
      assert.deepStrictEqual(JSON.parse((yield* send("GET", "/v2/a/tags/list")).text).tags, ["1"])
    }))

  describe("referrers", () => {
    const referrer = (subject: Descriptor.Descriptor, artifactType: string) =>
      encode(JSON.stringify({
        schemaVersion: 2,
        mediaType: MediaType.ociManifest,
        artifactType,
        config: { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf("{}"), size: 2 },
        layers: [],
        subject
      }))

    const listOf = ({ text }: { readonly text: string }): ReadonlyArray<Descriptor.Descriptor> =>
      JSON.parse(text).manifests

    /** An image with two referrers upstream, none of them pulled, and how often they were listed. */
    const signed = Effect.fnUntraced(function*(change: (source: Source) => Source = (source) => source) {
      let lists = 0
      const made = yield* proxied((source) => {
        const { referrers, ...changed } = change(source)
        return referrers === undefined
          ? changed
          : { ...changed, referrers: (subject) => Stream.suspend(() => (lists++, referrers(subject))) }
      })
      const { root } = made.image
      const path = `/v2/a/referrers/${root.digest}`
      const digests = yield* Effect.forEach(
        ["a/b", "c/d"],
        (type) => Effect.map(made.upstream.add(MediaType.ociManifest, referrer(root, type)), ({ digest }) => digest)
      )
      return { ...made, path, digests: digests.sort(), lists: () => lists }
    })

    it.effect("are the source's, asked once for all pages, whatever was pulled", () =>
      Effect.gen(function*() {
        const { digests, lists, path, send } = yield* signed()
        const first = yield* send("GET", `${path}?n=1`)
        assert.deepStrictEqual(listOf(first).map(({ digest }) => digest), [digests[0]])
        const next = /<(.*)>/.exec(first.headers["link"]!)![1]!
        assert.deepStrictEqual(listOf(yield* send("GET", next)).map(({ digest }) => digest), [digests[1]])
        const filtered = listOf(yield* send("GET", `${path}?artifactType=${encodeURIComponent("c/d")}`))
        assert.deepStrictEqual(filtered.map(({ artifactType }) => artifactType), ["c/d"])
        assert.strictEqual(lists(), 1)
        assert.deepStrictEqual(listOf(yield* send("GET", `/v2/a/referrers/${digestOf("none")}`)), [])
        assert.deepStrictEqual(listOf(yield* send("GET", path.replace("/a/", "/b/"))), [])
        assert.strictEqual(lists(), 2)
        yield* send("GET", `/v2/a/manifests/${digests[1]}`)
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(listOf(yield* send("GET", path)).map(({ digest }) => digest), digests)
        assert.strictEqual(lists(), 3)
      }))

    it.effect("are not those of a tag as well, which is read by a source that needs it", () =>
      Effect.gen(function*() {
        const { asked, digests, image, path, send, upstream } = yield* signed()
        const old = { mediaType: MediaType.ociManifest, digest: digestOf("old"), size: 3 }
        const list = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: [old] }
        const index = yield* upstream.add(MediaType.ociIndex, encode(JSON.stringify(list)))
        yield* upstream.tag(index, Tag.parseUnsafe(image.root.digest.replace(":", "-")))
        assert.deepStrictEqual(listOf(yield* send("GET", path)).map(({ digest }) => digest), digests)
        assert.deepStrictEqual(asked, [])
      }))

    it.effect("are none that a source does not tell of", () =>
      Effect.gen(function*() {
        let failed: Stream.Stream<never, ContentError> | undefined
        const { digests, path, send } = yield* signed((source) => ({
          ...source,
          referrers: (subject) => failed ?? source.referrers!(subject)
        }))
        for (const digest of digests) yield* send("GET", `/v2/a/manifests/${digest}`)
        for (const [one, status, retryAfter] of unlisted) {
          failed = one
          const waiting = yield* Effect.forkChild(send("GET", path), { startImmediately: true })
          yield* TestClock.adjust("10 seconds")
          const { headers, status: said } = yield* Fiber.join(waiting)
          assert.deepStrictEqual([said, headers["retry-after"]], [status, retryAfter])
        }
        failed = undefined
        assert.strictEqual(listOf(yield* send("GET", path)).length, 2)
      }))

    it.effect("are none of a source that has no way to list them, nor of one that has more than can be kept", () =>
      Effect.gen(function*() {
        const { referrers: _, ...silent } = MemoryStore.make("up.test/a")
        const large = { mediaType: "a/b", digest: digestOf("x"), size: 1, annotations: { a: "x".repeat(1_000_000) } }
        for (const source of [silent, { ...silent, referrers: () => Stream.forever(Stream.make(large)) }]) {
          const { path, send } = yield* signed(() => source)
          assert.strictEqual((yield* send("GET", path)).status, 502)
        }
      }))
  })

  it.effect("puts a manifest on the condition that holds at the source, and of its own where there is none", () =>
    Effect.gen(function*() {
      const { image, storage } = yield* proxied()
      const bytes = new TextEncoder().encode("{}")
      const stored = { digest: digestOf(bytes), mediaType: "application/json", bytes }
      const put = (repository: string, tag: string, holds: Condition["holds"]) => {
        const identifier = Tag.parseUnsafe(tag)
        const condition = { identifier, holds }
        return storage.putManifest(repository, stored, { tags: [identifier], subject: Option.none(), condition })
      }
      assert.isFalse(yield* put("a", "1", Option.isNone))
      assert.isTrue(yield* put("a", "1", Option.contains(image.root.digest)))
      assert.isTrue(yield* put("a", "2", Option.isNone))
      assert.isTrue(yield* put("b", "1", Option.isNone))
      assert.isFalse(yield* put("b", "1", Option.isNone))
      assert.isTrue(yield* put("b", "1", Option.contains(stored.digest)))
    }))

  it.effect("waits for no client, and keeps nothing from a slow one", () =>
    Effect.gen(function*() {
      const { cached, layer, send, storage } = yield* proxied((source) => ({
        ...source,
        fetch: (descriptor) => inPieces(source.fetch(descriptor))
      }), 200_000)
      yield* send("GET", "/v2/a/manifests/1")
      const { digest, size } = layer.descriptor
      const chunks: Array<Uint8Array> = []
      const client = yield* Effect.forkChild(
        Effect.flatMap(storage.readBlob("a", digest, 0, size), (bytes) =>
          Stream.runForEach(Stream.rechunk(bytes, 1), (chunk) =>
            Effect.as(Effect.sleep("1 minute"), chunks.push(chunk))))
      )
      // It takes its turns, but no time: the client has not had a minute yet.
      while (!(yield* cached(layer.descriptor))) {
        yield* Effect.yieldNow
      }
      assert.isBelow(chunks.length, 3)
      yield* TestClock.adjust("10 hours")
      yield* Fiber.join(client)
      assert.isAbove(chunks.length, 3)
      assert.deepStrictEqual(new Uint8Array(Buffer.concat(chunks)), layer.bytes)
    }))
})
