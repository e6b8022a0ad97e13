import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Framing from "../../src/internal/framing.ts"
import type { Head } from "../../src/internal/head.ts"
import { pieces } from "./pieces.ts"

const head = (headers: Record<string, string>, status = 200): Head => ({
  status,
  headers,
  cookies: [],
  isKept: true,
  keepAlive: undefined
})

const read = (framing: Framing.Framing, chunks: ReadonlyArray<Uint8Array>) => {
  const out: Array<Uint8Array> = []
  let taken = 0
  for (const chunk of chunks) taken += framing.next(chunk, out)
  return { text: Buffer.concat(out).toString("latin1"), taken, isDone: framing.isDone() }
}

const chunked = () => Framing.of("GET", head({ "transfer-encoding": "chunked" }))
const latin1 = (text: string) => Buffer.from(text, "latin1")

describe("framing", () => {
  describe("a length", () => {
    it.prop("takes so many bytes and no more", [Schema.Array(Schema.Natural)], ([cuts]) => {
      const framing = Framing.of("GET", head({ "content-length": "5" }))
      assert.deepStrictEqual(read(framing, pieces(latin1("12345next"), cuts)), {
        text: "12345",
        taken: 5,
        isDone: true
      })
    })

    it("is missed where the connection ends before it", () => {
      const framing = Framing.of("GET", head({ "content-length": "5" }))
      read(framing, [latin1("123")])
      assert.strictEqual(framing.ended()?.code, "ECONNRESET")
    })

    it.each(["", "-1", "+4", "4, 4", "0x4", "4 4", "99999999999999999"])("of %j is refused", (length) => {
      assert.throws(() => Framing.of("GET", head({ "content-length": length })), /malformed/)
    })
  })

  describe("chunks", () => {
    const body = "4\r\nWiki\r\n6;name=\"v\"\r\npedia \r\nE \t;x\r\nin \r\n\r\nchunks.\r\n0\r\nTrailer: t\r\n\r\n"
    const expected = { text: "Wikipedia in \r\n\r\nchunks.", taken: body.length, isDone: true }

    it.prop("are read the same however they are cut", [Schema.Array(Schema.Natural)], ([cuts]) => {
      assert.deepStrictEqual(read(chunked(), pieces(latin1(body), cuts)), expected)
    })

    it("are read the same byte by byte, and leave what follows", () => {
      assert.deepStrictEqual(read(chunked(), [...latin1(body)].map((byte) => new Uint8Array([byte]))), expected)
      assert.deepStrictEqual(read(chunked(), [latin1(`${body}HTTP/1.1`)]), expected)
    })

    it.each([
      ["no size", "\r\nabc"],
      ["a size that is none", "xyz\r\nabc"],
      ["a sign", "+4\r\nWiki\r\n"],
      ["0x", "0x4\r\nWiki\r\n"],
      ["a size beyond all measure", "fffffffffffffffff\r\n"],
      ["a bare line feed", "4\nWiki\r\n"],
      ["a bare carriage return", "4;a\rb\r\nWiki\r\n"],
      ["data beyond the size", "4\r\nWikipedia\r\n"],
      ["an endless size", `4;${"x".repeat(5000)}`],
      ["endless trailers", `0\r\n${"a: b\r\n".repeat(5000)}`]
    ])("with %s are refused, however they are cut", (_, text) => {
      assert.throws(() => read(chunked(), [latin1(text)]), /malformed/)
      assert.throws(() => read(chunked(), [...latin1(text)].map((byte) => new Uint8Array([byte]))), /malformed/)
    })

    it("are missed where the connection ends before the last", () => {
      const framing = chunked()
      read(framing, [latin1("4\r\nWiki\r\n")])
      assert.strictEqual(framing.ended()?.code, "ECONNRESET")
    })

    it.prop("that are anything at all are read or refused", [Schema.String], ([text]) => {
      try {
        read(chunked(), [Buffer.from(text)])
      } catch (error) {
        assert.match(String(error), /malformed/)
      }
    })
  })

  it("goes on to the end of the connection where nothing is said", () => {
    const framing = Framing.of("GET", head({}))
    assert.deepStrictEqual(read(framing, [latin1("abc")]), { text: "abc", taken: 3, isDone: false })
    assert.strictEqual(framing.ended(), undefined)
    assert.isTrue(framing.isDone())
  })

  it.each([["HEAD", 200], ["GET", 204], ["GET", 304]])("of %s and %i is nothing", (method, status) => {
    assert.isTrue(Framing.of(method, head({ "content-length": "5" }, status)).isDone())
  })

  it.each([
    [{ "transfer-encoding": "chunked", "content-length": "4" }],
    [{ "transfer-encoding": "gzip, chunked" }],
    [{ "transfer-encoding": "chunked, identity" }],
    [{ "transfer-encoding": "" }]
  ])("is refused where readers could disagree: %j", (headers) => {
    assert.throws(() => Framing.of("GET", head(headers)), /malformed/)
  })
})
