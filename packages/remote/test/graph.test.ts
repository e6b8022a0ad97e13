import * as Keychain from "@effect-oci/authn/Keychain"
import * as Budget from "@effect-oci/content/Budget"
import { ContentError } from "@effect-oci/content/ContentError"
import * as Copy from "@effect-oci/content/Copy"
import * as CopyError from "@effect-oci/content/CopyError"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as WriteGraph from "@effect-oci/content/WriteGraph"
import * as Tag from "@effect-oci/name/Tag"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import * as Remote from "../src/Remote.ts"
import * as Content from "./image.ts"

const hosts = ["a.test", "b.test"]
/** Two repositories of one registry, and one of another. */
const repositories = ["a.test/one", "a.test/two", "b.test/one"]
const v1 = Tag.parseUnsafe("v1")

/** Refuses the manifest of this name, as long as there is one. */
const refusing: { name: string | undefined } = { name: undefined }

const refusals = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(
    HttpClient.HttpClient,
    (client) =>
      HttpClient.transform(
        client,
        (response, request) =>
          request.method === "PUT" && refusing.name !== undefined && request.url.endsWith(`/manifests/${refusing.name}`)
            ? Effect.succeed(HttpClientResponse.fromWeb(request, new Response("", { status: 403 })))
            : response
      )
  )
)

const layer = Remote.layer.pipe(
  Layer.provideMerge(Transport.layer),
  Layer.provide(refusals),
  Layer.provideMerge(FakeRegistry.layer({ hosts })),
  Layer.provide(Keychain.layerMemory([]))
)

const some = <A>(all: ReadonlyArray<A>) =>
  Effect.map(
    Effect.forEach(all, (one) => Effect.map(Random.nextBoolean, (yes) => yes ? [one] : [])),
    (lists) => lists.flat()
  )

/** Indexes of indexes and images that share parts, one of them about another. */
const randomGraph = Effect.gen(function*() {
  const store = MemoryStore.make("source")
  const document = (mediaType: string, value: Record<string, unknown>) =>
    store.add(mediaType, Content.json({ schemaVersion: 2, mediaType, ...value }))
  const blobs: Array<Descriptor.Descriptor> = []
  const size = Effect.map(Random.next, (random) => 1 + Math.floor(random ** 2 * 3))
  const sizes = [yield* size, yield* size] as const
  for (let i = 0; i < sizes[0]; i++) blobs.push(yield* store.add(MediaType.ociLayer, Content.json(["blob", i])))
  const manifests: Array<Descriptor.Descriptor> = []
  for (let i = 0; i < sizes[1]; i++) {
    const config = yield* store.add(MediaType.ociConfig, Content.json({ config: i % 2 }))
    const subject = i > 0 && (yield* Random.nextBoolean) ? { subject: Descriptor.toJson(manifests[0]!) } : {}
    manifests.push(yield* document(MediaType.ociManifest, { config, layers: yield* some(blobs), ...subject }))
  }
  const inner = yield* document(MediaType.ociIndex, { manifests: (yield* some(manifests)).map(Descriptor.toJson) })
  const members = [...(yield* some(manifests.slice(0, 1))), inner, ...(yield* some(blobs.slice(0, 1)))]
  return { store, root: yield* document(MediaType.ociIndex, { manifests: members.map(Descriptor.toJson) }) }
})

/** Faults that pass. */
const randomFaults = Effect.gen(function*() {
  const faults: Array<Fault.Fault> = []
  const kinds = [
    Fault.status(503),
    Fault.status(500, { late: true }),
    Fault.rateLimit(1),
    Fault.reset(),
    Fault.lostReply,
    Fault.latency("3 seconds")
  ]
  const places = [["HEAD", ""], ["POST", "/uploads/"], ["PUT", "/uploads/"], ["PUT", "/manifests/"]] as const
  for (let i = yield* Random.nextIntBetween(0, 2); i > 0; i--) {
    const kind = kinds[yield* Random.nextIntBetween(0, kinds.length - 1)]!
    const [method, path] = places[yield* Random.nextIntBetween(0, places.length - 1)]!
    faults.push(kind.on(method, path).skip(yield* Random.nextIntBetween(0, 12)))
  }
  return faults
})

/** Runs what waits, as fast as it will go. */
const drive = Effect.fnUntraced(function*<A, E, R>(self: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkChild(Effect.exit(self))
  for (let i = 0; i < 2000 && fiber.pollUnsafe() === undefined; i++) {
    yield* Effect.promise(() => new Promise((resume) => setImmediate(resume)))
    if (i % 4 === 3) yield* TestClock.adjust("1 second")
  }
  assert.isDefined(fiber.pollUnsafe(), "still waiting")
  return yield* Fiber.join(fiber)
})

