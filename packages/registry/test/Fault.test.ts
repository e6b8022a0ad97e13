import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeRegistry from "../src/FakeRegistry.ts"
import * as Fault from "../src/Fault.ts"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import * as RegistryServer from "../src/RegistryServer.ts"
import { Storage } from "../src/Storage.ts"
import { digestOf, encode, sendTo } from "./registry.ts"

const text = "hello world"
const blob = `http://r.test/v2/a/blobs/${digestOf(text)}`
const uploads = "http://r.test/v2/a/blobs/uploads/"

const layer = FakeRegistry.layer({ hosts: ["r.test", "other.test"] })

const get = (url: string) => Effect.flatMap(HttpClient.HttpClient, (client) => client.get(url))
const textOf = (url: string) => Effect.flatMap(get(url), (response) => response.text)
const statusOf = (url: string) => Effect.map(get(url), ({ status }) => status)
const post = (url: string, body: string) =>
  Effect.flatMap(
    HttpClient.HttpClient,
    (client) => client.execute(HttpClientRequest.post(url).pipe(HttpClientRequest.bodyUint8Array(encode(body))))
  )

/** A blob, and the faults that come after it. */
const broken = Effect.fnUntraced(function*(...faults: ReadonlyArray<Fault.Fault>) {
  yield* post(`${uploads}?digest=${digestOf(text)}`, text)
  const fake = yield* FakeRegistry.FakeRegistry
  yield* fake.inject(...faults)
})

