/**
 * Bodies of what is pushed.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Bytes from "../Bytes.ts"
import type { Body } from "../Store.ts"

/** Tells of the bytes of a body; those that are sent again are taken back first, so that the sum is what is there. */
export const counted = <E, R>(body: Body<E, R>, progress: (bytes: number) => void): Body<E, R> => {
  let at = 0
  return (offset) =>
    Stream.suspend(() => {
      if (offset !== at) progress(offset - at)
      at = offset
      return Stream.mapArray(body(offset), (chunks) => {
        for (const chunk of chunks) {
          at += chunk.length
          progress(chunk.length)
        }
        return chunks
      })
    })
}

/** A body of bytes that are read as a whole, for all targets together. */
export const held = <E, R>(whole: Effect.Effect<Uint8Array, E, R>): Body<E, R> =>
  Object.assign(
    (offset: number) => Stream.unwrap(Effect.map(whole, (bytes) => Bytes.body(bytes)(offset))),
    { whole }
  )
