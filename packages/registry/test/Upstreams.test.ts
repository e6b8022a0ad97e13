import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as Tag from "@effect-oci/name/Tag"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Auth from "../src/Auth.ts"
import * as FakeImage from "../src/FakeImage.ts"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import * as PullThrough from "../src/PullThrough.ts"
import * as RegistryServer from "../src/RegistryServer.ts"
import { Storage } from "../src/Storage.ts"
import * as Upstreams from "../src/Upstreams.ts"
import { sendTo } from "./registry.ts"

/** Upstreams whose repositories `app` have an image `1` each, and the names that were asked for. */
const upstreams = Effect.fnUntraced(function*(...hosts: ReadonlyArray<string>) {
  const stores = new Map<string, MemoryStore.MemoryStore>()
  for (const host of hosts) {
    const store = MemoryStore.make(host)
    const image = yield* FakeImage.image({ seed: host })
    for (const { bytes, descriptor } of [...image.blobs, ...image.manifests]) {
      yield* store.add(descriptor.mediaType, bytes)
    }
    yield* store.tag(image.root, Tag.parseUnsafe("1"))
    stores.set(`${host}/app`, store)
  }
  const asked: Array<string> = []
  const self: Upstreams.Upstreams = {
    hosts,
    source: (name) =>
      Effect.sync(() => {
        asked.push(name)
        return Option.fromUndefinedOr(stores.get(name))
      })
  }
  const storage = yield* PullThrough.make(yield* MemoryStorage.make, { sourceOf: Upstreams.sourceOf(self) })
  return { self, asked, app: Effect.provideService(RegistryServer.app, Storage, storage) }
})

describe("Upstreams", () => {
  it.effect("has several under their names, and one alone without it too", () =>
    Effect.gen(function*() {
      const two = yield* upstreams("ghcr.io", "quay.io")
      const send = sendTo(Upstreams.guard(two.app, two.self))
      const digests = yield* Effect.forEach(["ghcr.io", "quay.io"], (host) =>
        Effect.map(send("GET", `/v2/${host}/app/manifests/1`), ({ headers }) =>
          headers["docker-content-digest"]))
      assert.isDefined(digests[0])
      assert.notStrictEqual(digests[0], digests[1])
      assert.strictEqual((yield* send("GET", "/v2/app/manifests/1")).status, 404)
      const one = yield* upstreams("localhost:5000")
      assert.strictEqual((yield* sendTo(one.app)("GET", "/v2/app/manifests/1")).status, 200)
      assert.deepStrictEqual(one.asked, ["localhost:5000/app"])
    }))

  it("lists tags by the name that a repository has with its registry, where there is such a list", () => {
    const asked: Array<string> = []
    const tags = (name: string) => (asked.push(name), Stream.empty)
    const source = () => Effect.succeedNone
    const ask = (hosts: ReadonlyArray<string>, repository: string, listing = true) =>
      Option.isSome(Upstreams.tagsOf({ hosts, source, ...(listing ? { tags } : {}) })(repository))
    assert.isTrue(ask(["ghcr.io", "quay.io"], "quay.io/app"))
    assert.isFalse(ask(["ghcr.io", "quay.io"], "app"))
    assert.isTrue(ask(["ghcr.io"], "app"))
    assert.isFalse(ask(["ghcr.io"], "app", false))
    assert.isFalse(ask([], "app"))
    assert.deepStrictEqual(asked, ["quay.io/app", "ghcr.io/app"])
  })

  it.effect("SRV-46: says that it went by ns, and goes where ns says", () =>
    Effect.gen(function*() {
      const { app, self } = yield* upstreams("ghcr.io", "quay.io")
      const send = sendTo(Upstreams.guard(app, self))
      for (const host of ["ghcr.io", "quay.io"]) {
        const plain = yield* send("GET", `/v2/${host}/app/manifests/1`)
        assert.isUndefined(plain.headers["oci-namespace"])
        const named = yield* send("GET", `/v2/app/manifests/1?ns=${host}`)
        assert.deepStrictEqual([named.status, named.headers["oci-namespace"]], [200, host])
        assert.deepStrictEqual(named.bytes, plain.bytes)
      }
      assert.strictEqual((yield* send("GET", "/v2/?ns=ghcr.io")).status, 200)
      const one = yield* upstreams("localhost:5000")
      const alone = yield* sendTo(Upstreams.guard(one.app, one.self))("GET", "/v2/app/manifests/1?ns=localhost:5000")
      assert.deepStrictEqual([alone.status, alone.headers["oci-namespace"]], [200, "localhost:5000"])
    }))

  it.effect("A88: is no way to anywhere else", () =>
    Effect.gen(function*() {
      const { app, asked, self } = yield* upstreams("ghcr.io", "quay.io")
      const send = sendTo(Upstreams.guard(app, self))
      for (
        const host of ["evil.test", "169.254.169.254", "localhost", "GHCR.IO", "ghcr.io.evil.test", "ghcr.io/../x", ""]
      ) {
        const named = yield* send("GET", `/v2/app/manifests/1?ns=${encodeURIComponent(host)}`)
        assert.deepStrictEqual([named.status, named.headers["oci-namespace"]], [404, undefined], host)
        assert.strictEqual((yield* send("GET", `/v2/${host}/app/manifests/1`)).status, 404, host)
      }
      assert.deepStrictEqual(asked, [])
    }))

  it.effect("A82: decides about the repository that is read in the end", () =>
    Effect.gen(function*() {
      const { app, self } = yield* upstreams("ghcr.io", "quay.io")
      const guarded = yield* Auth.guard(app, { scheme: "basic", users: {}, anonymousPull: ["ghcr.io/**", "app"] })
      const send = sendTo(Upstreams.guard(guarded, self))
      const status = (path: string) => Effect.map(send("GET", path), ({ status }) => status)
      assert.strictEqual(yield* status("/v2/app/manifests/1?ns=ghcr.io"), 200)
      assert.strictEqual(yield* status("/v2/app/manifests/1?ns=quay.io"), 401)
      assert.strictEqual(yield* status("/v2/app/manifests/1?ns=ghcr.io&ns=quay.io"), 200)
      assert.strictEqual(yield* status("/v2/quay.io/app/manifests/1?ns=ghcr.io"), 404)
    }))
})