const isManifestPut = ({ method, path }: FakeRegistry.Made) => method === "PUT" && path.includes("/manifests/")
const isWrite = ({ method, query, status }: FakeRegistry.Made) =>
  status === 201 && (method === "PUT" || query.includes("mount="))

describe("WriteGraph over registries", () => {
  it.effect(
    "keeps the order for random graphs, targets, faults and delays; a second run sends only what is missing",
    () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const remote = yield* Remote.Remote
        let failures = 0
        for (let seed = 0; seed < 1000; seed++) {
          yield* Effect.gen(function*() {
            yield* fake.reset
            const { root, store } = yield* randomGraph
            const targets = yield* Effect.forEach(
              repositories.slice(0, 1 + Math.floor((yield* Random.next) ** 3 * 3)),
              (repository) => remote.store(repository)
            )
            const all = MemoryStore.make("all")
            yield* Copy.copy(store, all, root)
            const documents = [...all.contents].filter(([, { mediaType }]) => MediaType.isDocument(mediaType))
            const doomed = (yield* Random.next) < 0.3
              ? [...documents.map(([digest]) => digest), "v1"][yield* Random.nextIntBetween(0, documents.length)]
              : undefined
            refusing.name = doomed
            yield* fake.inject(...(yield* randomFaults))
            const options = {
              concurrency: yield* Random.nextIntBetween(1, 8),
              onFailure: (yield* Random.nextBoolean) ? "stop" : "finish"
            } as const
            const run = WriteGraph.run(
              targets.flatMap((target) => WriteGraph.to(target, Copy.roots(store, root, { tags: [v1] }))),
              options
            )
            const first = yield* drive(run)
            const before = yield* fake.requests

            // The registry refuses a manifest, or a tag, before what it names: it never had to.
            const refused = before.filter((made) => isManifestPut(made) && (made.status === 400 || made.status === 404))
            assert.deepStrictEqual(refused, [], `seed ${seed}`)
            for (const { location } of targets) {
              const [host, name] = location.split("/")
              const puts = before.filter((made) =>
                isManifestPut(made) && made.host === host && made.path.startsWith(`/v2/${name}/`) && made.status === 201
              ).map(({ path }) => path.slice(path.lastIndexOf("/") + 1))
              if (puts.includes("v1")) assert.isBelow(puts.indexOf(root.digest), puts.indexOf("v1"), `seed ${seed}`)
            }

            if (doomed === undefined) assert.isTrue(Exit.isSuccess(first), `seed ${seed}: ${String(first)}`)
            else {
              failures++
              const error = yield* Effect.flip(first)
              assert.instanceOf(error, CopyError.CopyError)
              assert.instanceOf(error.reason, ContentError)
              for (const { location } of targets) assert.deepStrictEqual(yield* fake.tags(location), [], `seed ${seed}`)
            }

            // What is there already, at each target; the rest is all that a second run may send.
            const missing = (yield* Effect.forEach(targets, ({ location }) =>
              Effect.gen(function*() {
                const blobs = new Set<string>(yield* fake.blobs(location))
                const absent: Array<string> = []
                for (const [digest, { mediaType }] of all.contents) {
                  const has = MediaType.isDocument(mediaType)
                    ? (yield* fake.manifest(`${location}@${digest}`))._tag === "Some"
                    : blobs.has(digest)
                  if (!has) absent.push(digest)
                }
                return absent.length + ((yield* fake.tags(location)).length === 0 ? 1 : 0)
              }))).reduce((sum, count) => sum + count, 0)
            refusing.name = undefined
            const second = yield* drive(run)
            assert.isTrue(Exit.isSuccess(second), `seed ${seed}: ${String(second)}`)
            const sent = (yield* fake.requests).slice(before.length).filter(isWrite)
            // Faults that were not struck yet may lose a reply, so that what was sent was sent all the same.
            assert.isAtMost(sent.length, missing, `seed ${seed}`)
            for (const { location } of targets) {
              assert.deepStrictEqual(yield* fake.tags(location), ["v1"])
              const blobs = yield* fake.blobs(location)
              for (const [digest, { mediaType }] of all.contents) {
                if (!MediaType.isDocument(mediaType)) assert.include(blobs, digest, `seed ${seed}`)
              }
            }
          }).pipe(Random.withSeed(seed))
        }
        assert.isAbove(failures, 200)
      }).pipe(Effect.provide(layer)),
    240_000
  )

  const image = Effect.gen(function*() {
    const store = MemoryStore.make("source")
    const layers = Array.from({ length: 6 }, (_, i) => Content.bytes(20_000, i))
    return { store, root: yield* Content.image(store, { layers }) }
  })
  const storeOf = (repository: string) => Effect.flatMap(Remote.Remote, (remote) => remote.store(repository))
  const made = Effect.flatMap(FakeRegistry.FakeRegistry, (fake) => fake.requests)

  it.effect("sends a blob once to a registry, and mounts it into its other repositories", () =>
    Effect.gen(function*() {
      const { root, store } = yield* image
      const targets = yield* Effect.forEach(repositories, storeOf)
      const nodes = Copy.roots(store, root, { tags: [v1] })
      const plan = yield* WriteGraph.plan(targets.flatMap((target) => WriteGraph.to(target, nodes)))
      assert.strictEqual(WriteGraph.summary(plan).mount, 7)
      const before = (yield* made).length
      const report = yield* WriteGraph.run(plan)
      assert.strictEqual(report.mounted, 7)
      const requests = (yield* made).slice(before)
      const mounts = requests.filter(({ query, status }) => query.includes("mount=") && status === 201)
      assert.deepStrictEqual(new Set(mounts.map(({ path }) => path)), new Set(["/v2/two/blobs/uploads/"]))
      // What the plan found missing is not asked for again.
      assert.deepStrictEqual(requests.filter(({ method }) => method === "HEAD"), [])
    }).pipe(Effect.provide(layer)))

  it.effect("asks less of a registry that says it is too much, and more again as it takes it", () =>
    Effect.gen(function*() {
      const { root, store } = yield* image
      const fake = yield* FakeRegistry.FakeRegistry
      yield* fake.inject(Fault.rateLimit(2).on("POST", "/uploads/").times(3))
      const budget = Budget.make({ concurrency: 8 })
      const limits: Array<number> = []
      const waits: Array<string> = []
      const exit = yield* drive(WriteGraph.run(
        WriteGraph.to(yield* storeOf("a.test/one"), Copy.roots(store, root, { tags: [v1] })),
        {
          budget,
          onEvent: (event) => {
            if (event._tag === "Waiting" && event.isRateLimited) {
              waits.push(event.origin)
              limits.push(budget.limit("a.test"))
            }
          }
        }
      ))
      assert.isTrue(Exit.isSuccess(exit), String(exit))
      assert.deepStrictEqual(waits, ["a.test", "a.test", "a.test"])
      // Each is told before its own is taken off.
      assert.isAtMost(limits[2]!, 4)
      assert.isAbove(budget.limit("a.test"), limits[2]!)
    }).pipe(Effect.provide(layer)))

  it.effect("sends what a registry says to have in another size, and fails for it if asked to verify", () =>
    Effect.gen(function*() {
      const fake = yield* FakeRegistry.FakeRegistry
      // Says yes to all, with a body of its own.
      yield* fake.inject(Fault.status(200).on("HEAD", "/blobs/").always())
      const { root, store } = yield* image
      const copy = (repository: string, verify: boolean) =>
        Effect.flatMap(storeOf(repository), (target) => drive(Copy.copy(store, target, root, { tags: [v1], verify })))
      assert.isTrue(Exit.isSuccess(yield* copy("a.test/one", false)))
      assert.strictEqual((yield* fake.blobs("a.test/one")).length, 7)
      const error = yield* Effect.flip(yield* copy("b.test/one", true))
      assert.include(error.message, "is not there, though")
      assert.deepStrictEqual(yield* fake.tags("b.test/one"), [])
    }).pipe(Effect.provide(layer)))

  it.effect("does not take a blob of another size for the one that is meant", () =>
    Effect.gen(function*() {
      const { root, store } = yield* image
      const target = yield* storeOf("a.test/one")
      yield* Copy.copy(store, target, root)
      const fake = yield* FakeRegistry.FakeRegistry
      const [digest] = yield* fake.blobs("a.test/one")
      const descriptor = Descriptor.make({ mediaType: MediaType.ociLayer, digest: digest!, size: 1 })
      assert.isFalse(yield* target.exists(descriptor))
      assert.isFalse(yield* target.exists({ ...root, size: 1 }))
      assert.isTrue(yield* target.exists(root))
    }).pipe(Effect.provide(layer)))
})
