import * as MediaType from "@effect-oci/spec/MediaType"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as DiskStorage from "../../src/DiskStorage.ts"
import * as MemoryStorage from "../../src/MemoryStorage.ts"
import { folder } from "../disk.ts"
import * as Registry from "../registry.ts"

const { descriptor, digestOf, encode, having, pushBlob, pushManifest, send } = Registry

const put = (path: string, text: string, contentType: string = MediaType.ociManifest) =>
  send("PUT", path, { body: encode(text), headers: { "content-type": contentType } })

const onDisk = Layer.unwrap(Effect.map(folder, (path) => DiskStorage.layer(path, { durable: false }))).pipe(
  Layer.provide(NodeServices.layer)
)

const subject = { mediaType: MediaType.ociManifest, digest: digestOf("absent"), size: 6 }

describe("manifests", () => {
  it.effect("SRV-04, SRV-05, SRV-06, SRV-27: gives back the bytes, type and digest it was given", () =>
    Effect.gen(function*() {
      const text = Registry.manifest().replaceAll(",", ", \n")
      const answer = yield* pushManifest("a/b", "1", text)
      const digest = digestOf(text)
      assert.strictEqual(answer.status, 201)
      assert.strictEqual(answer.headers["docker-content-digest"], digest)
      assert.strictEqual(answer.headers["location"], `/v2/a/b/manifests/${digest}`)
      for (const reference of ["1", digest]) {
        const got = yield* send("GET", `/v2/a/b/manifests/${reference}`)
        assert.deepStrictEqual([got.status, got.text], [200, text])
        assert.strictEqual(got.headers["content-type"], MediaType.ociManifest)
        assert.strictEqual(got.headers["docker-content-digest"], digest)
        const head = yield* send("HEAD", `/v2/a/b/manifests/${reference}`)
        assert.deepStrictEqual({ ...head.headers }, { ...got.headers })
        assert.strictEqual(head.headers["content-length"], String(text.length))
        assert.strictEqual(head.bytes.length, 0)
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-29: ignores parameters of the type", () =>
    Effect.gen(function*() {
      yield* pushManifest("a", "1", Registry.manifest(), `${MediaType.ociManifest}; charset=utf-8`)
      assert.strictEqual((yield* send("GET", "/v2/a/manifests/1")).headers["content-type"], MediaType.ociManifest)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-28, A78: stores nothing under a digest that is not its own", () =>
    Effect.gen(function*() {
      for (const digest of [digestOf("other"), `sha256:${"0".repeat(64)}`, "sha256:00", "sha256:", "md5:00"]) {
        const answer = yield* pushManifest("a", digest, Registry.manifest())
        assert.deepStrictEqual([answer.status, answer.codes], [400, ["DIGEST_INVALID"]])
      }
      assert.deepStrictEqual((yield* send("GET", `/v2/a/manifests/${digestOf("other")}`)).codes, ["MANIFEST_UNKNOWN"])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-28: takes a manifest under its sha512 digest", () =>
    Effect.gen(function*() {
      const digest = digestOf(Registry.manifest(), "sha512")
      const answer = yield* pushManifest("a", digest, Registry.manifest())
      assert.deepStrictEqual([answer.status, answer.headers["docker-content-digest"]], [201, digest])
      assert.strictEqual((yield* send("GET", `/v2/a/manifests/${digest}`)).text, Registry.manifest())
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("A79: stores no manifest that arrived in part", () =>
    Effect.gen(function*() {
      yield* pushBlob("a", "{}")
      const text = Registry.manifest()
      const headers = { "content-type": MediaType.ociManifest }
      const cut = yield* send("PUT", "/v2/a/manifests/1", {
        headers,
        body: Stream.concat(Stream.make(encode(text)), Stream.fail("reset"))
      })
      assert.strictEqual(cut.status, 400)
      const short = yield* send("PUT", "/v2/a/manifests/1", {
        headers: { ...headers, "content-length": String(text.length + 1) },
        body: Stream.make(encode(text))
      })
      assert.strictEqual(short.status, 400)
      assert.strictEqual((yield* send("GET", "/v2/a/manifests/1")).status, 404)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("refuses what is not what it says it is", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [text: string, contentType: string]> = [
        ["", MediaType.ociManifest],
        ["{}", MediaType.ociManifest],
        ["[]", MediaType.ociManifest],
        ["not json", MediaType.ociManifest],
        [Registry.manifest(), MediaType.ociIndex],
        [Registry.index([]), MediaType.ociManifest],
        [Registry.manifest({ manifests: [] }), MediaType.ociManifest],
        [Registry.manifest({ layers: [{ ...descriptor("{}"), size: -1 }] }), MediaType.ociManifest]
      ]
      for (const [text, contentType] of wrong) {
        const answer = yield* pushManifest("a", "1", text, contentType)
        assert.deepStrictEqual([answer.status, answer.codes], [400, ["MANIFEST_INVALID"]], text)
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("keeps what it does not know", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* pushManifest("a", "1", "{ anything }", "application/vnd.acme.thing")).status, 201)
      const got = yield* send("GET", "/v2/a/manifests/1")
      assert.deepStrictEqual([got.text, got.headers["content-type"]], ["{ anything }", "application/vnd.acme.thing"])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("refuses what cannot be a manifest, of whatever type", () =>
    Effect.gen(function*() {
      for (const type of ["text/html", "application/xml", MediaType.dockerSchema1]) {
        const refused = yield* pushManifest("a", "1", "<anything/>", type)
        assert.deepStrictEqual([refused.status, refused.codes], [400, ["MANIFEST_INVALID"]])
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("gives what was pushed as a web page so that no browser runs it", () =>
    Effect.gen(function*() {
      yield* put("/v2/a/manifests/page", "{}<script>fetch('/v2/_catalog')</script>", "text/html")
      const blob = yield* pushBlob("a", "<script></script>")
      for (const path of ["manifests/page", `blobs/${blob}`]) {
        for (const headers of [{}, { range: "bytes=0-3" }]) {
          const got = yield* send("GET", `/v2/a/${path}`, { headers })
          assert.strictEqual(got.headers["x-content-type-options"], "nosniff")
          assert.strictEqual(got.headers["content-security-policy"], "sandbox; default-src 'none'")
        }
      }
      // What is the registry's own needs none of it.
      assert.isUndefined((yield* send("GET", "/v2/")).headers["content-security-policy"])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-12: refuses a manifest before what it names", () =>
    Effect.gen(function*() {
      const noConfig = yield* put("/v2/a/manifests/1", Registry.manifest())
      assert.deepStrictEqual([noConfig.status, noConfig.codes], [404, ["MANIFEST_BLOB_UNKNOWN"]])
      // Somewhere else is not here.
      yield* pushBlob("b", "layer")
      const layers = [descriptor("layer", MediaType.ociLayer)]
      const noLayer = yield* pushManifest("a", "1", Registry.manifest({ layers }))
      assert.deepStrictEqual(noLayer.codes, ["MANIFEST_BLOB_UNKNOWN"])
      const member = Registry.index([descriptor(Registry.manifest(), MediaType.ociManifest)])
      const noMember = yield* put("/v2/a/manifests/1", member, MediaType.ociIndex)
      assert.deepStrictEqual(noMember.codes, ["MANIFEST_BLOB_UNKNOWN"])
      assert.strictEqual((yield* send("GET", "/v2/a/manifests/1")).status, 404)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-12: takes layers that are elsewhere by design, and blobs in an index", () =>
    Effect.gen(function*() {
      const layers = [descriptor("far away", MediaType.dockerForeignLayer)]
      assert.strictEqual((yield* pushManifest("a", "1", Registry.manifest({ layers }))).status, 201)
      yield* pushBlob("a", "<sbom/>")
      const members = Registry.index([descriptor("<sbom/>", "application/xml")])
      assert.strictEqual((yield* put("/v2/a/manifests/2", members, MediaType.ociIndex)).status, 201)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-12: takes an index without its manifests where that is set, and an image without its blobs all the same not", () =>
    Effect.gen(function*() {
      const absent = Registry.index([descriptor("absent", MediaType.ociManifest)])
      assert.strictEqual((yield* put("/v2/a/manifests/1", absent, MediaType.ociIndex)).status, 201)
      const answer = yield* put("/v2/a/manifests/2", Registry.manifest())
      assert.deepStrictEqual([answer.status, answer.codes], [404, ["MANIFEST_BLOB_UNKNOWN"]])
    }).pipe(having({ sparse: true }), Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-12: takes anything where that is set", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* put("/v2/a/manifests/1", Registry.manifest())).status, 201)
    }).pipe(having({ incomplete: true }), Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-11, SRV-33: takes a manifest whose subject is absent, and says that it saw the subject", () =>
    Effect.gen(function*() {
      const answer = yield* pushManifest("a", "1", Registry.manifest({ subject }))
      assert.deepStrictEqual([answer.status, answer.headers["oci-subject"]], [201, subject.digest])
      assert.isUndefined((yield* pushManifest("a", "2", Registry.manifest())).headers["oci-subject"])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-30: tags what is pushed by digest", () =>
    Effect.gen(function*() {
      const tags = Array.from({ length: 12 }, (_, i) => `t${i}`)
      const path = `${digestOf(Registry.manifest())}?${tags.map((tag) => `tag=${tag}`).join("&")}`
      const answer = yield* pushManifest("a", path, Registry.manifest())
      assert.deepStrictEqual([answer.status, answer.headers["oci-tag"]], [201, tags.join(", ")])
      for (const tag of tags) {
        assert.strictEqual((yield* send("GET", `/v2/a/manifests/${tag}`)).text, Registry.manifest())
      }
      const wrong = yield* pushManifest("a", `${digestOf(Registry.manifest())}?tag=ok&tag=-no`, Registry.manifest())
      assert.strictEqual(wrong.status, 400)
      assert.strictEqual((yield* send("GET", "/v2/a/manifests/ok")).status, 404)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-32: takes 4 MiB and no more, or what is set", () =>
    Effect.gen(function*() {
      const sized = (size: number) => {
        const short = Registry.manifest({ annotations: { a: "" } })
        return Registry.manifest({ annotations: { a: "x".repeat(size - short.length) } })
      }
      const limit = 4 * 1024 * 1024
      assert.strictEqual((yield* pushManifest("a", "1", sized(limit))).status, 201)
      const over = yield* pushManifest("a", "2", sized(limit + 1))
      assert.deepStrictEqual([over.status, over.codes], [413, ["SIZE_INVALID"]])
      const set = yield* pushManifest("a", "3", sized(1000)).pipe(having({ manifestLimit: 999 }))
      assert.strictEqual(set.status, 413)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-41: deletes a tag and leaves the manifest", () =>
    Effect.gen(function*() {
      yield* pushManifest("a", "1", Registry.manifest())
      assert.strictEqual((yield* send("DELETE", "/v2/a/manifests/1")).status, 202)
      assert.strictEqual((yield* send("DELETE", "/v2/a/manifests/1")).status, 404)
      assert.strictEqual((yield* send("GET", `/v2/a/manifests/${digestOf(Registry.manifest())}`)).status, 200)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-42: deletes a manifest with its tags", () =>
    Effect.gen(function*() {
      yield* pushManifest("a", "1", Registry.manifest())
      yield* pushManifest("a", "2", Registry.manifest())
      yield* pushManifest("a", "other", Registry.manifest({ annotations: {} }))
      const digest = digestOf(Registry.manifest())
      assert.strictEqual((yield* send("DELETE", `/v2/a/manifests/${digest}`)).status, 202)
      for (const reference of ["1", "2", digest]) {
        assert.strictEqual((yield* send("GET", `/v2/a/manifests/${reference}`)).status, 404)
      }
      assert.strictEqual((yield* send("DELETE", `/v2/a/manifests/${digest}`)).status, 404)
      assert.deepStrictEqual(JSON.parse((yield* send("GET", "/v2/a/tags/list")).text).tags, ["other"])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-03: takes nothing for a tag that is none", () =>
    Effect.gen(function*() {
      for (const tag of [".a", "-a", "a".repeat(129), "a%20b", "a+b"]) {
        assert.strictEqual((yield* send("GET", `/v2/a/manifests/${tag}`)).status, 404, tag)
        const answer = yield* put(`/v2/a/manifests/${tag}`, Registry.manifest())
        assert.deepStrictEqual([answer.status, answer.codes], [400, ["NAME_INVALID"]], tag)
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("writes only what the client has seen, where it says so", () =>
    Effect.gen(function*() {
      yield* pushBlob("a", "{}")
      const write = (n: number, headers: Record<string, string>) =>
        Effect.map(
          send("PUT", "/v2/a/manifests/1", {
            body: encode(Registry.manifest({ annotations: { n: String(n) } })),
            headers: { "content-type": MediaType.ociManifest, ...headers }
          }),
          ({ status }) => status
        )
      assert.strictEqual(yield* write(1, { "if-match": "*" }), 412)
      assert.strictEqual(yield* write(1, { "if-none-match": "*" }), 201)
      assert.strictEqual(yield* write(2, { "if-none-match": "*" }), 412)
      const etag = (yield* send("HEAD", "/v2/a/manifests/1")).headers["etag"]!
      assert.strictEqual(yield* write(2, { "if-match": `"other"` }), 412)
      assert.strictEqual(yield* write(2, { "if-match": `"other", ${etag}` }), 201)
      assert.strictEqual(yield* write(3, { "if-match": etag }), 412)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-47: deletes, and gives once more, only what the client says it may be", () =>
    Effect.gen(function*() {
      const one = yield* pushManifest("a", "1", Registry.manifest())
      const etag = `"${one.headers["docker-content-digest"]}"`
      const say = (method: string, headers: Record<string, string>, path = "/v2/a/manifests/1") =>
        Effect.map(send(method, path, { headers }), ({ bytes, status }) => [status, bytes.length > 0])
      for (const method of ["GET", "HEAD"]) {
        assert.deepStrictEqual(yield* say(method, { "if-none-match": `"other", W/${etag}` }), [304, false])
        assert.deepStrictEqual(yield* say(method, { "if-match": `"other"` }), [412, method === "GET"])
        const both = { "if-match": etag, "if-none-match": `"other"` }
        assert.deepStrictEqual(yield* say(method, both), [200, method === "GET"])
      }
      const blob = `/v2/a/blobs/${digestOf("{}")}`
      assert.deepStrictEqual(yield* say("GET", { "if-none-match": `"${digestOf("{}")}"` }, blob), [304, false])
      assert.deepStrictEqual(yield* say("GET", { "if-none-match": etag }, blob), [200, true])
      for (const path of ["/v2/a/manifests/1", `/v2/a/manifests/${one.headers["docker-content-digest"]}`]) {
        assert.deepStrictEqual(yield* say("DELETE", { "if-match": `"other"` }, path), [412, true])
      }
      assert.deepStrictEqual(yield* say("GET", {}), [200, true])
      assert.deepStrictEqual(yield* say("DELETE", { "if-match": etag }), [202, false])
      assert.deepStrictEqual(yield* say("DELETE", { "if-match": etag }), [412, true])
      assert.deepStrictEqual(yield* say("DELETE", {}), [404, true])
    }).pipe(Effect.provide(onDisk)))

  it.effect("writes one of those that come at once and want to be the first", () =>
    Effect.gen(function*() {
      yield* pushBlob("a", "{}")
      const statuses = yield* Effect.forEach([1, 2, 3, 4], (n) =>
        Effect.map(
          send("PUT", "/v2/a/manifests/1", {
            body: encode(Registry.manifest({ annotations: { n: String(n) } })),
            headers: { "content-type": MediaType.ociManifest, "if-none-match": "*" }
          }),
          ({ status }) => status
        ), { concurrency: 4 })
      assert.deepStrictEqual(statuses.toSorted(), [201, 412, 412, 412])
      const { text } = yield* send("GET", "/v2/a/manifests/1")
      assert.strictEqual(JSON.parse(text).annotations.n, String(statuses.indexOf(201) + 1))
    }).pipe(Effect.provide(onDisk)))

  it.effect("does not say that it saw a subject where it lists no referrers", () =>
    Effect.gen(function*() {
      const answer = yield* pushManifest("a", "1", Registry.manifest({ subject }))
      assert.deepStrictEqual([answer.status, answer.headers["oci-subject"]], [201, undefined])
      assert.strictEqual((yield* send("GET", `/v2/a/referrers/${subject.digest}`)).status, 404)
    }).pipe(having({ referrers: false }), Effect.provide(MemoryStorage.layer)))
})
