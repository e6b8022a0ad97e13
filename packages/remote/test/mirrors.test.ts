import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as Repository from "@effect-oci/name/Repository"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as Mirror from "@effect-oci/transport/Mirror"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Remote from "../src/Remote.ts"
import * as RemoteStore from "../src/RemoteStore.ts"
import * as Uploads from "../src/Uploads.ts"
import * as Content from "./image.ts"
import * as Registries from "./registries.ts"

const user = Credential.basic("ann", "s3cret")
const auth = { scheme: "bearer", users: { ann: "s3cret" } } as const
const from = "registry.test/acme/app:1"
const to = "target.test/app:1"

const program = (rules: ReadonlyArray<Mirror.Rule>) =>
  Remote.layer.pipe(
    Layer.provideMerge(Transport.layer),
    Layer.provideMerge(FakeRegistry.layer({
      hosts: [
        { name: "registry.test", auth },
        "one.test",
        "two.test",
        // Waits longer for a body than anybody waits for a mirror.
        { name: "target.test", settings: { patience: "5 minutes" } }
      ]
    })),
    Layer.provide(Mirror.layer(rules)),
    Layer.provide(Keychain.layerMemory([["registry.test", user]]))
  )

const one = { of: "registry.test", at: "one.test/cache" }
const two = { of: "registry.test", at: "two.test" }

/** The registry has it all, and each mirror. */
const seeded = Effect.gen(function*() {
  const remote = yield* Remote.Remote
  const { descriptor, store } = yield* Content.platforms
  for (const at of [from, "one.test/cache/acme/app:1", "two.test/acme/app:1"]) {
    yield* remote.copy({ store, descriptor }, at)
  }
  return descriptor
})

/** Copies from the registry, with faults if there are any; gives what was asked of others than the target. */
const copied = Effect.fnUntraced(function*(...faults: ReadonlyArray<Fault.Fault>) {
  const descriptor = yield* seeded
  const remote = yield* Remote.Remote
  const fake = yield* FakeRegistry.FakeRegistry
  yield* fake.inject(...faults)
  const before = (yield* fake.requests).length
  const copied = yield* Registries.patiently(remote.copy(from, to))
  assert.strictEqual(copied.descriptor.digest, descriptor.digest)
  const made = (yield* fake.requests).slice(before).filter(({ host }) => host !== "target.test")
  return { made, hosts: [...new Set(made.map(({ host }) => host))] }
})