describe("Fault", () => {
  describe("Plan", () => {
    const ask = (plan: Fault.Plan, method: string, url: string, host = "r.test", now = 0) =>
      plan.next({ method, url, headers: Headers.fromInput({ host }) }, now)?._tag

    it("strikes by method, path and host, so many times after so many", () => {
      const plan = Fault.plan(Fault.status(503).on("PUT", "/manifests/").at("r.test").skip(1).times(2))
      const asked = [
        ask(plan, "GET", "/v2/a/manifests/1"),
        ask(plan, "PUT", "/v2/a/blobs/1"),
        ask(plan, "PUT", "/v2/a/manifests/1", "other.test"),
        ...Array.from({ length: 5 }, () => ask(plan, "PUT", "/v2/a/manifests/1"))
      ]
      const none = undefined
      assert.deepStrictEqual(asked, [none, none, none, none, "Status", "Status", none, none])
    })

    it("strikes by the query as well", () => {
      const plan = Fault.plan(Fault.status(503).on("POST", "/uploads/?mount="))
      const asked = ["", "?digest=sha256:a", "?mount=sha256:a&from=b"]
        .map((query) => ask(plan, "POST", `/v2/a/blobs/uploads/${query}`))
      assert.deepStrictEqual(asked, [undefined, undefined, "Status"])
    })

    it("strikes by whatever name a host has, and methods however they are spelled", () => {
      const strikes = (named: string, host: string) =>
        ask(Fault.plan(Fault.refuse.on("put").at(named)), "PUT", "/v2/a/manifests/1", host) === "Refuse"
      assert.isTrue(strikes("docker.io", "registry-1.docker.io"))
      assert.isTrue(strikes("Lab.Test:5000", "lab.test:5000"))
      assert.isFalse(strikes("docker.io", "docker.io.test"))
    })

    it("has the faults in the order they were ordered in", () => {
      const plan = Fault.plan(Fault.status(503), Fault.reset().times(2), Fault.stall())
      const asked = Array.from({ length: 5 }, () => ask(plan, "GET", "/"))
      assert.deepStrictEqual(asked, ["Status", "Reset", "Reset", "Stall", undefined])
    })

    it("strikes all in a window of time, from the first on", () => {
      const plan = Fault.plan(Fault.rateLimit(30).on("GET").skip(1).lasting("30 seconds"))
      const asked = [0, 10_000, 10_001, 39_999, 40_000, 90_000].map((now) => ask(plan, "GET", "/", "r.test", now))
      const none = undefined
      assert.deepStrictEqual(asked, [none, "Status", "Status", "Status", none, none])
    })

    /** Which of so many requests are struck, one a millisecond. */
    const run = (fault: Fault.Fault, count = 1000) => {
      const plan = Fault.plan(fault)
      return Array.from({ length: count }, (_, now) => ask(plan, "GET", "/", "r.test", now) !== undefined)
    }
    const struck = (fault: Fault.Fault, count?: number) => run(fault, count).filter((hit) => hit).length

    it("strikes some, by chance, the same for the same seed", () => {
      const some = Fault.reset().sometimes(0.25, "a")
      assert.deepStrictEqual(run(some), run(some))
      assert.notDeepEqual(run(some), run(Fault.reset().sometimes(0.25, "b")))
      assert.approximately(struck(some), 250, 60)
      assert.strictEqual(struck(Fault.reset().sometimes(0)), 0)
      assert.strictEqual(struck(Fault.reset().sometimes(1)), 1000)
    })

    it("strikes as rarely or often as it is told", () => {
      assert.approximately(struck(Fault.reset().sometimes(0.001), 20_000), 20, 15)
      assert.approximately(struck(Fault.reset().sometimes(0.999), 20_000), 19_980, 15)
    })

    it("throws dice of its own for each fault", () => {
      const plan = Fault.plan(Fault.reset().on("GET").sometimes(0.5), Fault.reset().on("PUT").sometimes(0.5))
      const drawn = (method: string) => Array.from({ length: 100 }, () => ask(plan, method, "/"))
      assert.notDeepEqual(drawn("GET"), drawn("PUT"))
    })

    it("strikes no more than it is told, within a window and by chance too, in whichever order that is said", () => {
      const both = (one: (fault: Fault.Fault) => Fault.Fault, other: (fault: Fault.Fault) => Fault.Fault) => [
        struck(one(other(Fault.reset()))),
        struck(other(one(Fault.reset())))
      ]
      const times = (fault: Fault.Fault) => fault.times(3)
      const lasting = (fault: Fault.Fault) => fault.lasting("100 millis")
      const sometimes = (fault: Fault.Fault) => fault.sometimes(0.5, "a")
      assert.deepStrictEqual(both(times, lasting), [3, 3])
      assert.deepStrictEqual(both(times, sometimes), [3, 3])
      assert.deepStrictEqual(struck(lasting(Fault.reset().times(1000))), 100)
      const [one, other] = both(lasting, sometimes)
      assert.strictEqual(one, other)
      assert.approximately(one!, 50, 20)
    })

    it("takes no number that is none", () => {
      const fault = Fault.reset()
      for (
        const make of [
          () => fault.times(NaN),
          () => fault.times(-1),
          () => fault.skip(NaN),
          () => fault.sometimes(NaN),
          () => fault.sometimes(50)
        ]
      ) assert.throws(make, RangeError)
      assert.strictEqual(struck(fault.times(0)), 0)
    })

    it("has one wait for the other, whatever they strike", () => {
      const plan = Fault.plan(
        ...Fault.sequence(
          Fault.status(503).on("PUT").times(2),
          Fault.reset().on("GET"),
          Fault.stall().lasting("1 second"),
          Fault.corrupt()
        )
      )
      const asked = [["GET", 0], ["PUT", 0], ["GET", 0], ["PUT", 0], ["PUT", 0], ["GET", 0], ["GET", 5], ["GET", 1005]]
        .map(([method, now]) => ask(plan, String(method), "/", "r.test", Number(now)))
      const none = undefined
      assert.deepStrictEqual(asked, [none, "Status", none, "Status", none, "Reset", "Stall", "Corrupt"])
    })

    it.effect("tells how many it struck, and forgets all when it is cleared", () =>
      Effect.gen(function*() {
        const plan = Fault.plan(Fault.status(503).times(5))
        for (let i = 0; i < 3; i++) ask(plan, "GET", "/")
        assert.strictEqual(yield* plan.struck, 3)
        yield* plan.clear
        assert.isUndefined(ask(plan, "GET", "/"))
        assert.strictEqual(yield* plan.struck, 0)
      }))

    it.effect("tells which have struck nobody", () =>
      Effect.gen(function*() {
        const [busy, later, never] = [
          Fault.status(503).skip(1),
          Fault.reset().on("PUT"),
          Fault.stall().at("other.test")
        ]
        const plan = Fault.plan(busy, later, never)
        ask(plan, "GET", "/")
        assert.deepStrictEqual(yield* plan.unmet, [busy, later, never])
        for (const method of ["GET", "PUT"]) ask(plan, method, "/")
        assert.deepStrictEqual(yield* plan.unmet, [never])
      }))

    it("strikes for ever", () => {
      const plan = Fault.plan(Fault.status(503).on("*").always())
      for (let i = 0; i < 100; i++) assert.strictEqual(ask(plan, "GET", "/"), "Status")
    })
  })

  describe("status", () => {
    it.effect("answers with an error body, or what is given", () =>
      Effect.gen(function*() {
        yield* broken(Fault.status(503), Fault.status(502, { body: "<html>", headers: { via: "proxy" } }))
        const first = yield* get(blob)
        assert.strictEqual(first.status, 503)
        assert.include(yield* first.text, `"code"`)
        const second = yield* get(blob)
        assert.deepStrictEqual([second.status, yield* second.text, second.headers["via"]], [502, "<html>", "proxy"])
        assert.strictEqual(yield* textOf(blob), text)
      }).pipe(Effect.provide(layer)))

    it.effect("SRV-44: says with 429 when to come back", () =>
      Effect.gen(function*() {
        yield* broken(Fault.rateLimit(7))
        const answer = yield* get(blob)
        assert.deepStrictEqual([answer.status, answer.headers["retry-after"]], [429, "7"])
        assert.include(yield* answer.text, "TOOMANYREQUESTS")
      }).pipe(Effect.provide(layer)))

    it.effect("asks for no body", () =>
      Effect.gen(function*() {
        yield* broken(Fault.status(503))
        const client = yield* HttpClient.HttpClient
        const answer = yield* client.execute(
          HttpClientRequest.post(uploads).pipe(HttpClientRequest.bodyStream(Stream.never))
        )
        assert.strictEqual(answer.status, 503)
      }).pipe(Effect.provide(layer)))
  })

  describe("reset", () => {
    it.effect("cuts the connection at once", () =>
      Effect.gen(function*() {
        yield* broken(Fault.reset())
        const error = yield* Effect.flip(get(blob))
        assert.strictEqual(error.reason._tag, "TransportError")
        assert.include(String(error.reason.cause), "ECONNRESET")
      }).pipe(Effect.provide(layer)))

    it.effect("cuts it within the request's body, which the registry has by then", () =>
      Effect.gen(function*() {
        const { headers } = yield* post(uploads, "")
        const location = `http://r.test${headers["location"]}`
        yield* broken(Fault.reset(6).on("PATCH"))
        const client = yield* HttpClient.HttpClient
        const patch = (body: Stream.Stream<Uint8Array>) =>
          client.execute(HttpClientRequest.patch(location).pipe(HttpClientRequest.bodyStream(body)))
        const error = yield* Effect.flip(patch(Stream.make(encode("hell"), encode("o world"))))
        assert.strictEqual(error.reason._tag, "TransportError")
        assert.strictEqual((yield* get(location)).headers["range"], "0-5")
        assert.strictEqual((yield* patch(Stream.make(encode("world")))).headers["range"], "0-10")
      }).pipe(Effect.provide(layer)))

    it.effect("does what was asked and loses the reply", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(Fault.lostReply.on("POST"))
        assert.isTrue(Exit.isFailure(yield* Effect.exit(post(`${uploads}?digest=${digestOf(text)}`, text))))
        assert.strictEqual(yield* textOf(blob), text)
      }).pipe(Effect.provide(layer)))
  })

  describe("stall", () => {
    it.effect("never answers, to anybody who waits", () =>
      Effect.gen(function*() {
        yield* broken(Fault.stall())
        const fiber = yield* Effect.forkChild(Effect.timeoutOption(get(blob), "1 hour"))
        yield* TestClock.adjust("1 hour")
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "None")
        assert.strictEqual(yield* textOf(blob), text)
      }).pipe(Effect.provide(layer)))

    it.effect("goes silent within the body", () =>
      Effect.gen(function*() {
        yield* broken(Fault.stall(5))
        const response = yield* get(blob)
        const seen: Array<number> = []
        const fiber = yield* Effect.forkChild(
          Effect.timeoutOption(
            Stream.runForEach(response.stream, (chunk) => Effect.sync(() => seen.push(...chunk))),
            "1 hour"
          )
        )
        yield* TestClock.adjust("1 hour")
        yield* Fiber.join(fiber)
        assert.strictEqual(new TextDecoder().decode(new Uint8Array(seen)), "hello")
      }).pipe(Effect.provide(layer)))
  })

  describe("stallUpload", () => {
    it.effect("takes some of a body and then no more", () =>
      Effect.gen(function*() {
        const { headers } = yield* post(uploads, "")
        const location = `http://r.test${headers["location"]}`
        yield* broken(Fault.stallUpload(6).on("PATCH"))
        const client = yield* HttpClient.HttpClient
        const patch = client.execute(
          HttpClientRequest.patch(location).pipe(HttpClientRequest.bodyUint8Array(encode(text)))
        )
        const fiber = yield* Effect.forkChild(Effect.timeoutOption(patch, "1 minute"))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "None")
        assert.strictEqual((yield* get(location)).headers["range"], "0-5")
      }).pipe(Effect.provide(layer)))
  })

  describe("truncate", () => {
    it.effect("cuts the reply's body, whose length was told", () =>
      Effect.gen(function*() {
        for (const after of [0, 5]) {
          yield* broken(Fault.truncate(after).on("GET"))
          const response = yield* get(blob)
          assert.strictEqual(response.headers["content-length"], "11")
          const seen: Array<number> = []
          const exit = yield* Effect.exit(
            Stream.runForEach(response.stream, (chunk) => Effect.sync(() => seen.push(...chunk)))
          )
          assert.isTrue(Exit.isFailure(exit))
          assert.strictEqual(seen.length, after)
        }
      }).pipe(Effect.provide(layer)))

    it.effect("ends it early, as if that were all", () =>
      Effect.gen(function*() {
        yield* broken(Fault.truncate(5, { end: "clean" }).on("GET"))
        const response = yield* get(blob)
        assert.isUndefined(response.headers["content-length"])
        assert.strictEqual(yield* response.text, "hello")
      }).pipe(Effect.provide(layer)))
  })

  describe("corrupt", () => {
    it.effect("flips one bit on the way, and none in the storage", () =>
      Effect.gen(function*() {
        yield* broken(Fault.corrupt(6).on("GET"))
        assert.strictEqual(yield* textOf(blob), "hello vorld")
        assert.strictEqual(yield* textOf(blob), text)
      }).pipe(Effect.provide(layer)))
  })

  it.effect("corrupts no storage of Node buffers either", () =>
    Effect.gen(function*() {
      const stored = Buffer.from(text)
      const storage = { ...(yield* MemoryStorage.make), readBlob: () => Effect.succeed(Stream.succeed(stored)) }
      const send = sendTo(Fault.guard(
        Effect.provideService(RegistryServer.app, Storage, storage),
        Fault.plan(Fault.corrupt(6).on("GET"))
      ))
      yield* send("POST", `/v2/a/blobs/uploads/?digest=${digestOf(text)}`, { body: encode(text) })
      assert.strictEqual((yield* send("GET", `/v2/a/blobs/${digestOf(text)}`)).text, "hello vorld")
      assert.strictEqual(stored.toString(), text)
    }))

  describe("trickle", () => {
    it.effect("lets the rest come a byte at a time", () =>
      Effect.gen(function*() {
        yield* broken(Fault.trickle(1, 6).on("GET"))
        const fiber = yield* Effect.forkChild(textOf(blob))
        yield* TestClock.adjust("4999 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* Fiber.join(fiber), text)
      }).pipe(Effect.provide(layer)))
  })

  describe("overlong", () => {
    it.effect("adds bytes after the last", () =>
      Effect.gen(function*() {
        yield* broken(Fault.overlong(5).on("GET"))
        const response = yield* get(blob)
        assert.isUndefined(response.headers["content-length"])
        assert.strictEqual((yield* response.text).length, text.length + 5)
      }).pipe(Effect.provide(layer)))
  })

  describe("headers", () => {
    it.effect("changes some, and leaves some out", () =>
      Effect.gen(function*() {
        yield* broken(Fault.headers({ "docker-content-digest": "sha256:no", etag: undefined }).on("GET"))
        const response = yield* get(blob)
        assert.strictEqual(response.headers["docker-content-digest"], "sha256:no")
        assert.isUndefined(response.headers["etag"])
        assert.strictEqual(response.headers["content-length"], "11")
        assert.strictEqual(yield* response.text, text)
      }).pipe(Effect.provide(layer)))

    it.effect("changes some by what the registry says", () =>
      Effect.gen(function*() {
        yield* broken(
          Fault.headers({
            "docker-content-digest": (told, { method }) => `${method} ${told}`,
            etag: () => undefined,
            warning: (told) => String(told)
          }).on("GET")
        )
        const { headers } = yield* get(blob)
        assert.match(headers["docker-content-digest"]!, /^GET sha256:[0-9a-f]{64}$/)
        assert.isUndefined(headers["etag"])
        assert.strictEqual(headers["warning"], "undefined")
      }).pipe(Effect.provide(layer)))
  })

  describe("lie", () => {
    it.effect("says something else of what it gives", () =>
      Effect.gen(function*() {
        yield* broken(
          Fault.lie({ digest: "sha256:no", length: 5, range: "bytes 1-2/3", location: "http://evil.test/" }).on("GET"),
          Fault.lie({}).on("GET")
        )
        const { headers } = yield* get(blob)
        assert.deepStrictEqual(
          ["docker-content-digest", "content-length", "content-range", "location"].map((name) => headers[name]),
          ["sha256:no", "5", "bytes 1-2/3", "http://evil.test/"]
        )
        assert.strictEqual((yield* get(blob)).headers["content-length"], "11")
      }).pipe(Effect.provide(layer)))
  })

  it.effect("lies about the range that an upload has come to", () =>
    Effect.gen(function*() {
      yield* broken(Fault.lie({ range: "0-3" }).on("*", "/uploads/").times(2))
      const { headers } = yield* post(uploads, "")
      const asked = yield* get(`http://r.test${headers["location"]}`)
      assert.deepStrictEqual([headers["range"], asked.headers["range"]], ["0-3", "0-3"])
      assert.isUndefined(headers["content-range"])
    }).pipe(Effect.provide(layer)))

  it.effect("lies about the length, as much of the body as a wire would show", () =>
    Effect.gen(function*() {
      yield* broken(...[5, 0, 20, 11].map((length) => Fault.lie({ length }).on("GET")))
      const said = ["hello", "", undefined, text]
      for (const expected of said) {
        const body = Effect.flatMap(get(blob), (response) => response.text)
        assert.strictEqual(Option.getOrUndefined(yield* Effect.option(body)), expected)
      }
      yield* broken(Fault.lie({ length: 5 }).on("HEAD"))
      const client = yield* HttpClient.HttpClient
      const head = yield* client.head(blob)
      assert.deepStrictEqual([head.headers["content-length"], yield* head.text], ["5", ""])
    }).pipe(Effect.provide(layer)))

  describe("refuse", () => {
    it.effect("lets nobody connect", () =>
      Effect.gen(function*() {
        yield* broken(Fault.refuse)
        const error = yield* Effect.flip(get(blob))
        assert.deepPropertyVal(error.reason.cause, "code", "ECONNREFUSED")
        assert.strictEqual(yield* statusOf(blob), 200)
      }).pipe(Effect.provide(layer)))
  })

  describe("tokenExpired", () => {
    const auth = { scheme: "bearer", users: { ann: "s3cret" }, anonymousPull: ["public/**"] } as const

    it.effect("has a token refused as one that is too old, whoever may read without one", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const client = yield* HttpClient.HttpClient
        const scopes = "scope=repository:public/a:pull&scope=repository:a:pull"
        const token = yield* client.get(`http://r.test/token?${scopes}`, {
          headers: { authorization: `Basic ${btoa("ann:s3cret")}` }
        })
        const headers = { authorization: `Bearer ${Object(yield* token.json).token}` }
        const ask = Effect.forEach(
          ["public/a", "a"],
          (name) =>
            Effect.map(
              client.get(`http://r.test/v2/${name}/manifests/1`, { headers }),
              ({ headers, status }) => [status, headers["www-authenticate"]] as const
            )
        )
        assert.deepStrictEqual((yield* ask).map(([status]) => status), [404, 404])
        yield* fake.inject(Fault.tokenExpired.times(2))
        const struck = yield* ask
        yield* TestClock.adjust("6 minutes")
        assert.deepStrictEqual(struck, yield* ask)
        for (const [status, challenge] of struck) {
          assert.strictEqual(status, 401)
          assert.include(challenge, `error="invalid_token"`)
        }
      }).pipe(Effect.provide(FakeRegistry.layer({ hosts: ["r.test"], auth }))))

    it.effect("strikes nobody who has no token", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const client = yield* HttpClient.HttpClient
        yield* fake.inject(Fault.tokenExpired)
        yield* client.get("http://r.test/v2/public/a/manifests/1")
        yield* client.get("http://r.test/token", { headers: { authorization: `Basic ${btoa("ann:s3cret")}` } })
        assert.strictEqual(yield* fake.struck, 0)
      }).pipe(Effect.provide(FakeRegistry.layer({ hosts: ["r.test"], auth }))))
  })

  describe("sessionLost", () => {
    it.effect("loses the session, for all requests to it", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const client = yield* HttpClient.HttpClient
        const opened = Effect.map(post(uploads, ""), ({ headers }) => `http://r.test${headers["location"]}`)
        const location = yield* opened
        const other = yield* opened
        const patch = (to: string) =>
          client.execute(HttpClientRequest.patch(to).pipe(HttpClientRequest.bodyUint8Array(encode(text))))
        yield* fake.inject(Fault.sessionLost)
        for (let i = 0; i < 2; i++) {
          const answer = yield* patch(location)
          assert.strictEqual(answer.status, 404)
          assert.include(yield* answer.text, "BLOB_UPLOAD_UNKNOWN")
        }
        assert.strictEqual(yield* statusOf(location), 404)
        assert.strictEqual((yield* patch(other)).status, 202)
      }).pipe(Effect.provide(layer)))

    it.effect("strikes nothing but sessions", () =>
      Effect.gen(function*() {
        yield* broken(Fault.sessionLost)
        const fake = yield* FakeRegistry.FakeRegistry
        assert.strictEqual(yield* statusOf(blob), 200)
        assert.strictEqual((yield* post(uploads, "")).status, 202)
        assert.strictEqual(yield* fake.struck, 0)
      }).pipe(Effect.provide(layer)))
  })

  describe("bandwidth", () => {
    it.effect("slows the bodies of one request", () =>
      Effect.gen(function*() {
        yield* broken(Fault.bandwidth(1).on("GET"))
        const fiber = yield* Effect.forkChild(textOf(blob))
        yield* TestClock.adjust("10999 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* Fiber.join(fiber), text)
        yield* broken(Fault.bandwidth(1).on("POST"))
        const upload = yield* Effect.forkChild(post(`${uploads}?digest=${digestOf("abc")}`, "abc"))
        yield* TestClock.adjust("2999 millis")
        assert.isUndefined(upload.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* Fiber.join(upload)).status, 201)
      }).pipe(Effect.provide(layer)))
  })

  describe("forget", () => {
    it.effect("answers as if a header had not been sent", () =>
      Effect.gen(function*() {
        yield* broken(Fault.forget("Range").on("GET"))
        const client = yield* HttpClient.HttpClient
        const statuses = yield* Effect.replicateEffect(client.get(blob, { headers: { range: "bytes=6-" } }), 2)
        assert.deepStrictEqual(statuses.map(({ status }) => status), [200, 206])
        yield* broken(Fault.forget("Range").on("GET"))
        yield* get(blob)
        assert.strictEqual(yield* (yield* FakeRegistry.FakeRegistry).struck, 1)
      }).pipe(Effect.provide(layer)))
  })

  describe("late", () => {
    it.effect("answers once the body is there", () =>
      Effect.gen(function*() {
        yield* broken(Fault.status(503, { late: true }).on("POST"))
        let sent = 0
        const body = Stream.map(Stream.make("a", "b", "c"), (part) => {
          sent++
          return encode(part)
        })
        const client = yield* HttpClient.HttpClient
        const answer = yield* client.execute(HttpClientRequest.post(uploads).pipe(HttpClientRequest.bodyStream(body)))
        assert.deepStrictEqual([answer.status, sent], [503, 3])
      }).pipe(Effect.provide(layer)))
  })

  describe("latency", () => {
    it.effect("answers later", () =>
      Effect.gen(function*() {
        yield* broken(Fault.latency("3 seconds"))
        const fiber = yield* Effect.forkChild(statusOf(blob))
        yield* TestClock.adjust("2999 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* Fiber.join(fiber), 200)
      }).pipe(Effect.provide(layer)))
  })

  describe("guard", () => {
    it.effect("stands before any registry", () =>
      Effect.gen(function*() {
        const send = sendTo(Fault.guard(RegistryServer.app, Fault.plan(Fault.status(500), Fault.reset())))
        assert.strictEqual((yield* send("GET", "/v2/")).status, 500)
        assert.strictEqual((yield* Effect.flip(send("GET", "/v2/")))._tag, "Disconnected")
        assert.strictEqual((yield* send("GET", "/v2/")).status, 200)
      }).pipe(Effect.provide(MemoryStorage.layer)))
  })
})
