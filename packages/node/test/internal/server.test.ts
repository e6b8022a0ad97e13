import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as NetAddress from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import * as net from "node:net"
import * as tls from "node:tls"
import * as Server from "../../src/internal/server.ts"
import * as SelfSigned from "../../src/SelfSigned.ts"
import { pieces } from "./pieces.ts"

type App = Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>

const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex").slice(0, 8)

/** Says what it was asked. */
const echo: App = Effect.gen(function*() {
  const request = yield* HttpServerRequest.HttpServerRequest
  const bytes = new Uint8Array(yield* Effect.orDie(request.arrayBuffer))
  return HttpServerResponse.text(
    `${request.method} ${request.url} ${request.headers["host"]} ${bytes.length} ${digestOf(bytes)}\n`
  )
})

const start = Effect.fnUntraced(function*(app: App, options?: Partial<Server.Options>) {
  const server = yield* Server.make({ host: "127.0.0.1", port: 0, tls: undefined, connections: 100, ...options })
  yield* Effect.provideService(HttpServer.serveEffect(app), HttpServer.HttpServer, server)
  return Number(NetAddress.formatInet(server.address as NetAddress.InetAddress).split(":").at(-1))
})

interface Talk {
  readonly socket: net.Socket
  heard: string
  isClosed: boolean
}

