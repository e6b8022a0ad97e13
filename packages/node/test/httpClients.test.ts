import * as Origin from "@effect-oci/transport/Origin"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createHash, randomBytes } from "node:crypto"
import { createServer } from "node:http"
import { createServer as createTlsServer } from "node:https"
import type { AddressInfo, Socket } from "node:net"
import { gzipSync } from "node:zlib"
import * as NodeHttp from "../src/NodeHttp.ts"
import * as NodeLane from "../src/NodeLane.ts"
import * as SelfSigned from "../src/SelfSigned.ts"
import * as Wire from "./wire.ts"

const ok = (body = "", ...headers: ReadonlyArray<string>) =>
  ["HTTP/1.1 200 OK", `content-length: ${body.length}`, ...headers, "", body].join("\r\n")

const codeOf = (error: HttpClientError): string | undefined => {
  for (let at: unknown = error; at !== undefined && at !== null; at = (at as { cause?: unknown }).cause) {
    const code = (at as { code?: unknown }).code
    if (typeof code === "string") return code
  }
  return undefined
}

const text = Effect.fnUntraced(function*(url: string) {
  const client = yield* HttpClient.HttpClient
  return yield* Effect.flatMap(client.get(url), (response) => response.text)
})

const repeated = (body: Uint8Array, size: number) =>
  Stream.fromIterable(
    {
      *[Symbol.iterator]() {
        for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size)
      }
    },
    { chunkSize: 1 }
  )

/** A body whose chunks are one buffer, written over after each pull. */
const lent = (body: Uint8Array, size: number): Stream.Stream<Uint8Array> =>
  Stream.suspend(() => {
    const buffer = new Uint8Array(size)
    return Stream.map(repeated(body, size), (chunk) => {
      buffer.fill(0xaa)
      buffer.set(chunk)
      return buffer.subarray(0, chunk.length)
    })
  })

