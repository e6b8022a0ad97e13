import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Tracer from "effect/Tracer"
import * as Auth from "../src/Auth.ts"
import * as Fault from "../src/Fault.ts"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import * as RegistryServer from "../src/RegistryServer.ts"
import * as Traffic from "../src/Traffic.ts"
import * as Registry from "./registry.ts"

const { digestOf, encode, pushBlob } = Registry

/** A registry that is listened to, and what was told of it. */
const watched = Effect.gen(function*() {
  const entries: Array<Traffic.Entry> = []
  const app = yield* Auth.guard(RegistryServer.app, {
    scheme: "basic",
    users: { ann: "s3cret" },
    anonymousPull: true
  })
  const told = Traffic.guard(app, (entry) => Effect.sync(() => void entries.push(entry)))
  const send = (...args: Parameters<typeof Registry.send>) => Effect.scoped(Registry.sendTo(told)(...args))
  return { entries, send }
})

/** What the registry was asked by somebody who may not, and by somebody who asks for a token. */
const logins = Effect.gen(function*() {
  const entries: Array<Traffic.Entry> = []
  const app = yield* Auth.guard(RegistryServer.app, { scheme: "bearer", users: { ann: "s3cret" } })
  const told = Traffic.guard(app, (entry) => Effect.sync(() => void entries.push(entry)))
  const send = (...args: Parameters<typeof Registry.send>) => Effect.scoped(Registry.sendTo(told)(...args))
  yield* send("HEAD", "/v2/a/manifests/1")
  for (const method of ["GET", "POST"] as const) {
    yield* send(method, "/token", {
      headers: { authorization },
      ...(method === "GET" ? {} : { body: encode("grant_type=password&username=ann&password=s3cret") })
    })
  }
  yield* send("GET", "/token", { headers: { authorization: `Basic ${Base64.encode("ann:wrong")}` } })
  return entries
})

const authorization = `Basic ${Base64.encode("ann:s3cret")}`