const connect = (port: number, pair?: SelfSigned.Pair) =>
  Effect.acquireRelease(
    Effect.callback<Talk>((resume) => {
      const socket = pair === undefined
        ? net.connect(port, "127.0.0.1")
        : tls.connect({ port, host: "localhost", ca: pair.cert })
      const talk: Talk = { socket, heard: "", isClosed: false }
      socket.on("data", (chunk) => talk.heard += chunk.toString("latin1"))
      socket.on("error", () => {})
      socket.on("close", () => talk.isClosed = true)
      socket.once(pair === undefined ? "connect" : "secureConnect", () => resume(Effect.succeed(talk)))
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.sleep(2).pipe(Effect.repeat({ until: condition }), Effect.timeout("20 seconds"), Effect.orDie)

/** All that is said to these bytes until the server closes. */
const say = (port: number, parts: ReadonlyArray<Uint8Array>) =>
  Effect.scoped(Effect.gen(function*() {
    const talk = yield* connect(port)
    for (const part of parts) {
      yield* Effect.callback<void>((resume) => void talk.socket.write(part, () => resume(Effect.void)))
    }
    yield* until(() => talk.isClosed)
    return talk
  }))

const latin1 = (text: string) => Buffer.from(text, "latin1")
const statuses = (heard: string) => [...heard.matchAll(/HTTP\/1\.1 (\d\d\d) /g)].map(([, status]) => Number(status))
const bodies = (heard: string) => heard.split("\n").filter((line) => /^[A-Z]+ \//.test(line))

const conversation = [
  "GET /a?b=%2F HTTP/1.1\r\nHost: h\r\n\r\n",
  "PUT /b HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n12345",
  "\r\nGET http://other:5/c HTTP/1.1\r\nHost: h\r\n\r\n",
  "POST /d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
  "DELETE /e HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
]
const answers = [
  `GET /a?b=%2F h 0 ${digestOf(latin1(""))}`,
  `PUT /b h 5 ${digestOf(latin1("12345"))}`,
  `GET /c other:5 0 ${digestOf(latin1(""))}`,
  `POST /d h 7 ${digestOf(latin1("abcdefg"))}`,
  `DELETE /e h 0 ${digestOf(latin1(""))}`
]

describe("server", () => {
  it.live("answers one request after the other, however what is said is cut", () =>
    Effect.gen(function*() {
      const port = yield* start(echo)
      for (let seed = 1; seed < 30; seed++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const talk = yield* connect(port)
          for (const [at, text] of conversation.entries()) {
            const bytes = latin1(text)
            for (const part of pieces(bytes, [seed, seed * 7, seed * 31].slice(0, seed % 4))) {
              yield* Effect.callback<void>((resume) => void talk.socket.write(part, () => resume(Effect.void)))
              yield* Effect.yieldNow
            }
            yield* until(() => bodies(talk.heard).length > at)
          }
          yield* until(() => talk.isClosed)
          assert.deepStrictEqual(bodies(talk.heard), answers)
        }))
      }
    }))

  it.live("answers thousands that are said at once, in their order, and none behind a body that it cannot know of", () =>
    Effect.gen(function*() {
      const port = yield* start(echo)
      const gets = Array.from({ length: 3000 }, (_, at) => `GET /${at} HTTP/1.1\r\nHost: h\r\n\r\n`)
      const { heard } = yield* say(port, [latin1(`${gets.join("")}${conversation[4]}`)])
      assert.deepStrictEqual(bodies(heard).map((line) => line.split(" ")[1]), [...gets.map((_, at) => `/${at}`), "/e"])
      // Whoever says more behind a body is answered, and asked to come again with the rest.
      const behind = yield* say(port, [latin1(`${conversation[1]}${conversation[4]}`)])
      assert.deepStrictEqual(bodies(behind.heard), [answers[1]])
    }))

  const get = "GET / HTTP/1.1\r\nHost: h\r\n"
  it.live.each([
    ["a length and a coding", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["two lengths", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"],
    ["a length that is a list", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\n"],
    ["a length with a sign", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\n"],
    ["another coding", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
    ["a coding that is hidden", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \u000bchunked\r\n\r\n"],
    ["a coding behind a blank of another kind", "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \xa0chunked\r\n\r\n"],
    ["a length behind a blank of another kind", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: \xa02\r\n\r\n"],
    ["a length before a blank of another kind", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\xa0\r\n\r\n"],
    ["a coding of HTTP/1.0", "PUT / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["a blank before the colon", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\n\r\n"],
    ["a folded header", `${get}a: b\r\n c\r\n\r\n`],
    ["a bare line feed", `${get}a: b\nc: d\r\n\r\n`],
    ["a bare carriage return", `${get}a: b\rc: d\r\n\r\n`],
    ["a NUL", `${get}a: \u0000\r\n\r\n`],
    ["two hosts", `${get}Host: g\r\n\r\n`],
    ["no host", "GET / HTTP/1.1\r\n\r\n"],
    ["no version", "GET /\r\n\r\n"],
    ["another version", "GET / HTTP/2.0\r\nHost: h\r\n\r\n"],
    ["a target with a blank", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"],
    ["a target that is no path", "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"],
    ["a method that is none", "ge t / HTTP/1.1\r\nHost: h\r\n\r\n"]
  ])("refuses %s, and what follows", ([, text]) =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const port = yield* start(Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) => {
        asked.push(url)
        return echo
      }))
      const { heard } = yield* say(port, [latin1(`${text}${conversation[4]}`)])
      assert.deepStrictEqual(statuses(heard), [400])
      assert.match(heard, /connection: close/)
      assert.deepStrictEqual(asked, [])
    }))

  it.live("says nothing but HTTP to what is anything at all, and goes on", () =>
    Effect.gen(function*() {
      const port = yield* start(echo, { headTimeout: 20 })
      const samples = yield* Arbitrary.sampleEffect(Arbitrary.schema(Schema.Array(Schema.String)), {
        count: 40,
        seed: "server"
      })
      yield* Effect.forEach(samples, (lines) =>
        Effect.map(
          say(port, [Buffer.from(`GET /${lines.join("\r\n")}\r\n\r\n${conversation[4]}`)]),
          ({ heard }) => assert.match(heard, /^(HTTP\/1\.1 \d\d\d [\s\S]*)?$/)
        ), { concurrency: 8, discard: true })
      assert.deepStrictEqual(statuses((yield* say(port, [latin1(conversation[4]!)])).heard), [200])
    }))

  it.live("tells who begins to speak of TLS at once that this is something else", () =>
    Effect.gen(function*() {
      const { heard } = yield* say(yield* start(echo), [new Uint8Array([22, 3, 1, 2, 0, 1])])
      assert.deepStrictEqual(statuses(heard), [400])
    }))

  it.live("asks for a body by 100 Continue when it is wanted, and closes where it is not", () =>
    Effect.gen(function*() {
      const head = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
      const talk = yield* connect(yield* start(echo))
      talk.socket.write(head)
      yield* until(() => talk.heard === "HTTP/1.1 100 Continue\r\n\r\n")
      talk.socket.write("12345")
      yield* until(() => bodies(talk.heard).length === 1)
      assert.deepStrictEqual(statuses(talk.heard), [100, 200])

      const refusing = yield* start(Effect.succeed(HttpServerResponse.empty({ status: 401 })))
      const refused = yield* say(refusing, [latin1(head)])
      assert.deepStrictEqual(statuses(refused.heard), [401])
      assert.match(refused.heard, /connection: close/)
      const other = yield* say(refusing, [latin1(head.replace("100-continue", "a miracle"))])
      assert.deepStrictEqual(statuses(other.heard), [417])
    }))

  it.live("goes on behind a small body that nobody read, and closes before a large one, with its answer read", () =>
    Effect.gen(function*() {
      const port = yield* start(Effect.succeed(HttpServerResponse.empty({ status: 401 })))
      const put = (length: number) => `PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: ${length}\r\n\r\n`
      const small = yield* say(port, [
        latin1(put(100_000)),
        new Uint8Array(100_000),
        latin1("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        latin1(conversation[4]!)
      ])
      assert.deepStrictEqual(statuses(small.heard), [401, 401, 401])
      const large = yield* say(port, [latin1(put(50_000_000)), new Uint8Array(4_000_000)])
      assert.deepStrictEqual(statuses(large.heard), [401])
      assert.match(large.heard, /connection: close/)
      const endless = yield* say(port, [
        latin1("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFF\r\n"),
        new Uint8Array(4_000_000)
      ])
      assert.deepStrictEqual(statuses(endless.heard), [401])
    }))

  it.live("sends no body where there is none, and chunks or closes where its length is not known", () =>
    Effect.gen(function*() {
      const port = yield* start(Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) =>
        url === "/none"
          ? HttpServerResponse.empty({ status: 204 })
          : url === "/known"
          ? HttpServerResponse.stream(Stream.make(latin1("abc"), latin1("de")), { contentLength: 5 })
          : HttpServerResponse.stream(Stream.make(latin1("abc"), new Uint8Array(0), latin1("de")))))
      const ask = (method: string, path: string, version = "1.1") =>
        Effect.map(
          say(port, [latin1(`${method} ${path} HTTP/${version}\r\nHost: h\r\nConnection: close\r\n\r\n`)]),
          ({ heard }) => {
            const [head = "", ...rest] = heard.split("\r\n\r\n")
            return [/(?:content-length|transfer-encoding): \w+/.exec(head)?.[0], rest.join("\r\n\r\n")]
          }
        )
      assert.deepStrictEqual(yield* ask("GET", "/none"), [undefined, ""])
      assert.deepStrictEqual(yield* ask("GET", "/known"), ["content-length: 5", "abcde"])
      assert.deepStrictEqual(yield* ask("HEAD", "/known"), ["content-length: 5", ""])
      const chunked = "5\r\nabcde\r\n0\r\n\r\n"
      assert.deepStrictEqual(yield* ask("GET", "/unknown"), ["transfer-encoding: chunked", chunked])
      assert.deepStrictEqual(yield* ask("GET", "/unknown", "1.0"), [undefined, "abcde"])
    }))

  it.live("breaks off where a body has not the length that was said, and never sends what would be another header", () =>
    Effect.gen(function*() {
      const port = yield* start(Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) =>
        url === "/header"
          ? HttpServerResponse.empty({ status: 200, headers: { a: "b\r\nc: d" } })
          : HttpServerResponse.stream(Stream.make(latin1("abc"), latin1("de")), {
            contentLength: Number(url.slice(1))
          })))
      const ask = (path: string) => say(port, [latin1(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`)])
      for (const length of [4, 6]) {
        const { heard, isClosed } = yield* ask(`/${length}`)
        assert.isTrue(isClosed)
        assert.isBelow((heard.split("\r\n\r\n")[1] ?? "").length, length)
      }
      const { heard } = yield* ask("/header")
      assert.deepStrictEqual(statuses(heard), [500])
      assert.notInclude(heard, "c: d")
    }))

  it.live("says what is to come where what comes is late, and once", () =>
    Effect.gen(function*() {
      const late = yield* Deferred.make<void>()
      const app: App = Effect.succeed(HttpServerResponse.stream(
        Stream.concat(Stream.fromEffectDrain(Deferred.await(late)), Stream.make(latin1("12345"))),
        { contentLength: 5, contentType: "text/plain" }
      ))
      const talk = yield* connect(yield* start(app))
      talk.socket.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
      yield* until(() => talk.heard.endsWith("\r\n\r\n"))
      yield* Deferred.succeed(late, undefined)
      yield* until(() => talk.heard.endsWith("12345"))
      assert.strictEqual(talk.heard.split("HTTP/1.1").length, 2)
      assert.include(talk.heard, "content-length: 5\r\n")
    }))

  it.live("waits for no head that takes too long, and keeps no connection for ever", () =>
    Effect.gen(function*() {
      const port = yield* start(echo, { headTimeout: 100, keepAlive: 300 })
      const [silent, slow, idle] = yield* Effect.all([
        say(port, []),
        say(port, [latin1("GET / HTTP/1.1\r\nHo")]),
        say(port, [latin1("GET / HTTP/1.1\r\nHost: h\r\n\r\n")])
      ], { concurrency: 3 })
      assert.strictEqual(silent.heard, "")
      assert.deepStrictEqual(statuses(slow.heard), [408])
      assert.deepStrictEqual(statuses(idle.heard), [200])
    }))

  it.live("counts only those connections that are open", () =>
    Effect.gen(function*() {
      const port = yield* start(echo, { connections: 1 })
      for (let i = 0; i < 5; i++) {
        let heard = ""
        // The one before may be closing still.
        while (heard === "") heard = (yield* say(port, [latin1(conversation[4]!)])).heard
        assert.deepStrictEqual(bodies(heard), [answers[4]])
      }
    }))

  it.live("stops what a client asked for that has gone, before and while it is answered", () =>
    Effect.gen(function*() {
      for (const isBegun of [false, true]) {
        const begun = yield* Deferred.make<void>()
        const stopped = yield* Deferred.make<void>()
        const wait = Effect.andThen(Deferred.succeed(begun, undefined), Effect.never).pipe(
          Effect.onInterrupt(() => Deferred.succeed(stopped, undefined))
        )
        const app = isBegun
          ? Effect.succeed(
            HttpServerResponse.stream(Stream.concat(Stream.make(latin1("abc")), Stream.fromEffect(wait)))
          )
          : Effect.interruptible(wait)
        // That it has gone does not show where nothing is sent, and is taken for granted in the end.
        const { socket } = yield* connect(yield* start(app, { headTimeout: 100 }))
        socket.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        yield* Deferred.await(begun)
        socket.destroy()
        yield* Effect.timeout(Deferred.await(stopped), "5 seconds")
      }
    }))

  it.live("stops at once what is sent to a client that has gone", () =>
    Effect.gen(function*() {
      const stopped = yield* Deferred.make<void>()
      const chunks = Stream.fromEffectRepeat(Effect.as(Effect.sleep(5), latin1("abc"))).pipe(
        Stream.ensuring(Deferred.succeed(stopped, undefined))
      )
      const talk = yield* connect(yield* start(Effect.succeed(HttpServerResponse.stream(chunks))))
      talk.socket.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
      yield* until(() => talk.heard.includes("abc"))
      talk.socket.destroy()
      yield* Effect.timeout(Deferred.await(stopped), "5 seconds")
    }))

  it.live("answers all that a client has asked that says no more, as nc does", () =>
    Effect.gen(function*() {
      const size = 16_000_000
      const chunks = Stream.range(1, size / 1_000_000).pipe(Stream.map(() => new Uint8Array(1_000_000).fill(120)))
      const app = Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        if (request.url !== "/blob") return yield* Effect.delay(echo, 20)
        return HttpServerResponse.stream(chunks, { contentLength: size })
      })
      for (const pair of [undefined, yield* SelfSigned.make()]) {
        const port = yield* start(app, { tls: pair, headTimeout: 500 })
        // Behind a body nothing is read that came along with it.
        for (const asked of [[0, 2], [3]]) {
          const talk = yield* connect(port, pair)
          talk.socket.end(asked.map((at) => conversation[at]).join(""))
          yield* until(() => talk.isClosed)
          assert.deepStrictEqual(bodies(talk.heard), asked.map((at) => answers[at]))
        }

        const slow = yield* connect(port, pair)
        slow.socket.pause()
        slow.socket.end("GET /blob HTTP/1.1\r\nHost: h\r\n\r\n")
        // Longer than it would be waited for a client to which nothing is sent.
        yield* Effect.sleep(1500)
        slow.socket.resume()
        yield* until(() => slow.isClosed)
        assert.strictEqual(slow.heard.length - slow.heard.indexOf("\r\n\r\n") - 4, size)
      }
    }))

  it.live("answers nothing to what a client has not said to its end", () =>
    Effect.gen(function*() {
      const head = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
      for (const pair of [undefined, yield* SelfSigned.make()]) {
        const port = yield* start(Effect.delay(echo, 20), { tls: pair })
        for (const said of ["GET / HTTP/1.1\r\nHos", head, `${head}123`]) {
          const talk = yield* connect(port, pair)
          talk.socket.end(said)
          yield* until(() => talk.isClosed)
          assert.strictEqual(talk.heard, "")
        }
        // Not even one of TLS.
        const talk = yield* connect(port)
        talk.socket.end()
        yield* Effect.timeout(until(() => talk.isClosed), "5 seconds")
      }
    }))

  it.live("gives chunks away unless a loan will do", () =>
    Effect.gen(function*() {
      const size = 8_000_000
      const content = Buffer.alloc(size)
      for (let at = 0; at < size; at += 4) content.writeUInt32LE(at, at)
      const keeping = Effect.gen(function*() {
        const { stream } = yield* HttpServerRequest.HttpServerRequest
        const kept = yield* Effect.orDie(Stream.runCollect(stream))
        return HttpServerResponse.text(`PUT / h ${digestOf(Buffer.concat(kept))}\n`)
      })
      for (const pair of [undefined, yield* SelfSigned.make()]) {
        const talk = yield* connect(yield* start(keeping, { tls: pair }), pair)
        talk.socket.write(`PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: ${size}\r\n\r\n`)
        talk.socket.write(content)
        yield* until(() => bodies(talk.heard).length === 1)
        assert.deepStrictEqual(bodies(talk.heard), [`PUT / h ${digestOf(content)}`])
      }
    }))
})
