import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as DiskStorage from "../../src/DiskStorage.ts"
import * as MemoryStorage from "../../src/MemoryStorage.ts"
import { folder } from "../disk.ts"
import { digestOf, encode, having, openUpload, pushBlob, send } from "../registry.ts"

const text = "hello world"
const digest = digestOf(text)

const patch = (location: string, part: string, range?: string) =>
  send("PATCH", location, {
    body: encode(part),
    ...(range === undefined ? {} : { headers: { "content-range": range } })
  })

describe("uploads", () => {
  it.effect("SRV-14, SRV-15: takes the bytes with PUT and says where they are", () =>
    Effect.gen(function*() {
      const opened = yield* send("POST", "/v2/a/b/blobs/uploads/")
      assert.strictEqual(opened.status, 202)
      assert.match(opened.headers["location"]!, /^\/v2\/a\/b\/blobs\/uploads\/[0-9a-f-]{36}$/)
      const put = yield* send("PUT", `${opened.headers["location"]}?digest=${digest}`, { body: encode(text) })
      assert.strictEqual(put.status, 201)
      assert.strictEqual(put.headers["docker-content-digest"], digest)
      assert.strictEqual((yield* send("GET", put.headers["location"]!)).text, text)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-16: takes the bytes with POST alone", () =>
    Effect.gen(function*() {
      const post = yield* send("POST", `/v2/a/blobs/uploads/?digest=${digest}`, { body: encode(text) })
      assert.strictEqual(post.status, 201)
      assert.strictEqual((yield* send("GET", post.headers["location"]!)).text, text)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-17: takes sha512, announced or not", () =>
    Effect.gen(function*() {
      const sha512 = digestOf(text, "sha512")
      for (const query of ["", "?digest-algorithm=sha512", "?digest-algorithm=sha256"]) {
        const location = yield* openUpload("a", query)
        assert.strictEqual((yield* send("PUT", `${location}?digest=${sha512}`, { body: encode(text) })).status, 201)
        assert.strictEqual((yield* send("GET", `/v2/a/blobs/${sha512}`)).text, text)
      }
      const other = yield* send("POST", "/v2/a/blobs/uploads/?digest-algorithm=md5")
      assert.deepStrictEqual([other.status, other.codes], [400, ["DIGEST_INVALID"]])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-13: refuses bytes that have another digest, and forgets them", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      const put = yield* send("PUT", `${location}?digest=${digestOf("other")}`, { body: encode(text) })
      assert.deepStrictEqual([put.status, put.codes], [400, ["DIGEST_INVALID"]])
      assert.strictEqual((yield* send("GET", location)).status, 404)
      for (const digest of ["", "?digest=", "?digest=md5:00"]) {
        const location = yield* openUpload("a")
        assert.deepStrictEqual((yield* send("PUT", `${location}${digest}`)).codes, ["DIGEST_INVALID"])
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-18: says how large a chunk has to be, and means it", () =>
    Effect.gen(function*() {
      const opened = yield* send("POST", "/v2/a/blobs/uploads/")
      assert.strictEqual(opened.headers["oci-chunk-min-length"], "6")
      const location = opened.headers["location"]!
      assert.strictEqual((yield* patch(location, "hello", "0-4")).status, 400)
      assert.strictEqual((yield* patch(location, "hello ", "0-5")).status, 202)
      assert.strictEqual((yield* send("PUT", `${location}?digest=${digest}`, { body: encode("world") })).status, 201)
    }).pipe(having({ chunkMinLength: 6 }), Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-19, SRV-22: takes chunks in order and says how far it is", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      const first = yield* patch(location, "hello ", "0-5")
      assert.deepStrictEqual([first.status, first.headers["range"], first.headers["location"]], [202, "0-5", location])
      const status = yield* send("GET", location)
      assert.deepStrictEqual([status.status, status.headers["range"], status.headers["location"]], [
        204,
        "0-5",
        location
      ])
      assert.strictEqual((yield* patch(location, "world", "6-10")).headers["range"], "0-10")
      const put = yield* send("PUT", `${location}?digest=${digest}`)
      assert.strictEqual((yield* send("GET", put.headers["location"]!)).text, text)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-20, SRV-21: refuses chunks out of order and goes on after them", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      yield* patch(location, "hello ", "0-5")
      for (const range of ["7-11", "0-5", "5-9", "x"]) {
        const answer = yield* patch(location, "world", range)
        assert.deepStrictEqual([answer.status, answer.codes], [416, ["BLOB_UPLOAD_INVALID"]])
        assert.deepStrictEqual([answer.headers["range"], answer.headers["location"]], ["0-5", location])
      }
      const final = (range: string) =>
        send("PUT", `${location}?digest=${digest}`, { body: encode("world"), headers: { "content-range": range } })
      assert.strictEqual((yield* final("7-11")).status, 416)
      assert.strictEqual((yield* final("6-10")).status, 201)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("refuses bytes that are not as many as their range says, and goes on after that", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      yield* patch(location, "hello ", "0-5")
      for (const range of ["6-9", "6-11", "6-5", "6-0", "bytes 6-9/11"]) {
        const answer = yield* patch(location, "world", range)
        assert.deepStrictEqual([answer.status, answer.codes], [400, ["SIZE_INVALID"]], range)
      }
      const final = (range: string) =>
        send("PUT", `${location}?digest=${digest}`, { body: encode("world"), headers: { "content-range": range } })
      assert.strictEqual((yield* final("6-11")).status, 400)
      assert.strictEqual((yield* final("bytes 6-10/11")).status, 201)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  const disk = Layer.unwrap(Effect.map(folder, (path) => DiskStorage.layer(path, { durable: false }))).pipe(
    Layer.provide(NodeServices.layer),
    Layer.orDie
  )
  for (const [name, layer] of [["memory", MemoryStorage.layer], ["a folder", disk]] as const) {
    it.effect(`refuses a stream that is not as long as its range says, and goes on after that, in ${name}`, () =>
      Effect.gen(function*() {
        // What had arrived of its range is kept, as of a body that breaks off.
        const ranges = [["3-99", "0-10"], ["3-11", "0-10"], ["3-9", "0-8"], ["3-7", "0-5"], ["3-3", "0-2"], [
          "3-2",
          "0-2"
        ]]
        for (const [method, query] of [["PATCH", ""], ["PUT", `?digest=${digest}`]] as const) {
          for (const [range, kept] of [...ranges, ["3-10", undefined]]) {
            const location = yield* openUpload("a")
            yield* patch(location, "hel", "0-2")
            const answer = yield* send(method, location + query, {
              body: Stream.fromIterable(["lo ", "wor", "ld"].map(encode), { chunkSize: 1 }),
              headers: { "content-range": range!, "transfer-encoding": "chunked" }
            })
            if (kept === undefined) {
              assert.strictEqual(answer.status, method === "PUT" ? 201 : 202)
              continue
            }
            assert.deepStrictEqual([answer.status, answer.codes], [400, ["BLOB_UPLOAD_INVALID"]], `${method} ${range}`)
            assert.strictEqual((yield* send("GET", location)).headers["range"], kept)
            const put = yield* send("PUT", `${location}?digest=${digest}`, {
              body: encode(text.slice(Number(kept.slice(2)) + 1))
            })
            assert.strictEqual(put.status, 201)
          }
        }
      }).pipe(Effect.provide(layer)))
  }

  it.effect("waits no longer than it should for the end of a stream that is as long as its range says", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      const patching = yield* Effect.forkChild(
        send("PATCH", location, {
          body: Stream.concat(Stream.make(encode("hello")), Stream.never),
          headers: { "content-range": "0-4", "transfer-encoding": "chunked" }
        }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(patching)).status, 408)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-23: takes a stream without a range, and another after it", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      const body = Stream.fromIterable(["hel", "lo ", "wor"].map(encode), { chunkSize: 1 })
      assert.strictEqual((yield* send("PATCH", location, { body })).headers["range"], "0-8")
      assert.strictEqual((yield* patch(location, "ld")).headers["range"], "0-10")
      assert.strictEqual((yield* send("PUT", `${location}?digest=${digest}`)).status, 201)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-24: cancels an upload", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      assert.strictEqual((yield* send("DELETE", location)).status, 204)
      for (const method of ["GET", "PATCH", "PUT", "DELETE"]) {
        const answer = yield* send(method, `${location}?digest=${digest}`)
        assert.deepStrictEqual([answer.status, answer.codes], [404, ["BLOB_UPLOAD_UNKNOWN"]])
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-25: forgets an upload an hour after its last byte", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      yield* TestClock.adjust("59 minutes")
      yield* patch(location, "hello ")
      yield* TestClock.adjust("59 minutes")
      assert.strictEqual((yield* send("GET", location)).status, 204)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* send("GET", location)).status, 404)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-26: mounts from a repository, or from whichever has the blob", () =>
    Effect.gen(function*() {
      yield* pushBlob("from", text)
      for (const [to, query] of [["b", "&from=from"], ["c", ""]] as const) {
        const mount = yield* send("POST", `/v2/${to}/blobs/uploads/?mount=${digest}${query}`)
        assert.deepStrictEqual([mount.status, mount.headers["location"]], [201, `/v2/${to}/blobs/${digest}`])
        assert.strictEqual((yield* send("GET", `/v2/${to}/blobs/${digest}`)).text, text)
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-26: opens an upload for what cannot be mounted", () =>
    Effect.gen(function*() {
      yield* pushBlob("from", text)
      for (
        const query of [`mount=${digest}&from=other`, `mount=${digestOf("x")}&from=from`, `mount=${digestOf("x")}`]
      ) {
        const answer = yield* send("POST", `/v2/a/blobs/uploads/?${query}`)
        assert.strictEqual(answer.status, 202)
        assert.include(answer.headers["location"], "/v2/a/blobs/uploads/")
      }
      assert.strictEqual((yield* send("POST", "/v2/a/blobs/uploads/?mount=x")).status, 400)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("A84: knows an upload in its own repository only", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      const elsewhere = location.replace("/v2/a/", "/v2/b/")
      for (const method of ["GET", "PATCH", "PUT", "DELETE"]) {
        assert.strictEqual((yield* send(method, `${elsewhere}?digest=${digest}`)).status, 404)
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("A85: puts no host into a location", () =>
    Effect.gen(function*() {
      const answer = yield* send("POST", "/v2/a/blobs/uploads/", {
        headers: { host: "evil.test", "x-forwarded-host": "evil.test", "x-forwarded-proto": "https" }
      })
      assert.match(answer.headers["location"]!, /^\/v2\/a\//)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("keeps what came before a body broke off, and goes on from there", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      const body = Stream.concat(Stream.make(encode("hello ")), Stream.fail("reset"))
      assert.strictEqual((yield* send("PATCH", location, { body })).status, 400)
      assert.strictEqual((yield* send("GET", location)).headers["range"], "0-5")
      const put = yield* send("PUT", `${location}?digest=${digest}`, {
        body: encode("world"),
        headers: { "content-range": "6-10" }
      })
      assert.strictEqual(put.status, 201)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("refuses a body that has not the length it says", () =>
    Effect.gen(function*() {
      for (const length of ["10", "12"]) {
        const answer = yield* send("POST", `/v2/a/blobs/uploads/?digest=${digest}`, {
          body: Stream.make(encode(text)),
          headers: { "content-length": length }
        })
        assert.deepStrictEqual([answer.status, answer.codes], [400, ["BLOB_UPLOAD_INVALID"]])
      }
      assert.strictEqual((yield* send("GET", `/v2/a/blobs/${digest}`)).status, 404)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("lets the latest of two requests go on, not a dead one before it", () =>
    Effect.gen(function*() {
      const location = yield* openUpload("a")
      const [alive, dead] = [yield* Deferred.make<void>(), yield* Deferred.make<Uint8Array>()]
      const body = Stream.make(encode("hello ")).pipe(
        Stream.concat(Stream.fromEffect(Effect.andThen(Deferred.succeed(alive, undefined), Deferred.await(dead))))
      )
      const first = yield* Effect.forkChild(send("PATCH", location, { body }))
      yield* Deferred.await(alive)
      assert.strictEqual((yield* patch(location, "world", "6-10")).status, 202)
      yield* Deferred.succeed(dead, encode("junk"))
      assert.strictEqual((yield* Fiber.join(first)).status, 416)
      assert.strictEqual((yield* send("PUT", `${location}?digest=${digest}`)).status, 201)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("is not held up by an upload that stalls", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 100; i++) {
        const location = yield* openUpload("a")
        yield* Effect.forkChild(send("PATCH", location, { body: Stream.never }), { startImmediately: true })
      }
      yield* pushBlob("a", text)
      assert.strictEqual((yield* send("GET", `/v2/a/blobs/${digest}`)).text, text)
    }).pipe(Effect.provide(MemoryStorage.layer)))
})
