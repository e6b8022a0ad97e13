import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import * as AccessScope from "../src/AccessScope.ts"
import * as Mirror from "../src/Mirror.ts"
import * as ResponseBody from "../src/ResponseBody.ts"
import * as RetryPolicy from "../src/RetryPolicy.ts"
import * as Transport from "../src/Transport.ts"
import * as Internet from "./internet.ts"

const { bearer, client, get, json, manifest, realm, repository, reply, transport } = Internet
const push = [AccessScope.push(repository)]

/**
 * A registry that takes the tokens that it has given, `t1`, `t2`, ...; `more` answers first.
 */
const registry = (more: (seen: Internet.Seen, tokens: number) => Response | undefined = () => undefined) => {
  let tokens = 0
  return Internet.make((seen) => {
    const special = more(seen, tokens)
    if (special !== undefined) return special
    if (seen.url.pathname === "/token") return json({ token: `t${++tokens}`, expires_in: 300 })
    return /^Bearer t\d+$/.test(seen.headers["authorization"] ?? "") ? reply(200) : bearer(realm)
  })
}

const tokenCalls = ({ seen }: Internet.Internet) => seen.filter(({ url }) => url.pathname === "/token")
const scopesAsked = (internet: Internet.Internet) =>
  tokenCalls(internet).map(({ url }) => url.searchParams.getAll("scope"))

