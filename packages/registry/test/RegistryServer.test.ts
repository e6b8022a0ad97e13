import * as ErrorBody from "@effect-oci/spec/ErrorBody"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import * as Registry from "./registry.ts"

const { digestOf, having, pushBlob, pushManifest, send } = Registry

const digest = digestOf("x")

/** An endpoint of each kind. */
const endpoints = [
  "/v2/",
  "/v2/_catalog",
  "/v2/a/blobs/uploads/",
  "/v2/a/blobs/uploads/u",
  `/v2/a/blobs/${digest}`,
  "/v2/a/manifests/1",
  "/v2/a/tags/list",
  `/v2/a/referrers/${digest}`
]

describe("RegistryServer", () => {
  it.effect("SRV-01: answers the ping", () =>
    Effect.gen(function*() {
      for (const path of ["/v2/", "/v2"]) {
        const answer = yield* send("GET", path)
        assert.deepStrictEqual([answer.status, answer.headers["docker-distribution-api-version"]], [
          200,
          "registry/2.0"
        ])
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-03: knows no repository by a name that is none", () =>
    Effect.gen(function*() {
      for (const name of ["A", "a..b", "a%2fb", "a/./b", "-a", "a/", "a b", "ä", "a".repeat(256)]) {
        for (const method of ["GET", "PUT", "DELETE"]) {
          const answer = yield* send(method, `/v2/${name}/manifests/1`)
          assert.deepStrictEqual([answer.status, answer.codes], [404, ["NAME_INVALID"]], name)
        }
      }
      assert.strictEqual((yield* send("GET", `/v2/${"a/".repeat(1000)}tags/list`)).status, 414)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-43: has one of the specification's codes in each error", () =>
    Effect.gen(function*() {
      for (const path of [...endpoints, "/", "/v2/a", "/v2/A/tags/list"]) {
        for (const method of ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]) {
          const answer = yield* send(method, path)
          if (answer.status < 400) continue
          assert.strictEqual(answer.headers["content-type"], "application/json")
          assert.strictEqual(answer.codes.length, 1)
          assert.include(ErrorBody.codes, answer.codes[0])
        }
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-47: says with 405 what is allowed", () =>
    Effect.gen(function*() {
      const allowed = yield* Effect.forEach(endpoints, (path) => send("TRACE", path))
      assert.deepStrictEqual(allowed.map(({ headers, status }) => [status, headers["allow"]]), [
        [405, "GET, HEAD"],
        [405, "GET, HEAD"],
        [405, "POST"],
        [405, "GET, HEAD, PATCH, PUT, DELETE"],
        [405, "GET, HEAD, DELETE"],
        [405, "GET, HEAD, PUT, DELETE"],
        [405, "GET, HEAD"],
        [405, "GET, HEAD"]
      ])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-47: gives no body to HEAD, whatever the answer", () =>
    Effect.gen(function*() {
      yield* pushBlob("a", "x")
      for (const path of [...endpoints, "/", "/v2/a/manifests/none", "/v2/A/tags/list"]) {
        const head = yield* send("HEAD", path)
        assert.strictEqual(head.bytes.length, 0)
        const get = yield* send("GET", path)
        assert.deepStrictEqual([head.status, head.headers["content-length"]], [
          get.status,
          get.headers["content-length"]
        ])
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-41, A80: deletes nothing where that is not allowed", () =>
    Effect.gen(function*() {
      yield* pushBlob("a", "x")
      yield* pushManifest("a", "1", Registry.manifest())
      for (const settings of [{ deletes: false }, { readOnly: true }]) {
        for (const path of [`blobs/${digest}`, "manifests/1", `manifests/${digestOf(Registry.manifest())}`]) {
          const answer = yield* send("DELETE", `/v2/a/${path}`).pipe(having(settings))
          assert.deepStrictEqual([answer.status, answer.codes], [405, ["UNSUPPORTED"]])
          assert.strictEqual((yield* send("GET", `/v2/a/${path}`)).status, 200)
        }
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("A80: changes nothing where all is read-only", () =>
    Effect.gen(function*() {
      const location = yield* Registry.openUpload("a")
      for (const path of [...endpoints, location, `${location}?digest=${digest}`]) {
        for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
          assert.strictEqual((yield* send(method, path).pipe(having({ readOnly: true }))).status, 405)
        }
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-45: warns in the form of the specification, in 4096 bytes", () =>
    Effect.gen(function*() {
      const warn = (warnings: ReadonlyArray<string>) =>
        Effect.map(send("GET", "/v2/").pipe(having({ warnings })), ({ headers }) => headers["warning"])
      assert.strictEqual(
        yield* warn([`moving to "r.test"`, "läst\r\nx: y"]),
        String.raw`299 - "moving to \"r.test\"", 299 - "l?st??x: y"`
      )
      assert.isAtMost((yield* warn(Array.from({ length: 100 }, () => "x".repeat(100))))!.length, 4096)
      assert.isUndefined(yield* warn([]))
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("A86: answers for its own hosts, and no page of another origin", () =>
    Effect.gen(function*() {
      const ask = (headers: Record<string, string>) =>
        Effect.map(
          send("GET", "/v2/", { headers }).pipe(having({ hosts: ["Localhost:5000", "127.0.0.1", "[::1]"] })),
          ({ status }) => status
        )
      assert.strictEqual(yield* ask({ host: "localhost:5000" }), 200)
      assert.strictEqual(yield* ask({ host: "LOCALHOST:5000" }), 200)
      for (const host of ["127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:5000"]) {
        assert.strictEqual(yield* ask({ host }), 200, host)
      }
      for (const host of ["evil.test:5000", "localhost", "localhost:5001", "127.0.0.1.evil.test", "127.0.0.1:x", ""]) {
        assert.strictEqual(yield* ask({ host }), 421, host)
      }
      assert.strictEqual(yield* ask({ host: "localhost:5000", origin: "http://localhost:5000" }), 200)
      for (const origin of ["http://evil.test", "null", "http://localhost:5001", "http://localhost:5000.evil.test"]) {
        assert.strictEqual(yield* ask({ host: "localhost:5000", origin }), 403, origin)
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect.prop(
    "answers any path and query",
    { path: Schema.String, query: Schema.String, method: Schema.Literals(["GET", "PUT", "POST", "PATCH", "DELETE"]) },
    ({ method, path, query }) =>
      Effect.gen(function*() {
        for (const start of ["/v2/", "/v2/a/manifests/", "/v2/a/blobs/uploads/", "/v2/a/tags/list?n="]) {
          const answer = yield* send(method, `${start}${path}?${query}`)
          assert.isTrue(answer.status < 500)
        }
      }).pipe(Effect.provide(MemoryStorage.layer))
  )
})
