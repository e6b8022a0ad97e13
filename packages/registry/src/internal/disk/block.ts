/**
 * Bytes that arrive in pieces, written in blocks of a sensible size however small the pieces are.
 */
import * as Effect from "effect/Effect"

const smallest = 64 * 1024
const largest = 512 * 1024
/** What is worth a write of its own as it is. */
const direct = 256 * 1024

interface Blocks<E> {
  /** When it is done the bytes have been copied or written: they may be used again by whoever gave them. */
  readonly add: (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, E>
  /** Writes what is left. */
  readonly flush: Effect.Effect<void, E>
}

export const make = <E>(write: (block: Uint8Array) => Effect.Effect<void, E>): Blocks<E> => {
  let size = smallest
  let block = new Uint8Array(0)
  let filled = 0

  const flush = Effect.suspend(() => {
    if (filled === 0) return Effect.void
    const bytes = block.subarray(0, filled)
    filled = 0
    return write(bytes)
  })

  const addOne = Effect.fnUntraced(function*(chunk: Uint8Array) {
    for (let at = 0; at < chunk.length;) {
      if (filled === 0 && chunk.length - at >= direct) return yield* write(chunk.subarray(at))
      if (filled === 0 && block.length < size) block = new Uint8Array(size)
      const taken = chunk.subarray(at, at + block.length - filled)
      block.set(taken, filled)
      filled += taken.length
      at += taken.length
      if (filled < block.length) continue
      yield* flush
      // What was full was too small.
      size = largest
    }
  })

  return {
    flush,
    add: (chunks) => Effect.forEach(chunks, addOne, { discard: true })
  }
}