describe.each([["NodeHttp", NodeHttp.layer], ["NodeLane", NodeLane.layer]] as const)("%s", (name, layer) => {
  const isLane = name === "NodeLane"
  const live = <A, E>(
    sentence: string,
    test: Effect.Effect<A, E, HttpClient.HttpClient | Scope.Scope>
  ) => it.live(sentence, () => Effect.provide(Effect.scoped(test), layer), 20_000)

  describe("replies", () => {
    live(
      "come one after the other on one connection, HEAD, 204, 304 and chunked ones among them",
      Effect.gen(function*() {
        const replies = [
          ok("one"),
          "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n",
          "HTTP/1.1 204 No Content\r\n\r\n",
          "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
          "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n",
          ok()
        ]
        const server = yield* Wire.serve((_, socket, count) => void socket.write(replies[count - 1]!))
        const client = yield* HttpClient.HttpClient
        assert.strictEqual(yield* text(server.url), "one")
        const head = yield* client.head(server.url)
        assert.strictEqual(head.headers["content-length"], "999")
        assert.strictEqual(yield* head.text, "")
        for (const expected of [[204, ""], [304, ""], [200, "two"], [200, ""]] as const) {
          const response = yield* client.get(server.url)
          assert.deepStrictEqual([response.status, yield* response.text], [...expected])
        }
        if (isLane) assert.strictEqual(server.connections, 1)
      })
    )

    live(
      "are not followed, and not decoded",
      Effect.gen(function*() {
        const zipped = gzipSync("zipped")
        const server = yield* Wire.serve((_, socket, count) => {
          if (count === 1) {
            return void socket.write("HTTP/1.1 307 x\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")
          }
          socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${zipped.length}\r\n\r\n`)
          socket.write(zipped)
        })
        const client = yield* HttpClient.HttpClient
        const redirect = yield* client.get(server.url)
        assert.deepStrictEqual([redirect.status, redirect.headers["location"]], [307, "/elsewhere"])
        yield* redirect.text
        const encoded = yield* Effect.flatMap(client.get(server.url), (response) => response.arrayBuffer)
        assert.deepStrictEqual(Buffer.from(encoded), zipped)
      })
    )

    live(
      "are read byte by byte where they come so, interim ones passed over",
      Effect.gen(function*() {
        const bytes = Buffer.from(
          "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
        )
        const server = yield* Wire.serve((_, socket) => {
          socket.setNoDelay(true)
          let at = 0
          const next = (): void => {
            if (at < bytes.length) socket.write(bytes.subarray(at, ++at), () => setImmediate(next))
          }
          next()
        })
        assert.strictEqual(yield* text(server.url), "hello!")
        assert.strictEqual(yield* text(server.url), "hello!")
        if (isLane) assert.strictEqual(server.connections, 1)
      })
    )

    live(
      "that end with the connection end so",
      Effect.gen(function*() {
        const server = yield* Wire.serve((_, socket) => void socket.end("HTTP/1.1 200 OK\r\n\r\nall there is"))
        assert.strictEqual(yield* text(server.url), "all there is")
        assert.strictEqual(yield* text(server.url), "all there is")
        assert.strictEqual(server.connections, 2)
      })
    )

    live(
      "that were cut off fail while they are read",
      Effect.gen(function*() {
        for (
          const cut of [
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"
          ]
        ) {
          for (const end of ["end", "resetAndDestroy"] as const) {
            const server = yield* Wire.serve((_, socket) =>
              void socket.write(cut, () => setImmediate(() => socket[end]()))
            )
            const client = yield* HttpClient.HttpClient
            const response = yield* client.get(server.url)
            const error = yield* Effect.flip(response.text)
            assert.strictEqual(error.reason._tag, "DecodeError")
            assert.include(["ECONNRESET", "UND_ERR_SOCKET"], codeOf(error))
          }
        }
      })
    )

    live(
      "that never come are failures of the transport",
      Effect.gen(function*() {
        for (const end of ["end", "resetAndDestroy"] as const) {
          const server = yield* Wire.serve((_, socket) => void socket[end]())
          const error = yield* Effect.flip(text(server.url))
          assert.strictEqual(error.reason._tag, "TransportError")
          assert.include(["ECONNRESET", "UND_ERR_SOCKET"], codeOf(error))
        }
        const gone = yield* Effect.scoped(Wire.serve(() => {}))
        const refused = yield* Effect.flip(text(gone.url))
        assert.deepStrictEqual([refused.reason._tag, codeOf(refused)], ["TransportError", "ECONNREFUSED"])
      })
    )

    live(
      "that are no HTTP are refused for good",
      Effect.gen(function*() {
        const heads = [
          "SSH-2.0-OpenSSH_9.2\r\n\r\n",
          "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
          "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\na",
          "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"
        ]
        for (const head of heads) {
          const server = yield* Wire.serve((_, socket) => void socket.write(head))
          const error = yield* Effect.flip(text(server.url))
          if (isLane) assert.match(codeOf(error) ?? "", /^HPE_/)
          assert.strictEqual(server.asked.length, 1)
        }
      })
    )

    live(
      "with heads of 60 KiB are read, and larger ones refused",
      Effect.gen(function*() {
        const server = yield* Wire.serve((_, socket, count) =>
          void socket.write(ok("", `a: ${"x".repeat(count === 1 ? 60_000 : 70_000)}`))
        )
        const client = yield* HttpClient.HttpClient
        const response = yield* client.get(server.url)
        assert.strictEqual(response.headers["a"]?.length, 60_000)
        yield* response.text
        assert.match(codeOf(yield* Effect.flip(client.get(server.url))) ?? "", /HEADERS?_OVERFLOW/)
      })
    )

    live(
      "longer than they say spoil nothing but their connection",
      Effect.gen(function*() {
        const server = yield* Wire.serve((_, socket) =>
          void socket.write(`${ok("right")}HTTP/1.1 200 OK\r\n\r\nsmuggled`)
        )
        assert.strictEqual(yield* text(server.url), "right")
        assert.strictEqual(yield* text(server.url), "right")
        assert.strictEqual(server.connections, 2)
      })
    )

    live(
      "keep every byte, lent or given, over many reads",
      Effect.gen(function*() {
        const body = randomBytes(9_000_001)
        const digest = createHash("sha256").update(body).digest("hex")
        const server = yield* Effect.acquireRelease(
          Effect.callback<ReturnType<typeof createServer>>((resume) => {
            const server = createServer((request, response) => {
              if (request.url === "/length") response.setHeader("content-length", body.length)
              for (let at = 0; at < body.length; at += 100_003) response.write(body.subarray(at, at + 100_003))
              response.end()
            })
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => (server.closeAllConnections(), server.close()))
        )
        const client = yield* HttpClient.HttpClient
        for (const path of ["/length", "/chunks"]) {
          const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
          const kept = yield* Effect.flatMap(client.get(url), (response) => Stream.runCollect(response.stream))
          assert.isTrue(Buffer.concat(kept).equals(body))
          const hash = createHash("sha256")
          yield* Effect.flatMap(
            client.get(url),
            (response) =>
              Stream.runForEach(ResponseBody.stream(response), (chunk) => Effect.sync(() => void hash.update(chunk)))
          )
          assert.strictEqual(hash.digest("hex"), digest)
        }
      })
    )

    live(
      "are not read faster than whoever reads them",
      Effect.gen(function*() {
        const size = 256 * 1024 * 1024
        const chunk = Buffer.alloc(1024 * 1024)
        let sent = 0
        let isBlocked = false
        const server = yield* Wire.serve((_, socket) => {
          socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
          const more = (): void => {
            isBlocked = false
            while (sent < size) {
              sent += chunk.length
              if (!socket.write(chunk)) {
                isBlocked = true
                return void socket.once("drain", more)
              }
            }
          }
          more()
        })
        const client = yield* HttpClient.HttpClient
        const response = yield* client.get(server.url)
        let turns = 0
        yield* Stream.runForEach(Stream.take(response.stream, 1), () => Wire.until(() => isBlocked && ++turns > 50))
        assert.isBelow(sent, 64 * 1024 * 1024)
        yield* Wire.until(() => server.open.size === 0)
      })
    )
  })

  describe("over TLS", () => {
    /** A server that says what it is told over TLS, and the client that believes it. */
    const secure = <A, E>(
      all: Uint8Array,
      test: (url: string) => Effect.Effect<A, E, HttpClient.HttpClient | Scope.Scope>
    ) =>
      Effect.gen(function*() {
        const pair = yield* SelfSigned.make()
        const server = createTlsServer(pair, (_, response) => {
          response.writeHead(200, { "content-length": all.length }).end(all)
        })
        yield* Effect.acquireRelease(
          Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
          () => Effect.sync(() => void server.close().closeAllConnections())
        )
        const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
        const origins = Origin.layer(Origin.fromEntries([[host, { tls: { ca: [pair.cert] } }]]))
        return yield* test(`https://${host}/`).pipe(Effect.provide(Layer.provide(Layer.fresh(layer), origins)))
      })

    live(
      "chunks are lent until the next one is pulled, however long that takes",
      Effect.gen(function*() {
        const all = randomBytes(8 * 1024 * 1024)
        yield* secure(all, (url) =>
          Effect.gen(function*() {
            const client = yield* HttpClient.HttpClient
            for (let i = 0; i < 2; i++) {
              const response = yield* client.get(url)
              let at = 0
              yield* response.stream.pipe(
                Stream.provideService(ResponseBody.Lending, true),
                Stream.runForEach((chunk) =>
                  Effect.map(Effect.promise(() => new Promise((resume) => setImmediate(resume))), () => {
                    assert.isTrue(all.subarray(at, at + chunk.length).equals(chunk), `at ${at}`)
                    at += chunk.length
                  })
                )
              )
              assert.strictEqual(at, all.length)
            }
          }))
      })
    )

    live(
      "go on, as they came, to a server that takes them slowly",
      Effect.gen(function*() {
        const all = randomBytes(16 * 1024 * 1024)
        const got: Array<Buffer> = []
        const target = yield* Wire.serve((asked, socket) => {
          let size = 0
          const look = (bytes: Buffer): void => {
            got.push(bytes)
            size += bytes.length
            if (size === all.length) socket.write(ok())
            if (got.length % 16 !== 0) return
            socket.pause()
            setTimeout(() => socket.resume(), 2)
          }
          socket.on("data", look)
          look(asked.body)
        }, true)
        yield* secure(all, (url) =>
          Effect.gen(function*() {
            const client = yield* HttpClient.HttpClient
            const response = yield* client.get(url)
            const bytes = Stream.provideService(response.stream, ResponseBody.Lending, true)
            yield* client.put(target.url, { body: HttpBody.stream(bytes, "a/b", all.length) })
          }))
        assert.isTrue(Buffer.concat(got).equals(all))
      })
    )
  })

  describe("interruption", () => {
    live(
      "closes the connection of a request without a reply",
      Effect.gen(function*() {
        const server = yield* Wire.serve(() => {})
        const fiber = yield* Effect.forkChild(text(server.url), { startImmediately: true })
        yield* Wire.until(() => server.asked.length === 1)
        yield* Fiber.interrupt(fiber)
        yield* Wire.until(() => server.open.size === 0)
      })
    )

    live(
      "closes the connection of a body that stalls",
      Effect.gen(function*() {
        const server = yield* Wire.serve((_, socket) =>
          void socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        )
        const client = yield* HttpClient.HttpClient
        const response = yield* client.get(server.url)
        const came = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(response.stream, () => Deferred.succeed(came, undefined)),
          { startImmediately: true }
        )
        yield* Deferred.await(came)
        yield* Fiber.interrupt(fiber)
        yield* Wire.until(() => server.open.size === 0)
      })
    )
  })

  describe("requests", () => {
    live(
      "send a body as it was announced, lent chunks too",
      Effect.gen(function*() {
        const body = randomBytes(3_000_001)
        const server = yield* Wire.serve((_, socket) => void socket.write(ok()))
        const client = yield* HttpClient.HttpClient
        for (let i = 0; i < 2; i++) {
          yield* Effect.flatMap(
            client.put(server.url, { body: HttpBody.stream(lent(body, 65_536), "a/b", body.length) }),
            (response) => response.text
          )
        }
        yield* Effect.flatMap(
          client.put(server.url, { body: HttpBody.uint8Array(body, "a/b") }),
          (response) => response.text
        )
        if (isLane) assert.strictEqual(server.connections, 1)
        for (const asked of server.asked) {
          assert.match(asked.head, /^content-length: 3000001$/im)
          assert.notMatch(asked.head, /^transfer-encoding/im)
          assert.isTrue(asked.body.equals(body))
        }
      })
    )

    live(
      "say that they have no body where a method should have one",
      Effect.gen(function*() {
        const server = yield* Wire.serve((_, socket) => void socket.write(ok()))
        const client = yield* HttpClient.HttpClient
        yield* Effect.flatMap(client.post(server.url), (response) => response.text)
        assert.match(server.asked[0]!.head, /^content-length: 0$/im)
      })
    )

    live(
      "of unknown length go in chunks, unless a client finds out how long they are",
      Effect.gen(function*() {
        const got: Array<Buffer> = []
        const server = yield* Wire.serve((asked, socket) => {
          const look = (bytes: Buffer): void => {
            got.push(bytes)
            const body = Buffer.concat(got).toString()
            const isAll = /^transfer-encoding: chunked$/im.test(asked.head)
              ? body === "9\r\nWikipedia\r\n0\r\n\r\n"
              : /^content-length: 9$/im.test(asked.head) && body === "Wikipedia"
            if (isAll) socket.write(ok("all"))
          }
          socket.on("data", look)
          look(asked.body)
        }, true)
        const client = yield* HttpClient.HttpClient
        const body = HttpBody.stream(Stream.make(Buffer.from("Wiki"), Buffer.from("pedia")), "a/b")
        assert.strictEqual(yield* Effect.flatMap(client.put(server.url, { body }), (response) => response.text), "all")
      })
    )

    live(
      "stop where a reply comes early, which is read",
      Effect.gen(function*() {
        const server = yield* Wire.serve((_, socket) => {
          socket.pause()
          socket.write("HTTP/1.1 413 Too Large\r\ncontent-length: 9\r\n\r\ntoo large")
        }, true)
        const ended = yield* Deferred.make<void>()
        const chunk = new Uint8Array(65_536)
        const body = Stream.ensuring(
          Stream.fromIterable({
            *[Symbol.iterator]() {
              for (;;) yield chunk
            }
          }, { chunkSize: 1 }),
          Deferred.succeed(ended, undefined)
        )
        const client = yield* HttpClient.HttpClient
        const response = yield* client.put(server.url, { body: HttpBody.stream(body, "a/b", 1e12) })
        assert.deepStrictEqual([response.status, yield* response.text], [413, "too large"])
        yield* Deferred.await(ended)
        // Nobody would know where the next request begins.
        const next = yield* client.get(server.url)
        assert.deepStrictEqual([next.status, server.connections], [413, 2])
        yield* next.text
      })
    )

    const endless = (chunk: Uint8Array) =>
      Stream.fromIterable({
        *[Symbol.iterator]() {
          for (;;) yield chunk
        }
      }, { chunkSize: 1 })

    /** What a server gets of an endless upload that it refuses when it has so much of it, and of all that it gets after that. */
    const refused = Effect.fnUntraced(function*(
      status: number,
      at: number,
      read: (socket: Socket, onData: (bytes: Buffer) => void) => void
    ) {
      let before = 0
      let after = 0
      let isAnswered = false
      const server = yield* Wire.serve((asked, socket) => {
        const look = (bytes: Buffer): void => {
          if (isAnswered) after += bytes.length
          else before += bytes.length
          if (isAnswered || before < at) return
          isAnswered = true
          socket.write(`HTTP/1.1 ${status} No\r\ncontent-length: 2\r\n\r\nno`)
        }
        look(asked.body)
        read(socket, look)
      }, true)
      const client = yield* HttpClient.HttpClient
      const body = HttpBody.stream(endless(new Uint8Array(512 * 1024)), "a/b", 1e12)
      const response = yield* client.put(server.url, { body })
      assert.deepStrictEqual([response.status, yield* response.text], [status, "no"])
      yield* Wire.until(() => server.open.size === 0)
      return after
    })
    const most = 256 * 1024

    for (const status of [413, 401, 503]) {
      live(
        `B20: send at most 256 KiB after a ${status} that comes early`,
        Effect.gen(function*() {
          for (const at of [0, 1024 * 1024, 8 * 1024 * 1024 + 1]) {
            assert.isAtMost(yield* refused(status, at, (socket, onData) => void socket.on("data", onData)), most)
          }
        })
      )
    }

    if (isLane) {
      live(
        "B20: take back what waits in the kernel for a server that reads slowly",
        Effect.gen(function*() {
          const after = yield* refused(413, 1024 * 1024, (socket, onData) => {
            socket.on("data", (bytes) => {
              onData(bytes)
              socket.pause()
              setTimeout(() => socket.resume(), 5)
            })
          })
          // Some of it had reached the server before it answered, and is all that is left of 3 MiB.
          assert.isBelow(after, 1024 * 1024)
        })
      )

      live(
        "B20: send a large body that is there in one piece no further, either",
        Effect.gen(function*() {
          let got = 0
          const server = yield* Wire.serve((_, socket) => {
            socket.write("HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n")
            socket.on("data", (bytes) => void (got += bytes.length))
          }, true)
          const client = yield* HttpClient.HttpClient
          const body = HttpBody.uint8Array(new Uint8Array(64 * 1024 * 1024), "a/b")
          assert.strictEqual((yield* client.put(server.url, { body })).status, 413)
          yield* Wire.until(() => server.open.size === 0)
          assert.isAtMost(got, most)
        })
      )
    }

    live(
      "fail where their body does, and leave no connection behind",
      Effect.gen(function*() {
        const server = yield* Wire.serve(() => {}, true)
        const client = yield* HttpClient.HttpClient
        const body = Stream.concat(Stream.succeed(new Uint8Array(10)), Stream.fail(new Error("the source broke")))
        const exit = yield* Effect.exit(client.put(server.url, { body: HttpBody.stream(body, "a/b", 1000) }))
        assert.isTrue(Exit.isFailure(exit))
        assert.include(String(exit), "HttpClientError")
        yield* Wire.until(() => server.open.size === 0)
      })
    )

    live(
      "fail where their body is not of the length that was announced",
      Effect.gen(function*() {
        const server = yield* Wire.serve(() => {}, true)
        const client = yield* HttpClient.HttpClient
        for (const length of [9, 11]) {
          const body = HttpBody.stream(Stream.succeed(new Uint8Array(10)), "a/b", length)
          const exit = yield* Effect.exit(client.put(server.url, { body }))
          assert.isTrue(Exit.isFailure(exit))
        }
        // Not a byte more than was announced.
        for (const { body } of server.asked) assert.isAtMost(body.length, 11)
        yield* Wire.until(() => server.open.size === 0)
      })
    )

    live(
      "cannot carry a line of their own making",
      Effect.gen(function*() {
        const server = yield* Wire.serve((_, socket) => void socket.write(ok()))
        const client = yield* HttpClient.HttpClient
        for (const value of ["a\r\nx: y", "a\nx: y", "a\0b", "snow\u2603"]) {
          const exit = yield* Effect.exit(client.get(server.url, { headers: { evil: value } }))
          assert.isTrue(Exit.isFailure(exit))
        }
        assert.strictEqual(server.asked.length, 0)
      })
    )
  })

  describe("kept connections", () => {
    live(
      "that the server closed meanwhile are not noticed",
      Effect.gen(function*() {
        const server = yield* Wire.serve((_, socket) => void socket.write(ok("once"), () => socket.end()))
        for (let i = 0; i < 20; i++) {
          assert.strictEqual(yield* text(server.url), "once")
          yield* Wire.until(() => server.open.size === 0)
        }
      })
    )

    live(
      "are shared by requests at the same time, and stay within their number",
      Effect.gen(function*() {
        const server = yield* Wire.serve((_, socket) => void setImmediate(() => socket.write(ok("ok"))))
        yield* Effect.forEach(Array.from({ length: 300 }), () => text(server.url), { concurrency: "unbounded" })
        assert.isAtMost(server.connections, 64)
        assert.strictEqual(server.asked.length, 300)
      })
    )

    // Nobody retries here: what fails, fails.
    it.runIf(isLane)(
      "B25: that the server closes after a millisecond cost none of a thousand requests",
      () =>
        Effect.runPromise(Effect.provide(
          Effect.scoped(Effect.gen(function*() {
            const server = yield* Wire.serve((_, socket) =>
              void socket.write(ok("ok"), () => setTimeout(() => socket.destroy(), 1))
            )
            const pause = Effect.sleep("1 millis")
            const answers = yield* Effect.forEach(
              Array.from({ length: 1000 }),
              (_, i) => i % 3 === 0 ? Effect.andThen(pause, text(server.url)) : text(server.url),
              { concurrency: 8 }
            )
            assert.strictEqual(answers.filter((answer) => answer === "ok").length, 1000)
          })),
          layer
        ))
    )

    it.runIf(isLane)(
      "B25: that end as the request leaves are replaced at once, and from then on for what cannot be sent again",
      () =>
        Effect.runPromise(Effect.provide(
          Effect.scoped(Effect.gen(function*() {
            const server = yield* Wire.serve(({ nth }, socket) =>
              nth === 2 ? socket.destroy() : void socket.write(ok("ok"))
            )
            const client = yield* HttpClient.HttpClient
            const body = HttpBody.stream(Stream.succeed(new Uint8Array(10)), "a/b", 10)
            const put = Effect.flatMap(client.put(server.url, { body }), (response) => response.text)
            assert.strictEqual(yield* text(server.url), "ok")
            assert.strictEqual(codeOf(yield* Effect.flip(put)), "ECONNRESET")
            for (let i = 0; i < 5; i++) {
              assert.strictEqual(yield* text(server.url), "ok")
              assert.strictEqual(yield* put, "ok")
            }
          })),
          layer
        ))
    )
  })
})
