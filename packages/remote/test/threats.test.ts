/**
 * Rows of the threat table that concern endpoints, by their names; the rest is in `packages/transport` and `packages/node`.
 */
import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as Reference from "@effect-oci/name/Reference"
import * as Tag from "@effect-oci/name/Tag"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as Foreign from "../src/Foreign.ts"
import { nextOf } from "../src/internal/pages.ts"
import * as Remote from "../src/Remote.ts"
import * as Content from "./image.ts"
import * as Registries from "./registries.ts"

const user = Credential.basic("canary-user", "canary-password")
const auth = { scheme: "bearer", users: { "canary-user": "canary-password" } } as const
const from = "registry.test/app:1"
const to = "target.test/app:1"

/** All that left the program, host by host, and the tokens that were given to it. */
const recorded = () => {
  const sent = new Map<string, string>()
  const tokens: Array<string> = []
  const layer = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) =>
      HttpClient.transform(client, (reply, request) => {
        const { host, pathname } = new URL(request.url)
        sent.set(
          host,
          `${sent.get(host) ?? ""}\n${request.method} ${request.url} ${JSON.stringify({ ...request.headers })}`
        )
        return pathname !== "/token" ? reply : Effect.flatMap(reply, (response) =>
          Effect.map(response.text, (text) => {
            const { refresh_token, token } = JSON.parse(text)
            tokens.push(...[token, refresh_token].filter(Boolean))
            return HttpClientResponse.fromWeb(request, new Response(text))
          }).pipe(Effect.orElseSucceed(() => response), Effect.catchDefect(() => Effect.succeed(response))))
      }))
  )
  return { sent, tokens, layer }
}

const program = (record = recorded(), options: Partial<FakeRegistry.Options> = {}) =>
  Remote.layer.pipe(
    Layer.provideMerge(Transport.layer),
    Layer.provideMerge(record.layer),
    Layer.provideMerge(
      FakeRegistry.layer({ hosts: ["registry.test", "target.test", "evil.test"], auth, ...options })
    ),
    Layer.provide(Keychain.layerMemory([["registry.test", user], ["target.test", user]]))
  )

const seeded = Effect.gen(function*() {
  const remote = yield* Remote.Remote
  const { descriptor, store } = yield* Content.platforms
  yield* remote.copy({ store, descriptor }, from)
  return descriptor
})

/** As large as it has to be to be sent to a session. */
const seededLarge = Effect.gen(function*() {
  const remote = yield* Remote.Remote
  const store = MemoryStore.make("large")
  const descriptor = yield* Content.image(store, { layers: [Content.bytes(5 * 1024 * 1024, 1)] })
  yield* remote.copy({ store, descriptor }, from)
})

const copy = Effect.flatMap(Remote.Remote, (remote) => remote.copy(from, to))

const impatient = Effect.provideService(RetryPolicy.RetryPolicy, RetryPolicy.challenge)

/** A registry without a past, answered by a function. */
const scripted = (handler: (url: URL) => Response) => {
  const asked: Array<string> = []
  const client = HttpClient.make((request, url) =>
    Effect.sync(() => {
      asked.push(url.href)
      return HttpClientResponse.fromWeb(request, url.pathname === "/v2/" ? new Response("") : handler(url))
    })
  )
  const layer = Remote.layer.pipe(
    Layer.provide(Transport.layer),
    Layer.provide(Layer.succeed(HttpClient.HttpClient, client)),
    Layer.provide(Keychain.layerAnonymous)
  )
  return { asked, layer }
}

const tags = Effect.flatMap(Remote.Remote, (remote) => Stream.runCollect(remote.list("registry.test/app")))

const endless = () => {
  const counted = { bytes: 0 }
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      counted.bytes += 65_536
      controller.enqueue(new Uint8Array(65_536).fill(0x20))
    }
  }, { highWaterMark: 0 })
  return { counted, body }
}

