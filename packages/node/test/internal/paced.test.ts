import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Paced from "../../src/internal/paced.ts"

type Part = Uint8Array | string

const KiB = 1024
const bytes = (size: number, from = 0) => Uint8Array.from({ length: size }, (_, at) => (from + at) % 251)

/** A writer onto a connection that takes all at once, and what came there, piece by piece. */
const writing = () => {
  const pieces: Array<ReadonlyArray<Part>> = []
  const written = Paced.writer((parts, done) => {
    // What is lent may change afterwards.
    pieces.push(parts.map((part) => typeof part === "string" ? part : part.slice()))
    queueMicrotask(done)
  })
  const write = (parts: ReadonlyArray<Part>) =>
    Effect.callback<number>((resume) => {
      let handed = 0
      written(parts, () =>
        handed = pieces.length + 1, (error) =>
        resume(error ? Effect.die(error) : Effect.succeed(handed)))
    })
  return { pieces, write, written }
}

const sizeOf = (parts: ReadonlyArray<Part>) => parts.reduce((sum, { length }) => sum + length, 0)

describe("paced.writer", () => {
  it.live("writes all in order, little at first and never more than 128 KiB at a time", () =>
    Effect.gen(function*() {
      const { pieces, write } = writing()
      const all = bytes(1024 * KiB)
      const handed = yield* write(["head", all.subarray(0, 700 * KiB), all.subarray(700 * KiB), "tail"])
      // All is handed over with the last piece, and no sooner.
      assert.strictEqual(handed, pieces.length)
      assert.isAtMost(sizeOf(pieces[0]!), 32 * KiB)
      for (const piece of pieces) assert.isAtMost(sizeOf(piece), 128 * KiB + 4)
      const flat = Buffer.concat(pieces.flat().map((part) => Buffer.from(part as Uint8Array)))
      assert.isTrue(flat.equals(Buffer.concat([Buffer.from("head"), all, Buffer.from("tail")])))
    }))

  it.live("takes a turn of the event loop within what it is given at once, and between", () =>
    Effect.gen(function*() {
      const { pieces, write } = writing()
      let turns = 0
      const count = () => {
        turns++
        immediate = setImmediate(count)
      }
      let immediate = setImmediate(count)
      for (let at = 0; at < 16; at++) yield* write([bytes(64 * KiB)])
      assert.isAtLeast(turns, 7)
      yield* write([bytes(1024 * KiB)])
      clearImmediate(immediate)
      assert.isAtLeast(turns, 15)
      assert.isAtLeast(pieces.length, 24)
    }))

  it.live("writes nothing more once it is stopped", () =>
    Effect.gen(function*() {
      const { pieces, written } = writing()
      let isDone = false
      const stop = written([bytes(1024 * KiB)], () => {}, () => isDone = true)
      yield* Effect.sleep(0)
      stop()
      const before = pieces.length
      yield* Effect.sleep(20)
      assert.strictEqual(pieces.length, before)
      assert.isFalse(isDone)
    }))

  it.live("stops where a write fails, and says so", () =>
    Effect.gen(function*() {
      let writes = 0
      const written = Paced.writer((_, done) => {
        writes++
        queueMicrotask(() => done(new Error("gone")))
      })
      const error = yield* Effect.callback<Error | null | undefined>((resume) => {
        written([bytes(1024 * KiB)], () => {}, (error) => resume(Effect.succeed(error)))
      })
      assert.strictEqual(error?.message, "gone")
      assert.strictEqual(writes, 1)
    }))
})