describe("mirrors", { timeout: 60_000 }, () => {
  it.effect("A25 are read from instead of the registry, which hears nothing, nor they of its credentials", () =>
    Effect.gen(function*() {
      const { hosts, made } = yield* copied()
      assert.deepStrictEqual(hosts, ["one.test"])
      assert.isTrue(made.every(({ headers, query }) => headers["authorization"] === undefined && query === ""))
    }).pipe(Effect.provide(program([one, two]))))

  it.effect("are not asked what the registry has got of an upload", () =>
    Effect.gen(function*() {
      const fake = yield* FakeRegistry.FakeRegistry
      const bytes = Content.bytes(100, 1)
      const descriptor = yield* MemoryStore.make().add("application/octet-stream", bytes)
      yield* fake.seed("one.test/cache/acme/app", {
        root: descriptor,
        blobs: [{ descriptor, bytes }],
        manifests: []
      })
      const repository = Repository.parseUnsafe("registry.test/acme/app")
      yield* fake.inject(Fault.status(503).on("POST", "/uploads/"))
      const push = Uploads.push(repository, descriptor, (offset) => Stream.succeed(bytes.subarray(offset)))
      assert.strictEqual(yield* Registries.patiently(push), "sent")
      assert.deepStrictEqual(yield* fake.blobs("registry.test/acme/app"), [descriptor.digest])
      // Nor what is there, before anything is sent.
      const store = yield* RemoteStore.make(Repository.parseUnsafe("registry.test/acme/app"))
      const cached = yield* MemoryStore.make().add("application/octet-stream", Content.bytes(100, 2))
      yield* fake.seed("one.test/cache/acme/app", {
        root: cached,
        blobs: [{ descriptor: cached, bytes: Content.bytes(100, 2) }],
        manifests: []
      })
      assert.deepStrictEqual([yield* store.exists(descriptor), yield* store.exists(cached)], [true, false])
    }).pipe(Effect.provide(program([one]))))

  it.effect("A25 have credentials of their own", () =>
    Effect.gen(function*() {
      const remote = yield* Remote.Remote
      const fake = yield* FakeRegistry.FakeRegistry
      yield* fake.seed("mirror.test/acme/app:1", FakeImage.image())
      yield* remote.head(from)
      const made = yield* fake.requests
      assert.deepStrictEqual([...new Set(made.map(({ host }) => host))], ["mirror.test"])
      assert.strictEqual(made.at(-1)!.status, 200)
    }).pipe(Effect.provide(
      Remote.layer.pipe(
        Layer.provide(Transport.layer),
        Layer.provideMerge(FakeRegistry.layer({
          hosts: [
            { name: "registry.test", auth },
            { name: "mirror.test", auth: { scheme: "basic", users: { bob: "other" } } }
          ]
        })),
        Layer.provide(Mirror.layer([{ of: "registry.test", at: "mirror.test" }])),
        Layer.provide(
          Keychain.layerMemory([["registry.test", user], ["mirror.test", Credential.basic("bob", "other")]])
        )
      )
    )))

  it.effect("are asked with ns= where they are proxies, and only there", () =>
    Effect.gen(function*() {
      const { made } = yield* copied()
      assert.isTrue(
        made.every(({ host, path, query }) => host !== "one.test" || path === "/v2/" || query === "?ns=registry.test")
      )
    }).pipe(Effect.provide(program([{ ...one, isProxy: true }]))))

  it.effect("are asked in turn for what they have not, then the registry", () =>
    Effect.gen(function*() {
      const fake = yield* FakeRegistry.FakeRegistry
      const { hosts } = yield* copied(Fault.status(404).on("*", "/acme/").at("one.test").always())
      assert.deepStrictEqual(hosts, ["one.test", "two.test"])
      yield* fake.inject(Fault.status(404).on("*", "/acme/").at("two.test").always())
      const remote = yield* Remote.Remote
      assert.isDefined(yield* remote.head(from))
    }).pipe(Effect.provide(program([one, two]))))

  const faults: ReadonlyArray<readonly [string, Fault.Fault]> = [
    ["fails", Fault.status(503).on("*", "/").always()],
    ["limits", Fault.rateLimit(30).on("*", "/").always()],
    ["is cut off", Fault.truncate(100).on("GET", "/blobs/").always()],
    ["stalls", Fault.stall(100).on("GET", "/blobs/").always()],
    ["gives wrong blobs", Fault.corrupt(10).on("GET", "/blobs/").always()],
    ["gives wrong manifests", Fault.corrupt(10).on("GET", "/manifests/sha256:").always()],
    ["refuses", Fault.status(403).on("*", "/acme/").always()],
    [
      "asks who is there",
      Fault.status(401, { headers: { "www-authenticate": "Basic realm=\"x\"" } }).on("*", "/").always()
    ]
  ]

  it.effect.each(faults)("are left alone where one %s", ([, fault]) =>
    Effect.gen(function*() {
      const { hosts, made } = yield* copied(fault.at("one.test"))
      assert.include(hosts, "registry.test")
      // The registry hears who asks, and nobody else.
      assert.isTrue(
        made.every(({ headers, host }) => host === "registry.test" || headers["authorization"] === undefined)
      )
    }).pipe(Effect.provide(program([one]))))

  it.effect("B33 are followed by the registry where one broke off, from there on", () =>
    Effect.gen(function*() {
      const { made } = yield* copied(Fault.truncate(50_000).on("GET", "/blobs/").skip(1).at("one.test").always())
      const ranges = made.filter(({ host }) => host === "registry.test").flatMap(({ headers }) =>
        headers["range"] ?? []
      )
      assert.isTrue(ranges.some((range) => /^bytes=50000-99999$/.test(range)), ranges.join())
    }).pipe(Effect.provide(program([one]))))

  it.effect("are asked again after a while", () =>
    Effect.gen(function*() {
      yield* seeded
      const fake = yield* FakeRegistry.FakeRegistry
      const remote = yield* Remote.Remote
      const asked = Effect.gen(function*() {
        const before = (yield* fake.requests).length
        yield* remote.head(from)
        return (yield* fake.requests).slice(before).some(({ host }) => host === "one.test")
      })
      yield* fake.inject(Fault.status(500).on("HEAD", "/").at("one.test"))
      assert.isTrue(yield* asked)
      assert.isFalse(yield* asked)
      yield* TestClock.adjust("5 minutes")
      assert.isTrue(yield* asked)
    }).pipe(Effect.provide(program([one]))))

  it.effect("are asked for what is named by digest only, where that is so", () =>
    Effect.gen(function*() {
      const { made } = yield* copied()
      const by = (host: string) => made.filter((one) => one.host === host).map(({ path }) => path.split("/").at(-1)!)
      assert.isTrue(by("one.test").every((name) => name === "" || name.startsWith("sha256:")))
      assert.deepStrictEqual(by("registry.test").filter((name) => name !== "token" && name !== ""), ["1"])
    }).pipe(Effect.provide(program([{ ...one, only: "digest" }]))))

  it.effect("are never written to, nor listed", () =>
    Effect.gen(function*() {
      const { digest } = yield* seeded
      const fake = yield* FakeRegistry.FakeRegistry
      const remote = yield* Remote.Remote
      const before = (yield* fake.requests).length
      yield* remote.tag(from, "2")
      yield* remote.delete(`registry.test/acme/app@${digest}`)
      yield* Stream.runDrain(remote.list("registry.test/acme/app"))
      const made = (yield* fake.requests).slice(before).filter(({ host }) => host !== "registry.test")
      assert.isTrue(made.every(({ method, path }) => method === "GET" && !path.endsWith("/tags/list")))
    }).pipe(Effect.provide(program([one]))))

  it.effect("do not wait for a mirror that cannot be reached", () =>
    Effect.gen(function*() {
      const waits: Array<unknown> = []
      const { hosts } = yield* copied().pipe(
        Effect.provideService(RetryPolicy.OnWait, (wait) => Effect.sync(() => void waits.push(wait)))
      )
      assert.deepStrictEqual(hosts, ["registry.test"])
      assert.strictEqual(waits.length, 0)
    }).pipe(Effect.provide(program([{ of: "registry.test", at: "nowhere.test" }]))))

  describe("what stands in the place of a registry", () => {
    const moved = { of: "registry.test", at: "one.test/cache", isInstead: true }

    it.effect("is asked for all that is read, after the mirrors, and the registry for nothing", () =>
      Effect.gen(function*() {
        const { hosts } = yield* copied(Fault.status(503).on("*", "/acme/").at("two.test").always())
        assert.deepStrictEqual(hosts, ["two.test", "one.test"])
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        for (const tag of ["2", "3", "4"]) yield* remote.tag(`one.test/cache/acme/app:1`, tag)
        const before = (yield* fake.requests).length
        const tags = yield* Stream.runCollect(remote.list("registry.test/acme/app", { pageSize: 2 }))
        assert.deepStrictEqual(tags, ["1", "2", "3", "4"])
        yield* Stream.runDrain(remote.referrers(from))
        const made = (yield* fake.requests).slice(before)
        assert.deepStrictEqual([...new Set(made.map(({ host }) => host))], ["one.test"])
        assert.isTrue(made.every(({ headers }) => headers["authorization"] === undefined))
      }).pipe(Effect.provide(program([two, moved]))))

    it.effect("is waited for as the registry is, and fails as it does", () =>
      Effect.gen(function*() {
        yield* copied(Fault.status(503).on("GET", "/blobs/").at("one.test").times(3))
        const remote = yield* Remote.Remote
        const error = yield* Effect.flip(remote.get("registry.test/acme/app:none"))
        assert.strictEqual(error._tag === "ContentError" && error.reason._tag, "NotFound")
        assert.include(String(error.cause), "https://one.test/v2/cache/acme/app/manifests/none")
      }).pipe(Effect.provide(program([moved]))))

    it.effect("is not written to", () =>
      Effect.gen(function*() {
        yield* seeded
        const remote = yield* Remote.Remote
        const fake = yield* FakeRegistry.FakeRegistry
        const before = (yield* fake.requests).length
        yield* Registries.patiently(remote.copy("two.test/acme/app:1", "registry.test/other/app:1"))
        const written = (yield* fake.requests).slice(before).filter(({ method }) => !["GET", "HEAD"].includes(method))
        assert.deepStrictEqual([...new Set(written.map(({ host }) => host))], ["registry.test"])
        assert.deepStrictEqual(yield* fake.tags("registry.test/other/app"), ["1"])
      }).pipe(Effect.provide(program([moved]))))

    it.effect("may be blocked itself", () =>
      Effect.gen(function*() {
        const remote = yield* Remote.Remote
        const error = yield* Effect.flip(remote.head(from))
        assert.include(error.message, "one.test/cache/acme/app is blocked by the test")
      }).pipe(Effect.provide(program([moved, { of: "one.test/cache", blocked: "the test" }]))))
  })

  it.effect("of what is blocked are not asked either, nor is anybody for anything", () =>
    Effect.gen(function*() {
      const remote = yield* Remote.Remote
      const fake = yield* FakeRegistry.FakeRegistry
      yield* fake.seed("two.test/app:1", FakeImage.image())
      const failures = [
        yield* Effect.flip(remote.head("registry.test/evil/app:1")),
        yield* Effect.flip(remote.copy("two.test/app:1", "registry.test/evil/app:1")),
        yield* Effect.flip(Stream.runDrain(remote.list("registry.test/evil/app"))),
        yield* Effect.flip(Stream.runDrain(remote.catalog("blocked.test")))
      ]
      for (const error of failures) assert.include(error.message, "is blocked by /etc/x.conf")
      const [head] = failures
      assert.strictEqual(head?._tag === "ContentError" && head.reason._tag, "Refused")
      assert.isTrue((yield* fake.requests).every(({ host }) => host === "two.test"))
      yield* fake.seed("registry.test/good/app:1", FakeImage.image())
      yield* remote.head("registry.test/good/app:1")
    }).pipe(Effect.provide(program([
      { of: "registry.test/evil", blocked: "/etc/x.conf" },
      { of: "registry.test/evil", at: "two.test" },
      { of: "*.test", at: "two.test" },
      { of: "registry.test" },
      { of: "blocked.test", blocked: "/etc/x.conf" }
    ]))))
})
