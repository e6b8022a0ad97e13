import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { TestConsole } from "effect/testing"
import * as Output from "../src/Output.ts"

/** A stdout that keeps what it got, chunk by chunk. */
const stdout = () => {
  const got: Array<ReadonlyArray<number>> = []
  const layer = Stdio.layerTest({
    stdout: () =>
      Sink.forEach((chunk: string | Uint8Array) =>
        Effect.sync(() => {
          got.push(typeof chunk === "string" ? [...chunk].map((char) => char.charCodeAt(0)) : [...chunk])
        })
      )
  })
  return { got, layer }
}

describe("Output", () => {
  it.effect("writes bytes as they are, and no line end after them", () =>
    Effect.gen(function*() {
      const { got, layer } = stdout()
      yield* Effect.provide(Output.bytes(new Uint8Array([0, 10, 0xff])), layer)
      assert.deepStrictEqual(got.flat(), [0, 10, 0xff])
    }))

  it.effect("writes a stream as it comes, and fails as it does after what came before", () =>
    Effect.gen(function*() {
      const { got, layer } = stdout()
      const cut = Stream.concat(Stream.succeed(new Uint8Array([1, 2])), Stream.fail("cut"))
      assert.strictEqual(yield* Effect.flip(Effect.provide(Output.stream(cut), layer)), "cut")
      assert.deepStrictEqual(got.flat(), [1, 2])
    }))

  it.effect("prints a line for each element, and together what arrives together", () =>
    Effect.gen(function*() {
      const pages = Stream.concat(Stream.fromIterable(["a", "b"]), Stream.fromIterable(["c"]))
      yield* Output.lines(pages, (tag) => `<${tag}>`)
      assert.deepStrictEqual(yield* TestConsole.logLines, ["<a>\n<b>", "<c>"])
    }))

  it.effect("prints JSON on one line", () =>
    Effect.gen(function*() {
      yield* Output.json({ a: ["b\nc"] })
      assert.deepStrictEqual(yield* TestConsole.logLines, [`{"a":["b\\nc"]}`])
    }))
})