describe("Traffic", () => {
  describe("guard", () => {
    it.effect("knows who has asked for a token, and that a HEAD is sent no body", () =>
      Effect.gen(function*() {
        const entries = yield* logins
        assert.deepStrictEqual(entries.map(({ status, user }) => [status, user]), [
          [401, undefined],
          [200, "ann"],
          [200, "ann"],
          [401, undefined]
        ])
        assert.strictEqual(entries[0]!.sent, 0)
        assert.deepStrictEqual(entries.map(({ endpoint }) => endpoint), ["Manifest", "Token", "Token", "Token"])
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("tells of each request what it was, and who asked", () =>
      Effect.gen(function*() {
        const { entries, send } = yield* watched
        const digest = yield* pushBlob("a", "hello")
        yield* TestClock.adjust("1 second")
        yield* send("GET", `/v2/a/blobs/${digest}`, { headers: { "user-agent": "test" } })
        yield* send("POST", `/v2/a/blobs/uploads/?digest=${digestOf("x")}`, {
          body: encode("x"),
          headers: { authorization }
        })
        yield* send("HEAD", "/v2/a/manifests/none")
        const common = { at: 1000, address: undefined, agent: undefined, user: undefined, complete: true, millis: 0 }
        assert.deepStrictEqual(entries, [
          {
            ...common,
            method: "GET",
            path: `/v2/a/blobs/${digest}`,
            query: "",
            endpoint: "Blob",
            agent: "test",
            status: 200,
            received: 0,
            sent: 5
          },
          {
            ...common,
            method: "POST",
            path: "/v2/a/blobs/uploads/",
            query: `?digest=${digestOf("x")}`,
            endpoint: "Uploads",
            user: "ann",
            status: 201,
            received: 1,
            sent: 0
          },
          {
            ...common,
            method: "HEAD",
            path: "/v2/a/manifests/none",
            query: "",
            endpoint: "Manifest",
            status: 404,
            received: 0,
            sent: 0
          }
        ])
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("tells no secret", () =>
      Effect.gen(function*() {
        const { entries, send } = yield* watched
        yield* send("GET", "/v2/?password=hunter2&last=a&x%0Ay=hunter2&?n=hunter2&x=#n=hunter2", {
          headers: { authorization, cookie: "hunter2" }
        })
        yield* send("GET", "/v2/", { headers: { authorization: "Bearer hunter2" } })
        const text = JSON.stringify(entries)
        assert.strictEqual(entries[0]!.query, "?password=REDACTED&last=a&x%0Ay=REDACTED&?n=REDACTED&x=REDACTED")
        for (const secret of ["hunter2", "s3cret", authorization.slice(6)]) assert.notInclude(text, secret)
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("tells no more of an upload's id than tells it from others", () =>
      Effect.gen(function*() {
        const { entries, send } = yield* watched
        const { location } = (yield* send("POST", "/v2/a/blobs/uploads/", { headers: { authorization } })).headers
        for (const path of [location!, `${location}/`, location!.replace("/a/", "/A/")]) {
          yield* send("GET", path, { headers: { authorization } })
        }
        const known = "/v2/a/blobs/uploads/".length + 8
        assert.deepStrictEqual(entries.slice(1).map(({ path }) => path), [
          `${location!.slice(0, known)}...`,
          `${location!.slice(0, known)}...`,
          `${location!.slice(0, known).replace("/a/", "/A/")}...`
        ])
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("tells of a request that was cut, once", () =>
      Effect.gen(function*() {
        const entries: Array<Traffic.Entry> = []
        const app = Traffic.guard(
          Fault.guard(RegistryServer.app, Fault.plan(Fault.reset())),
          (entry) => Effect.sync(() => void entries.push(entry))
        )
        yield* Effect.flip(Effect.scoped(Registry.sendTo(app)("GET", "/v2/")))
        assert.deepStrictEqual(entries.map(({ complete, status }) => [complete, status]), [[false, undefined]])
      }).pipe(Effect.provide(MemoryStorage.layer)))

    it.effect("changes nothing of what is sent", () =>
      Effect.gen(function*() {
        const { send } = yield* watched
        const digest = yield* pushBlob("a", "hello")
        const plain = yield* Registry.send("GET", `/v2/a/blobs/${digest}`, { headers: { range: "bytes=1-2" } })
        const told = yield* send("GET", `/v2/a/blobs/${digest}`, { headers: { range: "bytes=1-2" } })
        assert.deepStrictEqual(told, plain)
        const body = Stream.make(encode("a"), encode("b"))
        const { headers } = yield* send("POST", "/v2/a/blobs/uploads/", { headers: { authorization } })
        const patched = yield* send("PATCH", headers["location"]!, { body, headers: { authorization } })
        assert.strictEqual(patched.headers["range"], "0-1")
      }).pipe(Effect.provide(MemoryStorage.layer)))
  })

  describe("redacting", () => {
    it.effect("hides in a span what is hidden in an entry, whatever comes of the request", () =>
      Effect.gen(function*() {
        const spans: Array<Tracer.NativeSpan> = []
        const tracer = Tracer.make({
          span: (options) => {
            const span = new Tracer.NativeSpan(options)
            spans.push(span)
            return span
          }
        })
        const [served, broken] = [RegistryServer.app, Effect.die("broken")].map((app) => (path: string) =>
          Effect.exit(Effect.scoped(
            Registry.sendTo(HttpMiddleware.tracer(Traffic.guard(app, Traffic.measure)))("GET", path, {
              headers: { authorization: "Bearer hunter2", "x-registry-auth": "hunter2", "user-agent": "test" }
            })
          ))
        )
        const serving = Effect.gen(function*() {
          yield* served!("/v2/a/tags/list?n=5&token=hunter2&Signature=hunter2")
          yield* broken!("/v2/a/tags/list?password=hunter2")
        })
        yield* Traffic.redacting(serving).pipe(
          Effect.provideService(Tracer.Tracer, tracer),
          Effect.provideService(HttpMiddleware.TracerHeaderFilter, () => true)
        )
        assert.strictEqual(spans.length, 2)
        const [first, second] = spans.map(({ attributes }) => Object.fromEntries(attributes))
        assert.strictEqual(first!["url.query"], "n=5&token=REDACTED&Signature=REDACTED")
        assert.strictEqual(first!["oci.endpoint"], "Tags")
        assert.strictEqual(first!["http.request.header.user-agent"], "test")
        assert.strictEqual(second!["http.response.status_code"], 500)
        assert.notInclude(
          JSON.stringify(
            spans.map(({ attributes, status }) => [[...attributes], status]),
            (_, value) => typeof value === "bigint" ? String(value) : value
          ),
          "hunter2"
        )
      }).pipe(Effect.provide(MemoryStorage.layer)))
  })

  describe("measure", () => {
    it.effect("counts requests and bytes", () =>
      Effect.gen(function*() {
        const digest = yield* pushBlob("a", "hello")
        const app = Traffic.guard(RegistryServer.app, Traffic.measure)
        for (const method of ["GET", "GET", "BREW"]) {
          yield* Effect.scoped(Registry.sendTo(app)(method, `/v2/a/blobs/${digest}`))
        }
        const snapshot = yield* Metric.snapshot
        const series = snapshot.filter(({ id }) => id === "oci_registry_requests")
          .map((
            { attributes, state }
          ) => [attributes?.["method"], attributes?.["status"], "count" in state && state.count])
        assert.sameDeepMembers(series, [["GET", "200", 2], ["other", "405", 1]])
        const sent = snapshot.find(({ id }) => id === "oci_registry_sent_bytes")!.state
        assert.isAtLeast("count" in sent ? Number(sent.count) : 0, 10)
      }).pipe(
        Effect.provide(MemoryStorage.layer),
        Effect.provideService(Metric.MetricRegistry, new Map())
      ))
  })
})
