import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as MemoryStorage from "../../src/MemoryStorage.ts"
import { digestOf, pushBlob, send } from "../registry.ts"

const text = "hello world"

describe("blobs", () => {
  it.effect("SRV-05, SRV-07: gives the bytes, with their digest and length", () =>
    Effect.gen(function*() {
      const digest = yield* pushBlob("a/b", text)
      const answer = yield* send("GET", `/v2/a/b/blobs/${digest}`)
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.text, text)
      assert.strictEqual(answer.headers["docker-content-digest"], digest)
      assert.strictEqual(answer.headers["content-length"], "11")
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-09, SRV-10, B36: says with HEAD what GET would, without the bytes", () =>
    Effect.gen(function*() {
      const digest = yield* pushBlob("a", text)
      const get = yield* send("GET", `/v2/a/blobs/${digest}`)
      const head = yield* send("HEAD", `/v2/a/blobs/${digest}`)
      assert.strictEqual(head.status, 200)
      assert.deepStrictEqual({ ...head.headers }, { ...get.headers })
      assert.strictEqual(head.bytes.length, 0)
      const missing = yield* send("HEAD", `/v2/a/blobs/${digestOf("other")}`)
      assert.strictEqual(missing.status, 404)
      assert.strictEqual(missing.bytes.length, 0)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-08: gives one range", () =>
    Effect.gen(function*() {
      const digest = yield* pushBlob("a", text)
      const get = (range: string, rest: Record<string, string> = {}) =>
        send("GET", `/v2/a/blobs/${digest}`, { headers: { range, ...rest } })
      const middle = yield* get("bytes=2-4")
      assert.strictEqual(middle.status, 206)
      assert.strictEqual(middle.text, "llo")
      assert.strictEqual(middle.headers["content-range"], "bytes 2-4/11")
      assert.strictEqual(middle.headers["content-length"], "3")
      assert.strictEqual((yield* get("bytes=-5")).text, "world")
      assert.strictEqual((yield* get("bytes=6-")).text, "world")
      const past = yield* get("bytes=11-")
      assert.strictEqual(past.status, 416)
      assert.strictEqual(past.headers["content-range"], "bytes */11")
      const several = yield* get("bytes=0-1,3-4")
      assert.deepStrictEqual([several.status, several.text], [200, text])
      assert.strictEqual((yield* get("bytes=2-4", { "if-range": `"${digest}"` })).status, 206)
      assert.strictEqual((yield* get("bytes=2-4", { "if-range": `"other"` })).status, 200)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-31: knows no blob of a repository that is not there", () =>
    Effect.gen(function*() {
      const answer = yield* send("GET", `/v2/nowhere/blobs/${digestOf(text)}`)
      assert.deepStrictEqual([answer.status, answer.codes], [404, ["BLOB_UNKNOWN"]])
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-13: refuses what is no digest", () =>
    Effect.gen(function*() {
      for (const digest of ["sha256:00", "md5:00", `sha256:${"A".repeat(64)}`, "x"]) {
        const answer = yield* send("GET", `/v2/a/blobs/${digest}`)
        assert.deepStrictEqual([answer.status, answer.codes], [400, ["DIGEST_INVALID"]])
      }
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("SRV-41: deletes a blob once, in this repository only", () =>
    Effect.gen(function*() {
      const digest = yield* pushBlob("a", text)
      yield* pushBlob("b", text)
      assert.strictEqual((yield* send("DELETE", `/v2/a/blobs/${digest}`)).status, 202)
      assert.strictEqual((yield* send("GET", `/v2/a/blobs/${digest}`)).status, 404)
      assert.strictEqual((yield* send("DELETE", `/v2/a/blobs/${digest}`)).status, 404)
      assert.strictEqual((yield* send("GET", `/v2/b/blobs/${digest}`)).text, text)
    }).pipe(Effect.provide(MemoryStorage.layer)))

  it.effect("A81: shows a blob only where it was pushed", () =>
    Effect.gen(function*() {
      const digest = yield* pushBlob("mine", text)
      assert.strictEqual((yield* send("GET", `/v2/yours/blobs/${digest}`)).status, 404)
    }).pipe(Effect.provide(MemoryStorage.layer)))
})