describe("Transport", () => {
  it.effect("pings once, and asks once for a token, for all that come at once", () =>
    Effect.gen(function*() {
      const internet = registry()
      yield* Effect.all(Array.from({ length: 20 }, (_, at) => get(`/v2/app/blobs/${at}`)), {
        concurrency: "unbounded"
      }).pipe(Effect.provide(transport(internet)))
      assert.deepStrictEqual(internet.asked().slice(0, 3), [
        "GET https://registry.test/v2/",
        "GET https://registry.test/v2/app/blobs/0",
        "GET https://registry.test/token?service=r&scope=repository%3Aapp%3Apull"
      ])
      assert.strictEqual(internet.seen.length, 23)
    }))

  it.effect("remembers the last thousand registries, not all that there are", () =>
    Effect.gen(function*() {
      const internet = Internet.make(() => reply(200))
      const ask = (at: number) =>
        Effect.gen(function*() {
          const transport = yield* Transport.Transport
          const client = transport.client({ resource: Repository.parseUnsafe(`r${at}.test/app`), scopes: [] })
          yield* client.get("/v2/app/manifests/1")
        })
      const pings = (at: number) => internet.asked(`r${at}.test`).filter((asked) => asked.endsWith("/v2/")).length
      yield* Effect.gen(function*() {
        for (let at = 0; at < 1030; at++) yield* ask(at)
        yield* Effect.andThen(ask(1029), ask(0))
      }).pipe(Effect.provide(transport(internet)))
      assert.deepStrictEqual([pings(1029), pings(0)], [1, 2])
    }))

  it.effect("remembers of a few thousand hosts that they have answered, wherever redirects lead", () =>
    Effect.gen(function*() {
      let redirects = 0
      let isAway = false
      const internet = Internet.make(({ url }) =>
        isAway && url.host !== "registry.test"
          ? undefined
          : url.pathname === manifest
          ? reply(307, { location: `https://r${redirects}.test/` })
          : reply(200)
      )
      yield* Effect.gen(function*() {
        for (; redirects < 4200; redirects++) yield* get()
        isAway = true
        for (const [host, transient] of [[4199, true], [0, false]] as const) {
          redirects = host
          const error = yield* Effect.flip(Effect.provideService(get(), RetryPolicy.RetryPolicy, RetryPolicy.challenge))
          assert.deepInclude(error.reason, { _tag: "Unreachable", code: "ENOTFOUND", transient })
        }
      }).pipe(Effect.provide(transport(internet)))
    }))

  it.effect("reads from who asks nobody with the ping, and not after it", () =>
    Effect.gen(function*() {
      const internet = Internet.make(() => reply(200))
      const slow = Effect.map(HttpClient.HttpClient, HttpClient.transformResponse(Effect.delay("1 second")))
      const layer = Transport.layer.pipe(
        Layer.provide(Layer.effect(HttpClient.HttpClient, slow)),
        Layer.provide(internet.layer),
        Layer.provide(Keychain.layerMemory([]))
      )
      const fiber = yield* Effect.forkChild(Effect.provide(get(), layer))
      yield* TestClock.adjust("1 second")
      assert.isDefined(fiber.pollUnsafe())
      assert.deepStrictEqual(internet.asked(), [
        "GET https://registry.test/v2/",
        "GET https://registry.test/v2/app/manifests/1"
      ])
    }))

  it.effect.each(["http://registry.test/x", "file:///x"])(
    "leaves no reply on its connection that leads to %s",
    (location) =>
      Effect.gen(function*() {
        let isOver = false
        const body = new ReadableStream<Uint8Array>({
          pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
          cancel: () => {
            isOver = true
          }
        }, { highWaterMark: 0 })
        const internet = Internet.make(({ url }) =>
          url.pathname === "/v2/" ? reply(200) : new Response(body, { status: 307, headers: { location } })
        )
        const error = yield* Effect.flip(Effect.provide(get(), transport(internet)))
        assert.strictEqual(error.reason._tag, "ProtocolViolation")
        assert.isTrue(isOver)
      })
  )

  it.effect.each<readonly [number, Record<string, string>]>([
    [302, {}],
    [307, { location: "https://[" }],
    [300, { location: "https://registry.test/there" }],
    [304, {}]
  ])("takes no %d for an answer that leads nowhere, with %j", ([status, headers]) =>
    Effect.gen(function*() {
      const internet = Internet.make(({ url }) =>
        url.pathname === "/v2/" ? reply(200) : new Response(null, { status, headers })
      )
      for (const method of ["GET", "PUT"] as const) {
        const error = yield* Effect.flatMap(
          client(),
          (client) => Effect.flip(client.execute(HttpClientRequest.make(method)("/v2/app/manifests/1")))
        ).pipe(Effect.provide(transport(internet)))
        assert.deepInclude(error.reason, { _tag: "ProtocolViolation", detail: `status ${status} leads nowhere` })
      }
    }))

  it.effect("takes 304 for an answer to whoever asks by a condition", () =>
    Effect.gen(function*() {
      const internet = Internet.make(({ url }) =>
        url.pathname === "/v2/" ? reply(200) : new Response(null, { status: 304 })
      )
      const conditional = HttpClientRequest.get("/v2/app/manifests/1", { headers: { "if-none-match": "\"x\"" } })
      const response = yield* Effect.provide(
        Effect.flatMap(client(), (client) => client.execute(conditional)),
        transport(internet)
      )
      assert.strictEqual(response.status, 304)
    }))

  it.effect("leaves no reply on its connection whose ping has failed", () =>
    Effect.gen(function*() {
      let isOver = false
      const body = () =>
        new ReadableStream<Uint8Array>({
          pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
          cancel: () => {
            isOver = true
          }
        }, { highWaterMark: 0 })
      const internet = Internet.make(({ url }) => url.pathname === "/v2/" ? reply(503) : new Response(body()))
      const slow = Effect.map(HttpClient.HttpClient, (http) =>
        HttpClient.transform(http, (response, { url }) =>
          url.endsWith("/v2/") ? Effect.delay(response, "1 second") : response))
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(Effect.flip(get()))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
        for (let i = 0; i < 10; i++) {
          yield* Effect.promise(() =>
            new Promise((resume) =>
              setImmediate(resume)
            )
          )
        }
        assert.isTrue(isOver)
      }).pipe(
        Effect.provideService(RetryPolicy.RetryPolicy, RetryPolicy.challenge),
        Effect.provide(Transport.layer.pipe(
          Layer.provide(Layer.effect(HttpClient.HttpClient, slow)),
          Layer.provide(internet.layer),
          Layer.provide(Keychain.layerMemory([]))
        ))
      )
    }))

  it.effect("takes what a registry gives to everybody, though it would ask others who they are", () =>
    Effect.gen(function*() {
      const internet = Internet.make(({ url }) =>
        url.pathname === "/v2/" ? Internet.bearer(Internet.realm) : reply(200)
      )
      yield* Effect.provide(get(), transport(internet))
      assert.strictEqual(internet.seen.length, 2)
    }))

  it.effect("asks again as somebody for what is not there for nobody", () =>
    Effect.gen(function*() {
      for (const status of [401, 403, 404]) {
        const internet = registry(({ headers, url }) =>
          url.pathname.startsWith("/v2/app/") && headers["authorization"] === undefined ? reply(status) : undefined
        )
        yield* Effect.provide(get(), transport(internet))
        assert.deepStrictEqual(
          internet.seen.map(({ headers, url }) => `${url.pathname} ${headers["authorization"]?.slice(0, 6) ?? "-"}`),
          ["/v2/ -", "/v2/app/manifests/1 -", "/token Basic ", "/v2/app/manifests/1 Bearer"]
        )
      }
    }))

  it.effect("sends no body before it knows who is asked for", () =>
    Effect.gen(function*() {
      const internet = registry()
      const put = Effect.flatMap(
        Internet.client(push),
        (client) => client.put("/v2/app/x", { body: HttpBody.text("x") })
      )
      yield* Effect.provide(put, transport(internet))
      assert.deepStrictEqual(internet.seen.map(({ method }) => method), ["GET", "GET", "PUT"])
    }))

  it.effect("answers a repository that asks for a token where the ping did not", () =>
    Effect.gen(function*() {
      const internet = registry(({ url }) => url.pathname === "/v2/" ? reply(200) : undefined)
      yield* Effect.provide(get(), transport(internet))
      assert.strictEqual(tokenCalls(internet).length, 1)
    }))

  it.effect.each([404, 403, 405, 301])("goes on after a ping that is answered %d", (status) =>
    Effect.gen(function*() {
      const internet = registry(({ url }) => url.pathname === "/v2/" ? reply(status) : undefined)
      yield* Effect.provide(get(), transport(internet))
      assert.strictEqual(tokenCalls(internet).length, 1)
    }))

  it.effect("finds what it can answer among several challenges, in one header or in many", () =>
    Effect.gen(function*() {
      const internet = registry(({ headers, url }) =>
        url.pathname === "/token" || headers["authorization"] !== undefined ? undefined : new Response(null, {
          status: 401,
          headers: [
            ["www-authenticate", "Negotiate"],
            ["www-authenticate", "Basic realm=\"a, b\", Digest qop=\"x\""],
            ["www-authenticate", `bearer REALM="${realm}",service="a, \\"b\\""`]
          ]
        })
      )
      yield* Effect.provide(get(), transport(internet))
      assert.strictEqual(tokenCalls(internet)[0]!.url.searchParams.get("service"), "a, \"b\"")
    }))

  it.effect("sends a password where only that is asked for", () =>
    Effect.gen(function*() {
      const internet = Internet.make(({ headers }) =>
        headers["authorization"] === undefined
          ? reply(401, { "www-authenticate": "Basic realm=\"x\"" })
          : reply(200)
      )
      yield* Effect.provide(get(), transport(internet))
      assert.deepStrictEqual(
        internet.seen.map(({ headers }) => headers["authorization"]),
        [undefined, undefined, `Basic ${btoa("ann:canary-password")}`]
      )
    }))

  it.effect("tells who was refused from who said nothing", () =>
    Effect.gen(function*() {
      const refusing = Internet.make(({ url }) => url.pathname === "/token" ? reply(401) : bearer(realm))
      const hint = (user: Credential.Credential) =>
        Effect.map(Effect.flip(Effect.provide(get(), transport(refusing, user))), (error) => error.hint)
      assert.include(yield* hint(Internet.ann), "refused")
      assert.include(yield* hint(Credential.anonymous), "none are known")
      // A token that nobody in particular was given says nothing of who asks.
      const open = Internet.make(({ url }) => url.pathname === "/token" ? json({ token: "t" }) : bearer(realm))
      const error = yield* Effect.flip(Effect.provide(get(), transport(open, Credential.anonymous)))
      assert.deepInclude(error.reason, { _tag: "Unauthorized", identified: false })
    }))

  it.effect("asks for the scope that a registry wants, once", () =>
    Effect.gen(function*() {
      const wanted = "repository:app:pull repository:base:pull"
      const internet = registry(({ url }, tokens) =>
        url.pathname.startsWith("/v2/app/") && tokens === 1
          ? bearer(realm, `scope="${wanted}",error="insufficient_scope"`)
          : undefined
      )
      yield* Effect.provide(get(), transport(internet))
      assert.deepStrictEqual(scopesAsked(internet), [["repository:app:pull"], wanted.split(" ")])
    }))

  describe("B10 ends a refusal as Denied after two tokens at most", () => {
    const path = "/v2/app/manifests/1"
    const refusals: ReadonlyArray<readonly [string, () => Response, number]> = [
      ["403", () => reply(403), 1],
      ["403 insufficient_scope", () => {
        const { headers } = bearer(realm, "scope=\"repository:app:pull\",error=\"insufficient_scope\"")
        return new Response(null, { status: 403, headers })
      }, 2],
      ["401 insufficient_scope", () => bearer(realm, "scope=\"repository:app:pull\",error=\"insufficient_scope\""), 2],
      ["401", () => bearer(realm), 2]
    ]

    it.effect.each(refusals)("%s", ([, refusal, tokens]) =>
      Effect.gen(function*() {
        const internet = registry(({ url }) => url.pathname === path ? refusal() : undefined)
        const error = yield* Effect.flip(Effect.provide(get(path), transport(internet)))
        assert.strictEqual(error.reason._tag, "Denied")
        assert.strictEqual(tokenCalls(internet).length, tokens)
      }))
  })

  it.effect("waits for a token server that fails, in answer to a challenge as well", () =>
    Effect.gen(function*() {
      let failures = 0
      const internet = registry(({ url }) =>
        url.pathname === "/v2/" ? reply(200) : url.pathname === "/token" && failures++ < 3 ? reply(503) : undefined
      )
      const fiber = yield* Effect.forkChild(Effect.provide(get(), transport(internet)))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(fiber)).status, 200)
      assert.strictEqual(tokenCalls(internet).length, 4)
    }))

  it.effect("B09 gets another token where one is not taken any more, and sends a body once", () =>
    Effect.gen(function*() {
      const internet = registry(({ headers, method }) =>
        method === "PUT" && headers["authorization"] === "Bearer t1"
          ? bearer(realm, "error=\"invalid_token\"")
          : undefined
      )
      const response = yield* Effect.flatMap(
        Internet.client(push),
        (client) => client.put("/v2/app/manifests/1", { body: HttpBody.text("{}") })
      ).pipe(Effect.provide(transport(internet)))
      assert.strictEqual(response.status, 200)
      assert.strictEqual(tokenCalls(internet).length, 2)
    }))

  it.effect("begins a body with a token that has a minute left, or a new one", () =>
    Effect.gen(function*() {
      const internet = registry()
      const put = Effect.flatMap(
        Internet.client(push),
        (client) => client.put("/v2/app/blobs/uploads/1", { body: HttpBody.text("x".repeat(1000)) })
      )
      yield* Effect.gen(function*() {
        yield* put
        yield* TestClock.adjust("239 seconds")
        yield* put
        yield* TestClock.adjust("2 seconds")
        yield* put
      }).pipe(Effect.provide(transport(internet)))
      assert.deepStrictEqual(
        internet.seen.filter(({ method }) => method === "PUT").map(({ headers }) => headers["authorization"]),
        ["Bearer t1", "Bearer t1", "Bearer t2"]
      )
    }))

  it.effect("waits first where an origin asks to, and gets its token then", () =>
    Effect.gen(function*() {
      let limited = 0
      const internet = registry(({ url }) =>
        url.pathname === "/v2/app/blobs/1" && limited++ === 0 ? reply(429, { "retry-after": "50" }) : undefined
      )
      yield* Effect.gen(function*() {
        yield* get("/v2/app/blobs/0")
        yield* TestClock.adjust("200 seconds")
        const one = yield* Effect.forkChild(get("/v2/app/blobs/1"), { startImmediately: true })
        yield* TestClock.adjust("1 second")
        const two = yield* Effect.forkChild(get("/v2/app/blobs/2"), { startImmediately: true })
        yield* TestClock.adjust("48 seconds")
        assert.strictEqual(internet.asked().filter((url) => url.endsWith("/blobs/2")).length, 0)
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(one)
        yield* Fiber.join(two)
      }).pipe(Effect.provide(transport(internet)))
      assert.deepStrictEqual(
        internet.seen.filter(({ url }) => url.pathname.includes("/blobs/")).map(({ headers }) =>
          headers["authorization"]
        ),
        [undefined, "Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2"]
      )
    }))

  it.effect("asks for one token in a push of 105 blobs", () =>
    Effect.gen(function*() {
      const internet = registry()
      yield* Effect.gen(function*() {
        const reader = yield* Internet.client(push)
        yield* Effect.forEach(Array.from({ length: 105 }), (_, at) =>
          Effect.gen(function*() {
            yield* reader.head(`/v2/app/blobs/${at}`)
            const writer = yield* Internet.client(push)
            yield* Effect.flatMap(writer.post("/v2/app/blobs/uploads/"), ResponseBody.discard)
            yield* writer.put(`/v2/app/blobs/uploads/${at}`, { body: HttpBody.text("x") })
            yield* (yield* Internet.client()).get(`/v2/app/blobs/${at}`)
          }), { concurrency: 16 })
      }).pipe(Effect.provide(transport(internet)))
      assert.deepStrictEqual(scopesAsked(internet), [["repository:app:pull,push"]])
      // The ping, and the first request that went with it.
      assert.strictEqual(internet.seen.length, 3 + 4 * 105)
    }))

  it.effect("says no challenges that it cannot answer", () =>
    Effect.gen(function*() {
      const internet = Internet.make(() => reply(401, { "www-authenticate": "Negotiate" }))
      const error = yield* Effect.flip(Effect.provide(get(), transport(internet)))
      assert.deepInclude(error.reason, { _tag: "Unauthorized", identified: false })
      assert.strictEqual(internet.seen.length, 2)
    }))

  it.effect("does what the policy of the call says", () =>
    Effect.gen(function*() {
      const internet = registry(({ url }) => url.pathname.startsWith("/v2/app/") ? reply(503) : undefined)
      const error = yield* Effect.flip(Effect.provide(get(), transport(internet))).pipe(
        Effect.provideService(RetryPolicy.RetryPolicy, RetryPolicy.challenge)
      )
      assert.strictEqual(error.reason._tag, "Unavailable")
      assert.strictEqual(internet.asked().filter((url) => url.includes("/app/manifests")).length, 1)
    }))

  describe("what may be lacking", () => {
    const ask = (internet: Internet.Internet, mayLack: boolean) =>
      Effect.gen(function*() {
        const { client } = yield* Transport.Transport
        return yield* client({ resource: repository, scopes: [AccessScope.pull(repository)], mayLack })
          .head("/v2/app/blobs/1")
      }).pipe(Effect.provide(transport(internet)))
    const lacking = () =>
      registry(({ headers, url }) =>
        url.pathname.includes("/blobs/") && headers["authorization"] !== undefined ? reply(404) : undefined
      )

    it.effect("is an answer where it is asked for as one, and a failure else", () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* ask(lacking(), true)).status, 404)
        assert.strictEqual((yield* Effect.flip(ask(lacking(), false))).reason._tag, "NotFound")
      }))

    it.effect("may be had from the registry where a mirror lacks it", () =>
      Effect.gen(function*() {
        const internet = registry(({ url }) =>
          url.pathname.includes("/blobs/") ? reply(url.host === "mirror.test" ? 404 : 200) : undefined
        )
        const response = yield* ask(internet, true).pipe(
          Effect.provide(Mirror.layer([{ of: "registry.test", at: "mirror.test" }]))
        )
        assert.strictEqual(response.status, 200)
        assert.isNotEmpty(internet.asked("mirror.test"))
        assert.include(internet.asked("registry.test").at(-1), "/blobs/1")
      }))
  })

  it.effect("makes no policy for a failure that none of ours mends, and asks one that is another's", () =>
    Effect.gen(function*() {
      let steps = 0
      const counting: RetryPolicy.Policy = Schedule.fromStep(
        Effect.succeed(() => (steps++, Cause.done("never")))
      )
      const ask = Effect.flip(Effect.provide(
        get(),
        transport(registry(({ headers }) => headers["authorization"] === undefined ? undefined : reply(404)))
      ))
      assert.strictEqual((yield* ask).reason._tag, "NotFound")
      const error = yield* Effect.provideService(
        Effect.flip(Effect.provide(get(), transport(registry(() => reply(404))))),
        RetryPolicy.RetryPolicy,
        counting
      )
      assert.deepStrictEqual([error.reason._tag, steps], ["NotFound", 1])
    }))
})
