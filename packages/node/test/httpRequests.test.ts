import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import type { Socket } from "node:net"
import { each, ok } from "./clients.ts"
import * as Wire from "./wire.ts"

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

each(({ isLane, live }) => {
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
      "tell of what they have sent of a body that is there in one piece",
      Effect.gen(function*() {
        const body = randomBytes(3_000_001)
        const server = yield* Wire.serve((_, socket) => void socket.write(ok()))
        const client = yield* HttpClient.HttpClient
        const bodies = [
          HttpBody.uint8Array(body, "a/b"),
          HttpBody.stream(Stream.succeed(body), "a/b", body.length)
        ]
        for (const one of bodies) {
          let told = 0
          yield* Effect.flatMap(client.put(server.url, { body: one }), (response) => response.text).pipe(
            Effect.provideService(ResponseBody.OnSent, () => void told++)
          )
          assert.isAtLeast(told, 16)
        }
        assert.isTrue(server.asked.every((asked) => asked.body.equals(body)))
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
})