describe("threats", { timeout: 60_000 }, () => {
  it.effect("A01 nobody is asked for the foreign layers of an image", () => {
    const record = recorded()
    return Effect.gen(function*() {
      const remote = yield* Remote.Remote
      const store = MemoryStore.make("foreign")
      const layer = yield* store.add(MediaType.ociLayer, Content.bytes(1000, 1))
      const config = yield* store.add(MediaType.ociConfig, Content.json({ os: "linux", architecture: "amd64" }))
      const foreign = {
        mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        digest: `sha256:${"f".repeat(64)}`,
        size: 5,
        urls: ["https://evil.test/layer", "http://evil.test/layer"]
      }
      const descriptor = yield* store.add(
        MediaType.ociManifest,
        Content.json({
          schemaVersion: 2,
          mediaType: MediaType.ociManifest,
          config,
          layers: [{ ...layer, urls: foreign.urls }, foreign]
        })
      )
      const fake = yield* FakeRegistry.FakeRegistry
      yield* fake.seed(from, {
        root: descriptor,
        blobs: yield* Effect.forEach(
          [layer, config],
          (one) => Effect.map(Stream.mkUint8Array(store.fetch(one)), (bytes) => ({ descriptor: one, bytes }))
        ),
        manifests: [{ descriptor, bytes: yield* Stream.mkUint8Array(store.fetch(descriptor)) }]
      })
      yield* copy.pipe(impatient, Effect.exit)
      const image = yield* remote.image(from)
      yield* Effect.forEach(image.layers, ({ compressed }) => Effect.exit(Stream.runDrain(compressed)))
      assert.isUndefined(record.sent.get("evil.test"))
      assert.isDefined(record.sent.get("target.test"))
      // Even where that is asked for, nobody learns who asks.
      const challenge = Fault.status(401, {
        headers: { "www-authenticate": "Bearer realm=\"https://evil.test/token\"" }
      })
      yield* fake.inject(challenge.on("GET", "/layer").at("evil.test").always())
      yield* Effect.exit(Stream.runDrain(image.layers[1]!.compressed)).pipe(Effect.provide(Foreign.layer))
      const got = record.sent.get("evil.test") ?? ""
      assert.include(got, "GET https://evil.test/layer")
      assert.notMatch(got, /authorization|canary|\/token/i)
    }).pipe(Effect.provide(program(record)))
  })

  it.effect("A11 an upload's session elsewhere is sent no secret", () => {
    const record = recorded()
    return Effect.gen(function*() {
      yield* seededLarge
      const fake = yield* FakeRegistry.FakeRegistry
      yield* fake.inject(
        Fault.headers({ location: "https://evil.test/session?state=1" }).on("POST", "/blobs/uploads/").at("target.test")
          .always()
      )
      const exit = yield* copy.pipe(impatient, Effect.exit)
      assert.strictEqual(exit._tag, "Failure")
      const got = record.sent.get("evil.test") ?? ""
      assert.match(got, /(PUT|PATCH) https:\/\/evil\.test\/session\?state=1/)
      assert.notMatch(got, /authorization|canary/i)
      for (const token of record.tokens) assert.notInclude(got, token)
    }).pipe(Effect.provide(program(record)))
  })

  it.effect("A12 an upload's session at an internal address is sent nothing", () => {
    const record = recorded()
    return Effect.gen(function*() {
      yield* seededLarge
      const fake = yield* FakeRegistry.FakeRegistry
      for (const location of ["https://169.254.169.254/", "http://169.254.169.254/", "https://[::ffff:7f00:1]/x"]) {
        yield* fake.inject(Fault.headers({ location }).on("POST", "/blobs/uploads/").at("target.test").always())
        const exit = yield* Effect.exit(copy)
        assert.strictEqual(exit._tag, "Failure")
      }
      assert.deepStrictEqual([...record.sent.keys()].sort(), ["registry.test", "target.test"])
    }).pipe(Effect.provide(program(record)))
  })

  it.effect("A13 a list does not go on at another host", () => {
    const record = recorded()
    return Effect.gen(function*() {
      yield* seeded
      const fake = yield* FakeRegistry.FakeRegistry
      for (
        const link of ["https://evil.test/v2/app/tags/list", "//evil.test/x", "http://registry.test/v2/app/tags/list"]
      ) {
        yield* fake.inject(Fault.headers({ link: `<${link}>; rel="next"` }).on("GET", "/tags/list"))
        const error = yield* Effect.flip(tags)
        assert.include(error.message, "another origin")
      }
      assert.isUndefined(record.sent.get("evil.test"))
    }).pipe(Effect.provide(program(record)))
  })

  describe("A20 no secret is in any log, span or error, whatever goes wrong", () => {
    const put = (fault: Fault.Fault) => fault.on("PUT", "/blobs/uploads/").at("target.test")
    const get = (fault: Fault.Fault) => fault.on("GET", "/blobs/").at("registry.test")
    const state = "https://target.test/v2/app/blobs/uploads/1?_state=canary-state"
    const faults: ReadonlyArray<readonly [string, ReadonlyArray<Fault.Fault>]> = [
      ["nothing", []],
      ["tokens that are not taken", [put(Fault.forget("authorization")), get(Fault.forget("authorization"))]],
      ["tokens that are never taken", [Fault.forget("authorization").on("PUT", "/").always()]],
      ["token servers that fail", [Fault.status(503).on("GET", "/token").times(3)]],
      ["token servers that refuse", [Fault.status(401, { body: "no canary" }).on("GET", "/token").always()]],
      ["resets", [put(Fault.reset(10)), get(Fault.truncate(10)), Fault.lostReply.on("PUT", "/manifests/")]],
      ["failures", [put(Fault.status(500)), get(Fault.status(502)), Fault.status(503).on("HEAD", "/")]],
      ["limits", [put(Fault.rateLimit(2)), get(Fault.rateLimit(61))]],
      ["refusals", [put(Fault.status(403)).always()]],
      ["wrong bytes", [get(Fault.corrupt(0)).always()]],
      ["an upload's state", [
        Fault.headers({ location: state }).on("POST", "/blobs/uploads/").at("target.test").always()
      ]],
      ["a signed location", [
        Fault.status(307, {
          headers: { location: "https://evil.test/blob?X-Amz-Signature=canary-state&sig=canary-state" }
        })
          .on("GET", "/blobs/").at("registry.test").always()
      ]],
      ["lost sessions", [put(Fault.sessionLost).times(9)]]
    ]

    it.effect.each(faults)("%s", ([, faults]) => {
      const record = recorded()
      const said: Array<string> = []
      const say = (value: unknown) => said.push(Inspectable.toStringUnknown(value), String(value))
      const logger = Logger.make((options) => {
        say(options.message)
        say(Cause.pretty(options.cause))
        say(options.fiber.getRef(References.CurrentLogAnnotations))
      })
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          const { attribute, end, event } = span
          span.attribute = (key, value) => {
            say(`${key} ${Inspectable.toStringUnknown(value)}`)
            attribute.call(span, key, value)
          }
          span.event = (name, time, attributes) => {
            say([name, attributes])
            event.call(span, name, time, attributes)
          }
          span.end = (time, exit) => {
            say([span.name, exit._tag === "Failure" ? Cause.pretty(exit.cause) : ""])
            end.call(span, time, exit)
          }
          say(options.name)
          return span
        }
      })
      return Effect.gen(function*() {
        yield* seeded
        const fake = yield* FakeRegistry.FakeRegistry
        yield* fake.inject(...faults)
        const exit = yield* Registries.patiently(Effect.exit(copy))
        if (exit._tag === "Failure") {
          say(Cause.pretty(exit.cause))
          say(JSON.stringify(exit))
        }
        const all = said.join("\n")
        // What is looked for would be found.
        assert.isAtLeast(said.length, 100)
        assert.isAtLeast(record.tokens.length, 1)
        for (
          const secret of ["canary-password", btoa("canary-user:canary-password"), "canary-state", ...record.tokens]
        ) {
          assert.strictEqual(
            all.indexOf(secret),
            -1,
            all.slice(Math.max(0, all.indexOf(secret) - 300), all.indexOf(secret) + 50)
          )
        }
      }).pipe(
        Effect.provide(Layer.mergeAll(program(record), Logger.layer([logger]))),
        Effect.provideService(References.MinimumLogLevel, "All"),
        Effect.provideService(RetryPolicy.OnWait, (wait) => Effect.logDebug("waiting", wait)),
        Effect.provideService(Tracer.Tracer, tracer)
      )
    })
  })

  it("A22 no name makes a header or a path of its own", () => {
    const hostile = [
      "\r",
      "\n",
      "\0",
      " ",
      "\t",
      "%",
      "?",
      "#",
      "\\",
      "..",
      "%2f",
      "%0d%0a",
      "é",
      "\u2028",
      ";",
      "&",
      "="
    ]
    let random = 1
    const next = (below: number) => (random = Math.imul(random, 48_271) >>> 0) % below
    let taken = 0
    for (let round = 0; round < 100_000; round++) {
      const text = Array.from(
        { length: 1 + next(4) },
        () => next(2) === 0 ? hostile[next(hostile.length)]! : "ab/c:@-_."[next(9)]!
      ).join("")
      for (
        const result of [
          Result.map(Reference.parse(`registry.test/app${text}`), Reference.format),
          Result.map(Tag.parse(text), String)
        ]
      ) {
        if (Result.isFailure(result)) continue
        taken++
        const name = result.success
        assert.match(name, /^[A-Za-z0-9._:@/-]+$/)
        assert.strictEqual(new URL(`https://registry.test/v2/${name}`).pathname, `/v2/${name}`)
      }
    }
    assert.isAtLeast(taken, 1000)
  })

  it.effect("A39 bytes are hashed as they come, whatever coding they are said to have", () => {
    const record = recorded()
    return Effect.gen(function*() {
      const descriptor = yield* seeded
      const fake = yield* FakeRegistry.FakeRegistry
      yield* fake.inject(Fault.headers({ "content-encoding": "gzip" }).on("GET", "/blobs/").always())
      assert.strictEqual((yield* copy).descriptor.digest, descriptor.digest)
      const asked = (record.sent.get("registry.test") ?? "").split("\n").slice(1)
      assert.isTrue(asked.every((line) => line.includes("\"accept-encoding\":\"identity\"")))
    }).pipe(Effect.provide(program(record)))
  })

  it.effect("A47 a manifest is read as far as its limit", () =>
    Effect.gen(function*() {
      const { body, counted } = endless()
      const registry = scripted(() => new Response(body, { headers: { "content-type": MediaType.ociManifest } }))
      const error = yield* Effect.flatMap(Remote.Remote, (remote) => remote.get("registry.test/app:1")).pipe(
        Effect.flip,
        Effect.provide(registry.layer)
      )
      assert.include(error.message, "limit")
      assert.isAtMost(counted.bytes, 8 * 1024 * 1024 + 4 * 65_536)
    }))

  it.effect("A48 a page is read as far as its limit", () =>
    Effect.gen(function*() {
      const { body, counted } = endless()
      const registry = scripted(() => new Response(body))
      const error = yield* Effect.flip(Effect.provide(tags, registry.layer))
      assert.include(error.message, "limit")
      assert.isAtMost(counted.bytes, 8 * 1024 * 1024 + 4 * 65_536)
    }))

  describe("A52 a list ends", () => {
    const page = (names: ReadonlyArray<string>, next: string) =>
      new Response(JSON.stringify({ name: "app", tags: names }), { headers: { link: `<${next}>; rel="next"` } })

    it.effect("that names itself", () =>
      Effect.gen(function*() {
        const registry = scripted((url) => page(["a"], url.href))
        assert.include((yield* Effect.flip(Effect.provide(tags, registry.layer))).message, "read before")
        assert.strictEqual(registry.asked.length, 2)
      }))

    it.effect("that goes on for ever", () =>
      Effect.gen(function*() {
        let at = 0
        const registry = scripted(() => page([`t${at++}`], `/v2/app/tags/list?last=${at}`))
        assert.include((yield* Effect.flip(Effect.provide(tags, registry.layer))).message, "more than 1000 pages")
        assert.isAtMost(registry.asked.length, 1002)
      }))

    it.effect("that goes on with nothing", () =>
      Effect.gen(function*() {
        let at = 0
        const registry = scripted(() => page([], `/v2/app/tags/list?last=${at++}`))
        yield* Effect.exit(Effect.provide(tags, registry.layer))
        assert.isAtMost(registry.asked.length, 10)
      }))
  })

  it("A54 a Link is read in linear time", () => {
    for (const prefix of ["", "<", "<a>", "<a>;", "<a>; rel=\"", "<a>; rel=\"next"]) {
      for (
        const unit of [
          "<",
          ">",
          "a",
          ";",
          "\"",
          " ",
          ",",
          "=",
          "<>",
          "<a>;",
          "; rel=",
          "; rel=\"",
          "; rel=\" ",
          "rel=next",
          "next "
        ]
      ) {
        const text = (prefix + unit.repeat(1_000_000 / unit.length)).slice(0, 1_000_000)
        const start = performance.now()
        nextOf(text)
        assert.isBelow(performance.now() - start, 10_000, `${prefix}${unit}`)
      }
    }
  })

  it.effect("A54 a range is read in linear time", () =>
    Effect.gen(function*() {
      const blob = `registry.test/app@sha256:${"0".repeat(64)}`
      for (const prefix of ["", "bytes ", "bytes 0-0/", "bytes 0-"]) {
        for (const unit of ["0", "9", "-", "/", " ", "bytes 0-0/"]) {
          const header = prefix + unit.repeat(1_000_000 / unit.length)
          const registry = scripted(() => new Response("x", { headers: { "content-range": header, range: header } }))
          const start = performance.now()
          const read = Effect.flatMap(Remote.Remote, (remote) => Stream.runDrain(remote.blob(blob)))
          assert.strictEqual((yield* Effect.exit(Effect.provide(read, registry.layer)))._tag, "Failure")
          assert.isBelow(performance.now() - start, 10_000, `${prefix}${unit}`)
        }
      }
    }))
})
