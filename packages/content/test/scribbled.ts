/**
 * Lends its chunks as meanly as it may: one Node buffer for all of them, whose `slice` does not copy, written over as soon as
 * the next is pulled. What was not copied, hashed or sent by then is lost.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Source } from "../src/Store.ts"

export const stream =
  (size: number) => <E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E, R> =>
    Stream.transformPull(self, (pull) =>
      Effect.sync(() => {
        const buffer = Buffer.alloc(size)
        let rest = new Uint8Array(0)
        const next: typeof pull = Effect.suspend(() => {
          buffer.fill(0xaa)
          if (rest.length === 0) {
            return Effect.flatMap(Pull.catchDone(pull, () => Effect.undefined), (chunks) => {
              if (chunks === undefined) return Cause.done()
              rest = new Uint8Array(Buffer.concat(chunks))
              return next
            })
          }
          const length = Math.min(size, rest.length)
          buffer.set(rest.subarray(0, length))
          rest = rest.subarray(length)
          const chunks: Arr.NonEmptyReadonlyArray<Uint8Array> = [buffer.subarray(0, length)]
          return Effect.succeed(chunks)
        })
        return next
      }))

export const source = (of: Source, size = 1000): Source => ({
  ...of,
  fetch: (descriptor, offset) => stream(size)(of.fetch(descriptor, offset))
})
