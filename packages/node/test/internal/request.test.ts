import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import { HttpServerError } from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as UrlParams from "effect/http/UrlParams"
import * as Option from "effect/Option"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Chunks } from "../../src/internal/body.ts"
import { Request } from "../../src/internal/request.ts"
import type { Asked } from "../../src/internal/served.ts"

const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))

/** Gives these, one after the other; says whether it was closed. */
const bodyOf = (...parts: ReadonlyArray<string | Error>) => {
  let at = 0
  let isClosed = false
  const pull = Effect.suspend((): Pull.Pull<Chunks, Error> => {
    const part = parts[at++]
    return part === undefined
      ? Cause.done()
      : typeof part === "string"
      ? Effect.succeed<Chunks>([latin1(part)])
      : Effect.fail(part)
  })
  return { pull, close: () => void (isClosed = true), isClosed: () => isClosed }
}

const asked = (body: Asked["body"], headers: Record<string, string> = {}): Asked => ({
  head: { method: "POST", target: "/a?b=c", headers: { host: "h:1", ...headers }, isOld: false, isKept: true },
  address: "127.0.0.1",
  protocol: "https",
  body,
  send: () => {},
  write: () => Effect.void,
  keepAlive: 1,
  isKept: () => true,
  close: () => {},
  cut: () => {}
})

describe("request", () => {
  it.effect("is what any request of a server is", () =>
    Effect.gen(function*() {
      const of = (body: string) => new Request(asked(bodyOf(body), { cookie: "c=d" }), {})
      const request = of("x=1&y=2")
      assert.deepStrictEqual(
        [request.method, request.url, request.originalUrl, request.headers["host"], request.protocol],
        ["POST", "/a?b=c", "/a?b=c", "h:1", "https"]
      )
      assert.deepStrictEqual(request.remoteAddress, Option.some("127.0.0.1"))
      assert.deepStrictEqual(request.peerAddress, Option.some("127.0.0.1"))
      assert.deepStrictEqual({ ...request.cookies }, { c: "d" })
      assert.strictEqual(UrlParams.toString(yield* request.urlParamsBody), "x=1&y=2")
      assert.strictEqual(yield* of("text").text, "text")
      assert.deepStrictEqual(yield* of("[1]").json, [1])
      assert.deepStrictEqual(new Uint8Array(yield* of("ab").arrayBuffer), latin1("ab"))
      assert.instanceOf(yield* Effect.flip(request.upgrade), HttpServerError)
      assert.include(JSON.stringify(request), "/a?b=c")
      const url = HttpServerRequest.toURL(request)
      assert.strictEqual(Option.getOrUndefined(url)?.href, "https://h:1/a?b=c")
    }))

  it("is modified in what is said, and in nothing else", () => {
    const request = new Request(asked(undefined), {})
    const modified = request.modify({ url: "/other", protocol: "http" }).modify({
      headers: Headers.fromInput({ a: "b" }),
      remoteAddress: Option.none()
    })
    assert.deepStrictEqual([modified.method, modified.url, modified.originalUrl, modified.protocol], [
      "POST",
      "/other",
      "/a?b=c",
      "http"
    ])
    assert.deepStrictEqual([modified.headers["a"], modified.headers["host"]], ["b", undefined])
    assert.isTrue(Option.isNone(modified.remoteAddress))
    assert.deepStrictEqual(modified.peerAddress, Option.some("127.0.0.1"))
    assert.strictEqual(modified.source, request.source)
  })

  it.effect("closes its body once it was read, and says what was wrong with it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Stream.runCollect(new Request(asked(undefined), {}).stream), [])
      const body = bodyOf("a", "b")
      const read = yield* Stream.runCollect(new Request(asked(body), {}).stream)
      assert.deepStrictEqual(read.map((chunk) => Buffer.from(chunk).toString()), ["a", "b"])
      assert.isTrue(body.isClosed())
      const broken = bodyOf("a", new Error("broke off"))
      const request = new Request(asked(broken), {})
      const error = yield* Effect.flip(Stream.runDrain(request.stream))
      assert.instanceOf(error, HttpServerError)
      assert.strictEqual(error.request, request)
      assert.isTrue(broken.isClosed())
    }))
})
