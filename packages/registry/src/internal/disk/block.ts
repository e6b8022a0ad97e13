/**
 * Bytes that arrive in pieces, written in blocks of a sensible size however small the pieces are.
 */
import * as Effect from "effect/Effect"

const smallest = 64 * 1024
const largest = 512 * 1024

interface Blocks<E> {
  /** Copies the bytes: they may be used again by whoever gave them. */
  readonly add: (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, E>
  /** Writes what is left. */
  readonly flush: Effect.Effect<void, E>
}

export const make = <E>(write: (block: Uint8Array) => Effect.Effect<void, E>): Blocks<E> => {
  let block = new Uint8Array(smallest)
  let filled = 0

  const flush = Effect.suspend(() => {
    if (filled === 0) return Effect.void
    const bytes = block.subarray(0, filled)
    filled = 0
    return write(bytes)
  })

  const flushFull = Effect.suspend(() => {
    if (filled < block.length) return Effect.void
    return Effect.map(flush, () => {
      if (block.length < largest) block = new Uint8Array(largest)
    })
  })

  const addOne = Effect.fnUntraced(function*(chunk: Uint8Array) {
    for (let at = 0; at < chunk.length;) {
      const taken = chunk.subarray(at, at + block.length - filled)
      block.set(taken, filled)
      filled += taken.length
      at += taken.length
      yield* flushFull
    }
  })

  return {
    flush,
    add: (chunks) => Effect.forEach(chunks, addOne, { discard: true })
  }
}
