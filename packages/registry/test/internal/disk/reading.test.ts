import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Reading from "../../../src/internal/disk/reading.ts"
import { Lending } from "../../../src/Storage.ts"

const content = new Uint8Array(2_000_000).map((_, at) => at * 7 + (at >> 9))

/** A file that gives as many bytes at once as it is told to, and knows whether it is open. */
const fileOf = (bytes: Uint8Array, most = Infinity) => {
  const state = { isOpen: false, reads: 0 }
  const file: Pick<FileSystem.File, "read"> = {
    read: (buffer, options) =>
      Effect.sync(() => {
        assert.isTrue(state.isOpen)
        state.reads++
        const at = Number(options!.position)
        const part = bytes.subarray(at, Math.min(at + buffer.length, at + most))
        buffer.set(part)
        return part.length
      })
  }
  const open = Effect.acquireRelease(
    Effect.sync(() => {
      state.isOpen = true
      // Nothing else of it is asked for.
      return file as FileSystem.File
    }),
    () => Effect.sync(() => void (state.isOpen = false))
  )
  return { open, state }
}

const position = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: content.length })))

describe("reading", () => {
  it.effect.prop(
    "gives the bytes that are asked for, lent or given away, however few the system gives at once",
    {
      a: position,
      b: position,
      most: Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 20_000, maximum: 900_000 })))
    },
    ({ a, b, most }) =>
      Effect.gen(function*() {
        const [start, end] = [Math.min(a, b), Math.max(a, b)]
        for (const isLent of [false, true]) {
          const { open, state } = fileOf(content, most)
          const parts: Array<Uint8Array> = []
          yield* Stream.runForEach(Reading.make(open, start, end, Reading.room()), (chunk) =>
            Effect.sync(() => parts.push(isLent ? chunk.slice() : chunk))).pipe(
              Effect.provideService(Lending, isLent)
            )
          assert.isTrue(Buffer.concat(parts).equals(content.subarray(start, end)))
          assert.isFalse(state.isOpen)
        }
      }),
    { arbitrary: { runs: 30 } }
  )

  it.effect("has two buffers where they may be used again, and else one for each piece", () =>
    Effect.gen(function*() {
      for (const [isLent, count] of [[true, 2], [false, 4]] as const) {
        const buffers = new Set<ArrayBufferLike>()
        yield* Stream.runForEach(
          Reading.make(fileOf(content).open, 0, content.length, Reading.room()),
          ({ buffer }) => Effect.sync(() => buffers.add(buffer))
        ).pipe(Effect.provideService(Lending, isLent))
        assert.strictEqual(buffers.size, count)
      }
    }))

  it.effect("has small buffers while the readings before it hold all the room, and large ones again when they are done", () =>
    Effect.gen(function*() {
      const room = Reading.room()
      const reading = () => Reading.make(fileOf(content).open, 0, content.length, room)
      const scope = yield* Scope.make()
      const waiting = yield* Effect.forEach(
        Array.from({ length: 100 }),
        () => Stream.toPull(reading()).pipe(Effect.tap((pull) => pull), Scope.provide(scope))
      )
      const late = yield* Effect.scoped(Effect.flatten(Stream.toPull(reading())))
      assert.strictEqual(late[0].length, 64 * 1024)
      const first = yield* waiting[0]!
      assert.strictEqual(first[0].length, 512 * 1024)

      const scopeOfSlow = yield* Scope.make()
      const pull = yield* Scope.provide(scopeOfSlow)(Stream.toPull(reading()))
      assert.strictEqual((yield* pull)[0].length, 64 * 1024)
      yield* Scope.close(scope, Exit.void)
      // One piece was ahead.
      const sizes: Array<number> = []
      for (let i = 0; i < 2; i++) sizes.push((yield* pull)[0].length)
      assert.deepStrictEqual(sizes, [64 * 1024, 512 * 1024])
      yield* Scope.close(scopeOfSlow, Exit.void)
      assert.deepStrictEqual(room, Reading.room())
    }).pipe(Effect.provideService(Lending, true)))

  it.effect("reads one piece ahead and no more, and closes the file when nobody reads on", () =>
    Effect.gen(function*() {
      const { open, state } = fileOf(content)
      yield* Stream.runDrain(Stream.take(Reading.make(open, 0, content.length, Reading.room()), 1))
      assert.isAtMost(state.reads, 2)
      assert.isFalse(state.isOpen)
    }))

  it.effect("fails where the file is shorter than was asked for", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Stream.runDrain(Reading.make(fileOf(content).open, 0, content.length + 1, Reading.room()))
      )
      assert.strictEqual(error.message, "what is read is shorter than it was")
    }))
})
