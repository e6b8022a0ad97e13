import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeImage from "../src/FakeImage.ts"
import * as FakeRegistry from "../src/FakeRegistry.ts"
import * as Fault from "../src/Fault.ts"
import * as MemoryStorage from "../src/MemoryStorage.ts"
import { digestOf, encode } from "./registry.ts"

const { FakeRegistry: Fake } = FakeRegistry
const layer = FakeRegistry.layer({ hosts: ["ghcr.io", "docker.io", "localhost:5000"] })

const execute = (request: HttpClientRequest.HttpClientRequest) =>
  Effect.flatMap(HttpClient.HttpClient, (client) => client.execute(request))
const get = (url: string) => execute(HttpClientRequest.get(url))

describe("FakeRegistry", () => {
  it.effect("has each host for itself, by the name that is dialled", () =>
    Effect.gen(function*() {
      const fake = yield* Fake
      yield* fake.seed("docker.io/app:1", FakeImage.image())
      assert.strictEqual((yield* get("https://registry-1.docker.io/v2/library/app/manifests/1")).status, 200)
      assert.strictEqual((yield* get("https://ghcr.io/v2/library/app/manifests/1")).status, 404)
      assert.strictEqual((yield* get("http://localhost:5000/v2/")).status, 200)
    }).pipe(Effect.provide(layer)))

  it.effect("knows no other host", () =>
    Effect.gen(function*() {
      for (const url of ["https://quay.io/v2/", "http://localhost:5001/v2/", "http://localhost/v2/"]) {
        const error = yield* Effect.flip(get(url))
        assert.strictEqual(error.reason._tag, "TransportError")
        assert.deepPropertyVal(error.reason.cause, "code", "ENOTFOUND")
      }
    }).pipe(Effect.provide(layer)))

  it.effect("starts empty each time", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 2; i++) {
        yield* Effect.gen(function*() {
          const fake = yield* Fake
          assert.deepStrictEqual(yield* fake.tags("ghcr.io/app"), [])
          yield* fake.seed("ghcr.io/app:1", FakeImage.image())
          assert.deepStrictEqual(yield* fake.tags("ghcr.io/app"), ["1"])
        }).pipe(Effect.provide(layer))
      }
    }))

  it.effect("lets each host have its own rules", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* get("https://open.test/v2/")).status, 200)
      assert.strictEqual((yield* get("https://closed.test/v2/")).status, 401)
      const upload = HttpClientRequest.post("https://still.test/v2/a/blobs/uploads/")
      assert.strictEqual((yield* execute(upload)).status, 405)
    }).pipe(Effect.provide(FakeRegistry.layer({
      hosts: [
        "open.test",
        { name: "closed.test", auth: { scheme: "basic", users: {} } },
        { name: "still.test", settings: { readOnly: true } }
      ]
    }))))

  it.effect("has what it is seeded with, and again when it was reset", () =>
    Effect.gen(function*() {
      const fake = yield* Fake
      for (let i = 0; i < 2; i++) {
        assert.deepStrictEqual(yield* fake.tags("ghcr.io/acme/app"), ["1"])
        assert.deepStrictEqual(yield* fake.tags("docker.io/library/busybox"), ["latest"])
        assert.isTrue(Option.isSome(yield* fake.manifest("ghcr.io/acme/app:1")))
        yield* fake.seed("ghcr.io/acme/app:2", FakeImage.image())
        yield* fake.reset
      }
      assert.deepStrictEqual(yield* fake.requests, [])
    }).pipe(Effect.provide(FakeRegistry.layer({
      hosts: ["ghcr.io", "docker.io"],
      seed: { "ghcr.io/acme/app:1": FakeImage.index(), "busybox:latest": FakeImage.image() }
    }))))

  const defectOf = <A, R>(effect: Effect.Effect<A, never, R>) =>
    Effect.map(Effect.exit(effect), (exit) => Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "none")
  const opened = (options: FakeRegistry.Options) => Effect.scoped(Layer.build(FakeRegistry.layer(options)))

  it.effect("has no host twice, by whatever name", () =>
    Effect.gen(function*() {
      for (const twice of [["ghcr.io", { name: "ghcr.io", settings: {} }], ["docker.io", "registry-1.docker.io"]]) {
        assert.include(yield* defectOf(opened({ hosts: ["r.test", ...twice] })), "there are two registries")
      }
    }))

  it.effect("is as far away as it is told, by the clock of the test", () =>
    Effect.gen(function*() {
      for (const [host, millis] of [["near.test", 20], ["far.test", 200]] as const) {
        const fiber = yield* Effect.forkChild(get(`https://${host}/v2/`))
        yield* TestClock.adjust(millis - 1)
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* Fiber.join(fiber)).status, 200)
      }
    }).pipe(Effect.provide(FakeRegistry.layer({
      hosts: ["near.test", { name: "far.test", link: { latency: "200 millis" } }],
      link: { latency: "20 millis" }
    }))))

  describe("seed", () => {
    it.effect("puts an index with all it names, under its tag", () =>
      Effect.gen(function*() {
        const fake = yield* Fake
        const content = yield* FakeImage.index({ layers: 2 })
        const root = yield* fake.seed("ghcr.io/acme/app:1.2", content)
        assert.deepStrictEqual(root, content.root)
        const stored = yield* fake.manifest("ghcr.io/acme/app:1.2")
        assert.strictEqual(Option.getOrThrow(stored).digest, root.digest)
        assert.deepStrictEqual(yield* fake.tags("ghcr.io/acme/app"), ["1.2"])
        assert.deepStrictEqual(
          yield* fake.blobs("ghcr.io/acme/app"),
          content.blobs.map(({ descriptor }) => descriptor.digest).sort()
        )
        for (const { bytes, descriptor } of content.blobs) {
          const response = yield* get(`https://ghcr.io/v2/acme/app/blobs/${descriptor.digest}`)
          assert.deepStrictEqual(new Uint8Array(yield* response.arrayBuffer), bytes)
          assert.deepStrictEqual(yield* fake.blob(`ghcr.io/acme/app@${descriptor.digest}`), Option.some(bytes))
        }
      }).pipe(Effect.provide(layer)))

    it.effect("leaves the tag out where there is none", () =>
      Effect.gen(function*() {
        const fake = yield* Fake
        const image = yield* fake.seed("ghcr.io/app:1", FakeImage.image())
        const sbom = yield* fake.seed(
          "ghcr.io/app",
          FakeImage.artifact({ artifactType: "application/x.sbom", subject: image })
        )
        assert.deepStrictEqual(yield* fake.tags("ghcr.io/app"), ["1"])
        const referrers = yield* get(`https://ghcr.io/v2/app/referrers/${image.digest}`)
        assert.include(yield* referrers.text, sbom.digest)
      }).pipe(Effect.provide(layer)))

    it.effect("passes authentication, meets no fault and is no request", () =>
      Effect.gen(function*() {
        const fake = yield* Fake
        yield* fake.seed("r.test/app:1", FakeImage.image())
        assert.deepStrictEqual(yield* fake.tags("r.test/app"), ["1"])
        assert.deepStrictEqual(yield* fake.requests, [])
      }).pipe(
        Effect.provide(FakeRegistry.layer({
          hosts: ["r.test"],
          auth: { scheme: "bearer", users: {} },
          settings: { readOnly: true },
          faults: [Fault.status(503).always()]
        }))
      ))

    it.effect("dies of a host that is not there", () =>
      Effect.gen(function*() {
        const fake = yield* Fake
        const exit = yield* Effect.exit(fake.seed("quay.io/app:1", FakeImage.image()))
        assert.strictEqual(exit._tag, "Failure")
        assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "quay.io")
      }).pipe(Effect.provide(layer)))
  })

  describe("requests", () => {
    it.effect("tells what was asked, without secrets", () =>
      Effect.gen(function*() {
        const fake = yield* Fake
        yield* execute(
          HttpClientRequest.get("https://ghcr.io/v2/app/tags/list?n=5", {
            headers: { authorization: "Bearer s3cret", cookie: "s3cret", accept: "application/json" }
          })
        )
        const requests = (yield* fake.requests).map(({ headers, ...made }) => {
          const { authorization, cookie, accept } = headers
          return { ...made, headers: { authorization, cookie, accept } }
        })
        assert.deepStrictEqual(requests, [{
          at: 0,
          protocol: "https",
          method: "GET",
          host: "ghcr.io",
          path: "/v2/app/tags/list",
          query: "?n=5",
          headers: { authorization: "Bearer <redacted>", cookie: "<redacted>", accept: "application/json" },
          status: 404,
          user: undefined,
          received: 0
        }])
      }).pipe(Effect.provide(layer)))

    it.effect("hides all that may be a secret: of what the specification does not know of a query, and in headers", () =>
      Effect.gen(function*() {
        const fake = yield* Fake
        const secrets = ["proxy-authorization", "x-registry-auth", "x-api-key", "private-token", "x-amz-security-token"]
        const shown = { "user-agent": "test", range: "bytes=0-1", "x-request-id": "7", "content-range": "0-1" }
        yield* execute(
          HttpClientRequest.get("https://ghcr.io/v2/app/tags/list?n=5&password=s3cret&x%3Fn=s3cret&last=a:b", {
            headers: { ...Object.fromEntries(secrets.map((name) => [name, "s3cret"])), ...shown }
          })
        )
        const [made] = yield* fake.requests
        assert.notInclude(JSON.stringify(made), "s3cret")
        assert.strictEqual(made!.query, "?n=5&password=REDACTED&x%3Fn=REDACTED&last=a:b")
        assert.deepInclude(made!.headers, shown)
        for (const name of secrets) assert.strictEqual(made!.headers[name], "<redacted>")
      }).pipe(Effect.provide(layer)))

    it.effect("tells when it was made and by whom, over which protocol, and how much it brought", () =>
      Effect.gen(function*() {
        const fake = yield* Fake
        const push = (protocol: string, body: string) =>
          execute(
            HttpClientRequest.post(`${protocol}://r.test/v2/a/blobs/uploads/?digest=${digestOf(body)}`, {
              headers: { authorization: `Basic ${btoa("ann:s3cret")}` }
            }).pipe(HttpClientRequest.bodyStream(Stream.make(encode(body))))
          )
        yield* fake.inject(Fault.reset(2).skip(1))
        yield* push("https", "hello")
        yield* TestClock.adjust("1 minute")
        yield* Effect.flip(push("http", "hello"))
        assert.deepStrictEqual(
          (yield* fake.requests).map((
            { at, protocol, received, status, user }
          ) => [at, protocol, user, received, status]),
          [[0, "https", "ann", 5, 201], [60_000, "http", "ann", 2, undefined]]
        )
      }).pipe(
        Effect.provide(FakeRegistry.layer({ hosts: ["r.test"], auth: { scheme: "basic", users: { ann: "s3cret" } } }))
      ))

    it.effect("tells of a request that had no reply", () =>
      Effect.gen(function*() {
        const fake = yield* Fake
        yield* fake.inject(Fault.reset())
        yield* Effect.flip(get("https://ghcr.io/v2/"))
        assert.deepStrictEqual((yield* fake.requests).map(({ status }) => status), [undefined])
      }).pipe(Effect.provide(layer)))
  })

  describe("repositories", () => {
    it.effect("are those of one registry, by their names", () =>
      Effect.gen(function*() {
        const fake = yield* Fake
        for (const name of ["docker.io/app", "docker.io/acme/app", "ghcr.io/b", "localhost:5000/c"]) {
          yield* fake.seed(`${name}:1`, FakeImage.image())
        }
        assert.deepStrictEqual(yield* fake.repositories("ghcr.io"), ["ghcr.io/b"])
        assert.deepStrictEqual(yield* fake.repositories("localhost:5000"), ["localhost:5000/c"])
        const all = yield* fake.repositories("docker.io")
        assert.deepStrictEqual(all, ["docker.io/acme/app", "docker.io/library/app"])
        assert.deepStrictEqual(yield* Effect.forEach(all, fake.tags), [["1"], ["1"]])
        assert.include(yield* defectOf(fake.repositories("quay.io")), "no registry quay.io")
      }).pipe(Effect.provide(layer)))
  })

  describe("storage", () => {
    it.effect("is asked for by name, and again for a reset", () =>
      Effect.gen(function*() {
        const asked: Array<string> = []
        const storage = (name: string) => {
          asked.push(name)
          return MemoryStorage.make
        }
        yield* Effect.gen(function*() {
          const fake = yield* Fake
          yield* fake.seed("ghcr.io/app:1", FakeImage.image())
          yield* fake.reset
          assert.deepStrictEqual(yield* fake.repositories("ghcr.io"), [])
        }).pipe(Effect.provide(FakeRegistry.layer({ hosts: ["ghcr.io", "docker.io"], storage })))
        assert.deepStrictEqual(asked, ["ghcr.io", "docker.io", "ghcr.io", "docker.io"])
      }))

    it.effect("is no other registry's, and empty", () =>
      Effect.gen(function*() {
        const kept = yield* MemoryStorage.make
        const storage = () => Effect.succeed(kept)
        assert.include(yield* defectOf(opened({ hosts: ["ghcr.io", "docker.io"], storage })), "storage of docker.io")
        yield* Effect.gen(function*() {
          const fake = yield* Fake
          yield* fake.seed("ghcr.io/app:1", FakeImage.image())
          assert.include(yield* defectOf(fake.reset), "storage of ghcr.io is not empty")
        }).pipe(Effect.provide(FakeRegistry.layer({ hosts: ["ghcr.io"], storage })))
      }))
  })

  describe("inject", () => {
    it.effect("dies of a fault at a host that is not there", () =>
      Effect.gen(function*() {
        const typo = Fault.status(503).at("gchr.io")
        const fake = yield* Fake
        assert.include(yield* defectOf(fake.inject(Fault.status(503).at("docker.io"), typo)), "no registry gchr.io")
        assert.include(yield* defectOf(opened({ hosts: ["ghcr.io"], faults: [typo] })), "no registry gchr.io")
        assert.strictEqual((yield* get("https://registry-1.docker.io/v2/")).status, 200)
      }).pipe(Effect.provide(layer)))
  })

  describe("unmet", () => {
    it.effect("tells which faults no request has met", () =>
      Effect.gen(function*() {
        const fake = yield* Fake
        const [met, unmet] = [Fault.status(503).at("ghcr.io"), Fault.status(503).on("PUT")]
        yield* fake.inject(met, unmet)
        yield* get("https://ghcr.io/v2/")
        assert.deepStrictEqual(yield* fake.unmet, [unmet])
        yield* fake.reset
        assert.deepStrictEqual(yield* fake.unmet, [])
      }).pipe(Effect.provide(layer)))
  })

  describe("reset", () => {
    it.effect("empties the registries and forgets what was ordered", () =>
      Effect.gen(function*() {
        const fake = yield* Fake
        yield* fake.seed("ghcr.io/app:1", FakeImage.image())
        yield* fake.inject(Fault.status(503).always())
        yield* get("https://ghcr.io/v2/")
        yield* fake.reset
        assert.deepStrictEqual(yield* fake.requests, [])
        assert.deepStrictEqual(yield* fake.tags("ghcr.io/app"), [])
        assert.strictEqual((yield* get("https://ghcr.io/v2/")).status, 200)
      }).pipe(Effect.provide(layer)))
  })

  describe("bodies", () => {
    it.effect("are none of a HEAD, as on a wire", () =>
      Effect.gen(function*() {
        const fake = yield* Fake
        yield* fake.inject(Fault.status(503, { body: "later" }))
        const response = yield* execute(HttpClientRequest.head("https://ghcr.io/v2/"))
        assert.deepStrictEqual([response.status, yield* response.text], [503, ""])
      }).pipe(Effect.provide(layer)))

    const size = 8 * 1024 * 1024
    const all = new Uint8Array(size).fill(7)
    const url = `https://ghcr.io/v2/app/blobs/${digestOf(all)}`

    it.effect("flow to the reader as they are pulled", () =>
      Effect.gen(function*() {
        const pieces = Stream.make(all.subarray(0, size / 2), all.subarray(size / 2))
        yield* execute(
          HttpClientRequest.post(`https://ghcr.io/v2/app/blobs/uploads/?digest=${digestOf(all)}`).pipe(
            HttpClientRequest.bodyStream(pieces)
          )
        )
        const response = yield* get(url)
        const first = yield* Stream.runCollect(Stream.take(response.stream, 1))
        assert.isBelow(first[0]!.length, size)
        assert.strictEqual(yield* Stream.runFold(response.stream, () => 0, (n, chunk) => n + chunk.length), size)
      }).pipe(Effect.provide(layer)))

    it.effect("are asked of the writer as they are taken, and not at all where nobody wants them", () =>
      Effect.gen(function*() {
        let pulled = 0
        const body = Stream.fromIterable(
          (function*() {
            for (; pulled < 100; pulled++) yield encode("x")
          })(),
          { chunkSize: 1 }
        )
        const put = (path: string) =>
          execute(HttpClientRequest.put(`https://ghcr.io${path}`).pipe(HttpClientRequest.bodyStream(body)))
        assert.strictEqual((yield* put("/v2/app/blobs/uploads/none?digest=x")).status, 404)
        assert.strictEqual(pulled, 0)
        const { headers } = yield* execute(HttpClientRequest.post("https://ghcr.io/v2/app/blobs/uploads/"))
        const digest = digestOf("x".repeat(100))
        assert.strictEqual((yield* put(`${headers["location"]}?digest=${digest}`)).status, 201)
        assert.strictEqual(pulled, 100)
      }).pipe(Effect.provide(layer)))

    it.effect("that break are the client's own failure", () =>
      Effect.gen(function*() {
        const body = Stream.concat(Stream.make(encode("x")), Stream.fail("disk"))
        const request = HttpClientRequest.post(`https://ghcr.io/v2/app/blobs/uploads/?digest=${digestOf("x")}`)
        const error = yield* Effect.flip(execute(HttpClientRequest.bodyStream(request, body)))
        assert.deepStrictEqual([error.reason._tag, error.reason.cause], ["TransportError", "disk"])
        const fake = yield* Fake
        assert.deepStrictEqual(yield* fake.blobs("ghcr.io/app"), [])
      }).pipe(Effect.provide(layer)))
  })
})
