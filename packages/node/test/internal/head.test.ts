import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Head from "../../src/internal/head.ts"
import { pieces } from "./pieces.ts"

const read = (chunks: ReadonlyArray<Uint8Array>) => {
  const collect = Head.collector()
  for (const [at, chunk] of chunks.entries()) {
    const found = collect(chunk)
    if (found !== undefined) {
      const rest = Buffer.concat([found.rest, ...chunks.slice(at + 1)]).toString("latin1")
      return { ...found.head, headers: { ...found.head.headers }, rest }
    }
  }
  return undefined
}

const whole = (text: string) => read([Buffer.from(text, "latin1")])

const reply = [
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nlink: </v2/>\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Both: a\r\nx-both:b \r\nSet-Cookie: c=1\r\nEmpty:\r\nKeep-Alive: timeout=5\r\n\r\n",
  "body"
].join("")

const expected = {
  status: 200,
  headers: { "content-length": "4", "x-both": "a, b", "set-cookie": "c=1", empty: "", "keep-alive": "timeout=5" },
  cookies: ["c=1"],
  isKept: true,
  keepAlive: 5,
  rest: "body"
}

describe("head", () => {
  it.prop("reads the same however it is cut", [Schema.Array(Schema.Natural)], ([cuts]) => {
    assert.deepStrictEqual(read(pieces(Buffer.from(reply, "latin1"), cuts)), expected)
  })

  it("reads the same cut at any two places, and byte by byte", () => {
    const bytes = Buffer.from(reply, "latin1")
    assert.deepStrictEqual(read([...bytes].map((byte) => new Uint8Array([byte]))), expected)
    for (let cut = 1; cut < bytes.length; cut++) {
      assert.deepStrictEqual(read([bytes.subarray(0, cut), bytes.subarray(cut)]), expected)
    }
  })

  it.each([
    ["HTTP/1.1 200\r\n\r\n", true],
    ["HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", false],
    ["HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\n\r\n", false],
    ["HTTP/1.0 200 OK\r\n\r\n", false],
    ["HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\n", true]
  ])("knows from %j whether the connection is kept", (text, isKept) => {
    assert.strictEqual(whole(text)?.isKept, isKept)
  })

  it.each([
    ["no status line", "HTTP/2 200 OK\r\n\r\n"],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a status of 0", "HTTP/1.1 000 OK\r\n\r\n"],
    ["a folded header", "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n"],
    ["a blank before the colon", "HTTP/1.1 200 OK\r\ncontent-length : 4\r\n\r\n"],
    ["a header without a name", "HTTP/1.1 200 OK\r\n: b\r\n\r\n"],
    ["a header without a colon", "HTTP/1.1 200 OK\r\nab\r\n\r\n"],
    ["a bare line feed", "HTTP/1.1 200 OK\r\na: b\ncontent-length: 4\r\n\r\n"],
    ["a bare carriage return", "HTTP/1.1 200 OK\r\na: b\rcontent-length: 4\r\n\r\n"],
    ["a NUL", "HTTP/1.1 200 OK\r\na: \u0000\r\n\r\n"],
    ["a length said twice", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\n"],
    ["a coding said twice", "HTTP/1.1 200 OK\r\ntransfer-encoding: x\r\ntransfer-encoding: chunked\r\n\r\n"],
    ["a switch of protocols", "HTTP/1.1 101 Switching Protocols\r\n\r\n"]
  ])("refuses %s", (_, text) => {
    assert.throws(() => whole(text), /malformed/)
  })

  it("takes spaces and tabs off a value, and nothing else", () => {
    const found = whole("HTTP/1.1 200 OK\r\na:\t  b\t c \t\r\nd: \xa0e\xa0\r\nf: \t \r\n\r\n")
    assert.deepStrictEqual(found?.headers, { a: "b\t c", d: "\xa0e\xa0", f: "" })
  })

  it("keeps to its limit, however the head is cut, interim replies counted in", () => {
    const fits = `HTTP/1.1 200 OK\r\na: ${"x".repeat(Head.limit - 24)}\r\n\r\n`
    assert.strictEqual(fits.length, Head.limit)
    assert.strictEqual(whole(fits)?.status, 200)
    const bytes = Buffer.from(fits)
    assert.strictEqual(read([bytes.subarray(0, 20), bytes.subarray(20)])?.status, 200)
    const long = Buffer.from(fits.replace("x", "xx"))
    for (const cut of [0, 1, 20, Head.limit - 1, Head.limit]) {
      assert.throws(() => read([long.subarray(0, cut), long.subarray(cut)]), /larger than 65536/)
    }
    assert.throws(() => whole("HTTP/1.1 102 Processing\r\n\r\n".repeat(4096)), /larger than 65536/)
    // Never ends, and is not waited for.
    const collect = Head.collector()
    const forever = () => {
      for (;;) collect(Buffer.from("a: b\r\n"))
    }
    assert.throws(forever, /larger than 65536/)
  })

  it.prop("never gives what a line of its own could have added", [Schema.String], ([value]) => {
    const text = Buffer.from(`HTTP/1.1 200 OK\r\na: ${value}\r\nb: 2\r\n\r\n`).toString("latin1")
    try {
      const found = whole(text)
      // Only an empty line of the value's own ends it before.
      if (!value.includes("\r\n")) assert.deepStrictEqual(Object.keys(found!.headers), ["a", "b"])
    } catch (error) {
      assert.match(String(error), /malformed/)
    }
  })
})
