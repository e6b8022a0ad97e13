import * as Origin from "@effect-oci/transport/Origin"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import { createServer as createTlsServer } from "node:https"
import type { AddressInfo } from "node:net"
import * as SelfSigned from "../src/SelfSigned.ts"
import { codeOf, each, ok, text } from "./clients.ts"
import * as Wire from "./wire.ts"

each(({ isLane, layer, live }) => {
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
