import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as Stream from "effect/Stream"
import { createHash, randomBytes } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { gzipSync } from "node:zlib"
import { codeOf, each, ok, text } from "./clients.ts"
import * as Wire from "./wire.ts"

each(({ isLane, live }) => {
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
      "may be changed by whoever derives others from them, their bodies too",
      Effect.gen(function*() {
        const server = yield* Wire.serve((_, socket) => void socket.write(ok("bytes")))
        const client = yield* HttpClient.HttpClient
        const response = yield* client.get(server.url)
        const derived: typeof response = Object.create(response, {
          stream: { value: Stream.map(response.stream, (chunk) => chunk.map((byte) => byte + 1)) }
        })
        assert.isUndefined(ResponseBody.whole(derived))
        const chunks = yield* Stream.runCollect(ResponseBody.stream(derived))
        assert.strictEqual(Buffer.concat(chunks).toString(), "czuft")
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
})
