import * as Credential from "@effect-oci/authn/Credential"
import * as Hasher from "@effect-oci/content/Hasher"
import type * as Digest from "@effect-oci/name/Digest"
import * as Repository from "@effect-oci/name/Repository"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Uploads from "../src/Uploads.ts"
import { bytes } from "./image.ts"
import { layer, patiently, requestsOf } from "./registries.ts"

const app = Repository.parseUnsafe("ghcr.io/acme/app")
const base = Repository.parseUnsafe("ghcr.io/acme/base")
const other = Repository.parseUnsafe("ghcr.io/acme/other")

const described = Effect.fnUntraced(function*(data: Uint8Array, algorithm: Digest.Algorithm = "sha256") {
  const digest = Hasher.digestOf(yield* Hasher.Hashing, data, algorithm)
  return { mediaType: "application/octet-stream", digest, size: data.length }
})

const push = Effect.fnUntraced(function*(
  data: Uint8Array,
  options?: Uploads.Options,
  repository: Repository.Repository = app,
  algorithm?: Digest.Algorithm
) {
  const body = (offset: number) => Stream.succeed(data.subarray(offset))
  return yield* Uploads.push(repository, yield* described(data, algorithm), body, options)
})

const holds = Effect.fnUntraced(function*(data: Uint8Array, repository: Repository.Repository = app) {
  const fake = yield* FakeRegistry.FakeRegistry
  return (yield* fake.blobs(repository.name)).includes((yield* described(data)).digest)
})

/** The requests of uploads, without the session's id. */
const uploads = (made: ReadonlyArray<FakeRegistry.Made>) =>
  made.filter(({ path }) => path.includes("/uploads/"))
    .map(({ method, query, status }) => `${method} ${query.split("=")[0]} ${status}`)

const rangesOf = (made: ReadonlyArray<FakeRegistry.Made>) =>
  made.flatMap(({ headers, method }) => "content-range" in headers ? [`${method} ${headers["content-range"]}`] : [])

const yields = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

const small = bytes(100, 1)
const middle = bytes(200_000, 2)

