/**
 * A stream of bytes cut into pieces: of lengths that are asked for, or all of one length.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"

/** Hands a stream on in pieces of so many bytes; one begins with what the one before it has left of a chunk. */
export const taker = <E>(pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, E>) => {
  let held: ReadonlyArray<Uint8Array> = []
  return (length: number): Stream.Stream<Uint8Array, E> =>
    Stream.fromPull(Effect.sync(() => {
      let left = length
      const take = (chunks: ReadonlyArray<Uint8Array>) => {
        const taken: Array<Uint8Array> = []
        const rest: Array<Uint8Array> = []
        for (const chunk of chunks) {
          const part = chunk.subarray(0, left)
          left -= part.length
          if (part.length > 0) taken.push(part)
          if (part.length < chunk.length) rest.push(chunk.subarray(part.length))
        }
        held = rest
        return taken
      }
      const step: Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, E> = Effect.suspend(() =>
        left === 0
          ? Cause.done()
          : Effect.flatMap(held.length > 0 ? Effect.succeed(held) : pull, (chunks) => {
            const taken = take(chunks)
            return Arr.isReadonlyArrayNonEmpty(taken) ? Effect.succeed(taken) : step
          })
      )
      return step
    }))
}

/** Chunks of exactly `size` bytes, but for the last. The buffer is reused: a chunk is valid until the next is pulled. */
export const chunked = <E, R>(self: Stream.Stream<Uint8Array, E, R>, size: number): Stream.Stream<Uint8Array, E, R> =>
  Stream.transformPull(self, (pull) =>
    Effect.sync(() => {
      const buffer = new Uint8Array(size)
      let held = 0
      let rest: ReadonlyArray<Uint8Array> | undefined = []
      const take = () => {
        const chunk: Arr.NonEmptyReadonlyArray<Uint8Array> = [buffer.subarray(0, held)]
        held = 0
        return Effect.succeed(chunk)
      }
      const next: typeof pull = Effect.suspend(() => {
        while (rest !== undefined && rest.length > 0) {
          const [first, ...others] = rest
          const part = first!.subarray(0, size - held)
          buffer.set(part, held)
          held += part.length
          rest = part.length === first!.length ? others : [first!.subarray(part.length), ...others]
          if (held === size) return take()
        }
        if (rest === undefined) return held === 0 ? Cause.done() : take()
        return Effect.flatMap(Pull.catchDone(pull, () => Effect.undefined), (chunks) => {
          rest = chunks
          return next
        })
      })
      return next
    }))