describe("Uploads", () => {
  describe("push", () => {
    it.effect("sends a small blob in one POST, and all that are not large once that has been taken", () =>
      Effect.gen(function*() {
        const first = yield* requestsOf(push(middle))
        assert.deepStrictEqual(uploads(first.made), ["POST  202", "PUT ?digest 201"])
        const second = yield* requestsOf(push(small))
        assert.deepStrictEqual(uploads(second.made), ["POST ?digest 201"])
        const third = yield* requestsOf(push(bytes(200_000, 3)))
        assert.deepStrictEqual(uploads(third.made), ["POST ?digest 201"])
        assert.isTrue(yield* holds(small))
      }).pipe(Effect.provide(layer())))

    it.effect.each([["before it has read the body", false], ["once it has read the body", true]] as const)(
      "sends the body anew where the registry leads elsewhere %s",
      ([, late]) =>
        Effect.gen(function*() {
          const fake = yield* FakeRegistry.FakeRegistry
          yield* fake.inject(Fault.status(307, { headers: { location: "?there" }, late }).on("PATCH", "/uploads/"))
          const large = bytes(Uploads.monolithicLimit + 1, 7)
          const { made } = yield* requestsOf(push(large))
          assert.deepStrictEqual(uploads(made), ["POST  202", "PATCH  307", "PATCH ?there 202", "PUT ?digest 201"])
          assert.isTrue(yield* holds(large))
        }).pipe(Effect.provide(layer()))
    )

    it.effect("sends the digest to a session whose location has a fragment", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const location = (before: string | undefined) => `${before ?? ""}#part`
        yield* fake.inject(Fault.headers({ location }).on("POST", "/uploads/").always())
        const { made } = yield* requestsOf(push(middle))
        assert.deepStrictEqual(uploads(made), ["POST  202", "PUT ?digest 201"])
      }).pipe(Effect.provide(layer())))

    it.effect("CLI-08: goes on with PUT where the POST gave a session, and remembers it", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(
          Fault.status(202, { body: "", headers: { location: "/v2/acme/app/blobs/uploads/1" }, late: true })
            .on("POST", "/uploads/"),
          Fault.status(201, { body: "", late: true }).on("PUT", "/uploads/1")
        )
        const { made } = yield* requestsOf(push(small))
        assert.deepStrictEqual(uploads(made), ["POST ?digest 202", "PUT ?digest 201"])
        const again = yield* requestsOf(push(bytes(99, 1)))
        assert.deepStrictEqual(uploads(again.made), ["POST  202", "PUT ?digest 201"])
      }).pipe(Effect.provide(layer())))

    for (const status of [400, 405, 404, 411]) {
      it.effect(`begins in the usual way where the POST is refused with ${status}`, () =>
        Effect.gen(function*() {
          const fake = yield* FakeRegistry.FakeRegistry
          yield* fake.inject(Fault.status(status).on("POST", "/uploads/"))
          const { made } = yield* requestsOf(push(small))
          assert.deepStrictEqual(uploads(made), [`POST ?digest ${status}`, "POST  202", "PUT ?digest 201"])
          assert.isTrue(yield* holds(small))
        }).pipe(Effect.provide(layer())))
    }

    it.effect("tries a single POST with one blob at a time, and lets no other wait for the answer", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(Fault.latency("1 hour").on("POST", "/uploads/"))
        const first = yield* Effect.forkChild(push(small))
        while ((yield* fake.requests).every(({ method }) => method !== "POST")) yield* yields
        const { made } = yield* requestsOf(push(bytes(99, 1)))
        assert.deepStrictEqual(uploads(made), ["POST  202", "PUT ?digest 201"])
        yield* patiently(Fiber.join(first))
        const later = yield* requestsOf(push(bytes(98, 1)))
        assert.deepStrictEqual(uploads(later.made), ["POST ?digest 201"])
      }).pipe(Effect.provide(layer())))

    it.effect("learns that a registry takes no single POST from a blob that it takes in the usual way, and from no other", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(Fault.status(404).on("POST", "/acme/app/").always())
        assert.strictEqual((yield* Effect.flip(push(small))).reason._tag, "NotFound")
        yield* fake.inject(Fault.status(400).on("POST", "/acme/other/"))
        const refused = yield* requestsOf(push(small, {}, other))
        assert.deepStrictEqual(uploads(refused.made), ["POST ?digest 400", "POST  202", "PUT ?digest 201"])
        const { made } = yield* requestsOf(push(bytes(99, 1), {}, other))
        assert.deepStrictEqual(uploads(made), ["POST  202", "PUT ?digest 201"])
      }).pipe(Effect.provide(layer())))

    it.effect("reads a tiny blob while its session is opened, and once however often it is sent", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(Fault.status(400).on("POST", "/uploads/"))
        yield* push(bytes(99, 1))
        yield* fake.inject(Fault.latency("1 hour").on("POST", "/uploads/"), Fault.reset().on("PUT", "/uploads/"))
        const reads: Array<number> = []
        const body = (offset: number) => Stream.sync(() => (reads.push(offset), small))
        const fiber = yield* Effect.forkChild(Uploads.push(app, yield* described(small), body))
        while (reads.length === 0) yield* yields
        assert.isFalse(yield* holds(small))
        yield* patiently(Fiber.join(fiber))
        assert.isTrue(yield* holds(small))
        assert.deepStrictEqual(reads, [0])
      }).pipe(Effect.provide(layer())))

    it.effect("takes no body that is longer or shorter than was said, however long it is", () =>
      Effect.gen(function*() {
        const endless = Stream.forever(Stream.succeed(small))
        for (const body of [endless, Stream.empty, Stream.succeed(small.subarray(1))]) {
          const exit = yield* patiently(Effect.exit(Uploads.push(app, yield* described(small), () => body)))
          assert.isTrue(Exit.isFailure(exit))
        }
        assert.isFalse(yield* holds(small))
      }).pipe(Effect.provide(layer())))

    it.effect("fails as its body does, and leaves no session", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(Fault.status(400).on("POST", "/uploads/"))
        yield* push(bytes(99, 1))
        for (const before of [Effect.void, yields, Effect.andThen(yields, yields)]) {
          const body = () => Stream.fromEffect(Effect.andThen(before, Effect.fail("no more")))
          const { made, result } = yield* requestsOf(Effect.flip(Uploads.push(app, yield* described(small), body)))
          assert.strictEqual(result, "no more")
          const count = (method: string, status: number) =>
            made.filter((request) => request.method === method && request.status === status).length
          assert.strictEqual(count("POST", 202), count("DELETE", 204))
        }
      }).pipe(Effect.provide(layer())))

    it.effect("knows a POST by its effect where its reply was lost", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(Fault.lostReply.on("POST", "/uploads/"))
        const { made } = yield* requestsOf(patiently(push(small)))
        assert.deepStrictEqual(uploads(made), ["POST ?digest undefined"])
        assert.isTrue(yield* holds(small))
      }).pipe(Effect.provide(layer())))

    it.effect("sends in chunks of a chosen size, or of the registry's least", () =>
      Effect.gen(function*() {
        const { made } = yield* requestsOf(push(middle, { chunkSize: 80_000 }))
        assert.deepStrictEqual(rangesOf(made), ["PATCH 0-79999", "PATCH 80000-159999", "PUT 160000-199999"])
        assert.isTrue(yield* holds(middle))
      }).pipe(Effect.provide(layer())))

    it.effect("CLI-10: sends no chunk below the registry's least but the last", () =>
      Effect.gen(function*() {
        const { made } = yield* requestsOf(push(middle, { chunkSize: 1000 }))
        assert.deepStrictEqual(rangesOf(made), ["PATCH 0-149999", "PUT 150000-199999"])
      }).pipe(Effect.provide(layer({ settings: { chunkMinLength: 150_000 } }))))

    describe("B37: where requests end before their body does, and a registry keeps nothing of them", () => {
      const large = bytes(5_000_000, 4)
      const cut = Fault.status(408).on("PATCH", "/uploads/")
      const lost = Fault.sessionLost.on("GET", "/uploads/")

      it.effect("sends chunks that are a quarter as large, until one gets there", () =>
        Effect.gen(function*() {
          const fake = yield* FakeRegistry.FakeRegistry
          yield* fake.inject(cut.times(2), lost.times(2))
          const { made } = yield* requestsOf(patiently(push(large)))
          assert.deepStrictEqual(rangesOf(made), [
            "PATCH 0-1249999",
            ...Array.from({ length: 16 }, (_, at) => `PATCH ${at * 312_500}-${(at + 1) * 312_500 - 1}`)
          ])
          assert.isTrue(yield* holds(large))
        }).pipe(Effect.provide(layer())))

      it.effect("keeps to a length that has got there before", () =>
        Effect.gen(function*() {
          const fake = yield* FakeRegistry.FakeRegistry
          // The client asks once more for a session that it has given up.
          yield* fake.inject(cut, cut.skip(1), lost, lost.skip(1))
          const { made } = yield* requestsOf(patiently(push(large)))
          const quarters = Array.from({ length: 4 }, (_, at) => `PATCH ${at * 1_250_000}-${(at + 1) * 1_250_000 - 1}`)
          assert.deepStrictEqual(rangesOf(made), [...quarters.slice(0, 2), ...quarters])
        }).pipe(Effect.provide(layer())))

      it.effect("sends none below the registry's least, nor a small blob in several", () =>
        Effect.gen(function*() {
          const fake = yield* FakeRegistry.FakeRegistry
          yield* fake.inject(cut.times(2), lost.times(2))
          const { made } = yield* requestsOf(patiently(push(large)))
          assert.deepStrictEqual(rangesOf(made), [
            "PATCH 0-1249999",
            "PATCH 0-1199999",
            "PATCH 1200000-2399999",
            "PATCH 2400000-3599999",
            "PATCH 3600000-4799999",
            "PUT 4800000-4999999"
          ])
          yield* fake.inject(Fault.status(408).on("PUT", "/uploads/").times(2), lost.times(2))
          const again = yield* requestsOf(patiently(push(middle)))
          assert.deepStrictEqual(rangesOf(again.made), [])
        }).pipe(Effect.provide(layer({ settings: { chunkMinLength: 1_200_000 } }))))
    })

    describe("where a request is too large, to the registry or to a proxy before it", () => {
      const large = bytes(5_000_000, 4)
      const tooLarge = Fault.status(413).on("PATCH", "/uploads/")

      it.effect("sends chunks that are a quarter as large, in the same session, and those at once from then on", () =>
        Effect.gen(function*() {
          const fake = yield* FakeRegistry.FakeRegistry
          yield* fake.inject(tooLarge.times(2))
          const { made } = yield* requestsOf(patiently(push(large)))
          assert.deepStrictEqual(rangesOf(made), [
            "PATCH 0-1249999",
            ...Array.from({ length: 16 }, (_, at) => `PATCH ${at * 312_500}-${(at + 1) * 312_500 - 1}`)
          ])
          assert.strictEqual(made.filter(({ method }) => method === "POST").length, 1)
          assert.isTrue(yield* holds(large))
          const next = yield* requestsOf(push(bytes(900_000, 5)))
          assert.deepStrictEqual(uploads(next.made), ["POST  202", "PATCH  202", "PATCH  202", "PUT ?digest 201"])
          const streamed = yield* requestsOf(Uploads.pushStream(app, Stream.succeed(bytes(400_000, 6))))
          assert.deepStrictEqual(uploads(streamed.made), ["POST  202", "PATCH  202", "PUT ?digest 201"])
        }).pipe(Effect.provide(layer())))

      it.effect("fails as it was told to where no length will do, and has learnt nothing", () =>
        Effect.gen(function*() {
          const fake = yield* FakeRegistry.FakeRegistry
          yield* fake.inject(tooLarge.times(4))
          const { made, result } = yield* requestsOf(patiently(Effect.flip(push(large))))
          assert.deepStrictEqual([result.reason._tag, result.status], ["Rejected", 413])
          assert.deepStrictEqual(rangesOf(made), ["PATCH 0-1249999", "PATCH 0-312499", "PATCH 0-262143"])
          const next = yield* requestsOf(push(bytes(900_000, 5)))
          assert.deepStrictEqual(uploads(next.made), ["POST  202", "PUT ?digest 201"])
        }).pipe(Effect.provide(layer())))
    })

    it.effect("CLI-11: says which algorithm the digest is of", () =>
      Effect.gen(function*() {
        yield* push(middle, {}, app, "sha512")
        yield* push(small, {}, app, "sha512")
        const fake = yield* FakeRegistry.FakeRegistry
        const posts = (yield* fake.requests).filter(({ method }) => method === "POST")
        for (const { query } of posts) assert.include(query, "digest-algorithm=sha512")
        assert.strictEqual((yield* fake.blobs("ghcr.io/acme/app")).length, 2)
      }).pipe(Effect.provide(layer())))

    it.effect("believes no registry that stored something else", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        for (const [method, data] of [["PUT", middle], ["POST", small]] as const) {
          yield* fake.inject(
            Fault.headers({ "docker-content-digest": `sha256:${"0".repeat(64)}` }).on(method, "/uploads/").always()
          )
          const error = yield* Effect.flip(patiently(push(data)))
          assert.include(error.message, "the registry stored sha256:000")
          yield* fake.reset
        }
      }).pipe(Effect.provide(layer())))

    it.effect("CLI-13: asks for the session's state where a registry does not know it as it was told of last", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(
          Fault.status(416).on("DELETE", "/uploads/"),
          Fault.status(403).on("PUT", "/uploads/")
        )
        const { made } = yield* requestsOf(Effect.exit(patiently(push(middle))))
        assert.deepStrictEqual(
          made.filter(({ path }) => path.includes("/uploads/")).map(({ method, status }) => `${method} ${status}`),
          ["POST 202", "PUT 403", "DELETE 416", "GET 204", "DELETE 204"]
        )
      }).pipe(Effect.provide(layer())))

    it.effect("CLI-13: leaves no session behind that is opened as it is interrupted", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        for (const data of [middle, small]) {
          yield* fake.inject(
            Fault.status(202, { body: "", headers: { location: "/v2/acme/app/blobs/uploads/late" }, late: true })
              .on("POST", "/uploads/")
          )
          yield* fake.inject(Fault.status(204, { body: "" }).on("DELETE", "/uploads/late"))
          const before = (yield* fake.requests).length
          const fiber = yield* Effect.forkChild(push(data))
          while (!(yield* fake.requests).slice(before).some(({ method }) => method === "POST")) {
            yield* Effect.yieldNow
          }
          yield* Fiber.interrupt(fiber)
          const last = (yield* fake.requests).at(-1)!
          assert.deepStrictEqual([last.method, last.path], ["DELETE", "/v2/acme/app/blobs/uploads/late"])
        }
      }).pipe(Effect.provide(layer())))

    it.effect("CLI-13: leaves no session behind when it is interrupted", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const body = () => Stream.concat(Stream.succeed(middle.subarray(0, 1000)), Stream.never)
        const fiber = yield* Effect.forkChild(Uploads.push(app, yield* described(middle), body))
        while (!(yield* fake.requests).some(({ method }) => method === "PUT")) {
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        }
        yield* Fiber.interrupt(fiber)
        const last = (yield* fake.requests).at(-1)!
        assert.deepStrictEqual([last.method, last.status], ["DELETE", 204])
      }).pipe(Effect.provide(layer())))
  })

  describe("mounts", () => {
    const mountFrom = [Repository.parseUnsafe("registry.acme.dev/acme/base"), app, other, base, other]

    it.effect("tries each repository of the registry that may have it", () =>
      Effect.gen(function*() {
        yield* push(middle, {}, base)
        const { made, result } = yield* requestsOf(push(middle, { mountFrom }))
        assert.strictEqual(result, "mounted")
        assert.deepStrictEqual(
          made.filter(({ method }) => method === "POST").map(({ query }) => new URLSearchParams(query).get("from")),
          ["acme/other", "acme/base"]
        )
        // The session that the first one gave is not left open.
        assert.strictEqual(made.filter(({ method }) => method === "DELETE").length, 1)
      }).pipe(Effect.provide(layer())))

    it.effect("CLI-14: uploads by the session where nothing could be mounted", () =>
      Effect.gen(function*() {
        const { made, result } = yield* requestsOf(push(middle, { mountFrom: [other] }))
        assert.strictEqual(result, "sent")
        assert.deepStrictEqual(uploads(made), ["POST ?mount 202", "PUT ?digest 201"])
      }).pipe(Effect.provide(layer())))

    for (const status of [400, 401, 403, 404, 405, 500, 503]) {
      it.effect(`uploads where a mount is answered with ${status}`, () =>
        Effect.gen(function*() {
          const fake = yield* FakeRegistry.FakeRegistry
          yield* push(middle, {}, base)
          yield* fake.inject(Fault.status(status).on("POST", "/acme/app/blobs/uploads/"))
          const { result } = yield* requestsOf(patiently(push(middle, { mountFrom: [base] })))
          assert.strictEqual(result, "sent")
          assert.isTrue(yield* holds(middle))
        }).pipe(Effect.provide(layer())))
    }

    it.effect("asks for both scopes in one token, and for its own where that is refused", () =>
      Effect.gen(function*() {
        yield* push(middle, {}, base)
        const { made, result } = yield* requestsOf(push(middle, { mountFrom: [base] }))
        assert.strictEqual(result, "mounted")
        const scopes = made.filter(({ path }) => path === "/token")
          .flatMap(({ query }) => new URLSearchParams(query).getAll("scope"))
        assert.includeMembers(scopes, ["repository:acme/app:pull,push", "repository:acme/base:pull"])
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(Fault.status(403).on("GET", "/token"))
        assert.strictEqual(yield* patiently(push(bytes(70_000, 8), { mountFrom: [other] })), "sent")
      }).pipe(
        Effect.provide(
          layer({ auth: { scheme: "bearer", users: { ann: "s3cret" } } }, Credential.basic("ann", "s3cret"))
        )
      ))

    it.effect("cancels a session that the registry cannot say anything of", () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(Fault.status(405).on("GET", "/uploads/").always(), Fault.status(503).on("PUT", "/uploads/"))
        const { made } = yield* requestsOf(patiently(push(middle)))
        assert.deepStrictEqual(uploads(made).map((line) => line.split(" ")[0]), [
          "POST",
          "PUT",
          "GET",
          "DELETE",
          "POST",
          "PUT"
        ])
      }).pipe(Effect.provide(layer())))
  })

  describe("pushStream", () => {
    for (const told of ["9007199254740991", "10737418240"]) {
      it.effect(`holds no chunk of ${told} bytes because it is told to`, () =>
        Effect.gen(function*() {
          const fake = yield* FakeRegistry.FakeRegistry
          yield* fake.inject(Fault.headers({ "oci-chunk-min-length": told }).on("POST", "/uploads/").always())
          const error = yield* Effect.flip(patiently(Uploads.pushStream(app, Stream.succeed(small))))
          assert.include(error.message, told)
        }).pipe(Effect.provide(layer())))
    }

    const parts = Stream.fromIterable([middle.subarray(0, 150_000), middle.subarray(150_000)], { chunkSize: 1 })

    it.effect("sends chunks of a chosen size, and gives the digest", () =>
      Effect.gen(function*() {
        const { made, result } = yield* requestsOf(Uploads.pushStream(app, parts, { chunkSize: 90_000 }))
        assert.deepStrictEqual(result, { digest: (yield* described(middle)).digest, size: middle.length })
        assert.deepStrictEqual(rangesOf(made), ["PATCH 0-89999", "PATCH 90000-179999", "PUT 180000-199999"])
        assert.isTrue(yield* holds(middle))
      }).pipe(Effect.provide(layer())))

    for (const isRepeatable of [true, false]) {
      it.effect(`${isRepeatable ? "begins anew" : "fails"} where the session is lost, ${isRepeatable ? "if" : "unless"} told`, () =>
        Effect.gen(function*() {
          const fake = yield* FakeRegistry.FakeRegistry
          yield* fake.inject(
            Fault.sessionLost.on("PATCH", "/uploads/").skip(1),
            Fault.sessionLost.on("GET", "/uploads/").times(1)
          )
          const sent = patiently(Effect.exit(Uploads.pushStream(app, parts, { chunkSize: 90_000, isRepeatable })))
          assert.strictEqual((yield* sent)._tag, isRepeatable ? "Success" : "Failure")
          assert.strictEqual(yield* holds(middle), isRepeatable)
        }).pipe(Effect.provide(layer())))
    }
  })
})
