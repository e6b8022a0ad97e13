/**
 * A body in pieces, with a turn of the event loop after so many bytes.
 *
 * Node hands the kernel whatever the kernel takes, megabytes, without a look at what has come meanwhile; and what was handed
 * over is sent. Whoever is refused early would hear of it only then.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"

/**
 * How much is sent before it is looked whether a reply has come: little at first, for most of who refuses does so at once.
 */
const strideAfter = (sent: number): number => Math.min(Math.max(sent, 32 * 1024), 128 * 1024)

type Chunks = Arr.NonEmptyReadonlyArray<Uint8Array>

type Part = Uint8Array | string

type Write = (parts: ReadonlyArray<Part>, done: (error?: Error | null) => void) => void

/** At most so many bytes of parts, and the others. What is text is a few bytes, and stays whole. */
const cut = (parts: ReadonlyArray<Part>, most: number): readonly [ReadonlyArray<Part>, ReadonlyArray<Part>] => {
  let room = most
  for (let at = 0; at < parts.length; at++) {
    const part = parts[at]!
    if (typeof part === "string" || part.length <= room) {
      room -= part.length
      continue
    }
    return [
      room <= 0 ? parts.slice(0, at) : [...parts.slice(0, at), part.subarray(0, room)],
      [room <= 0 ? part : part.subarray(room), ...parts.slice(at + 1)]
    ]
  }
  return [parts, []]
}

/**
 * A body that is written in pieces. No effect for each of them: there are eight thousand in 1 GiB.
 *
 * `handed` is called once all parts are on their way, `done` once the kernel has them. Gives what stops it.
 */
export const writer = (write: Write) => {
  let sent = 0
  let left = strideAfter(0)
  return (
    parts: ReadonlyArray<Part>,
    handed: () => void,
    done: (error?: Error | null) => void
  ): () => void => {
    let rest = parts
    let immediate: NodeJS.Immediate | undefined
    let isStopped = false
    const step = (error?: Error | null): void => {
      if (isStopped) return
      if (error || rest.length === 0) return done(error)
      if (left <= 0) {
        left = strideAfter(sent)
        immediate = setImmediate(step)
        return
      }
      const [piece, others] = cut(rest, left)
      rest = others
      for (const { length } of piece) {
        sent += length
        left -= length
      }
      if (rest.length === 0) handed()
      write(piece, step)
    }
    step()
    return () => {
      isStopped = true
      clearImmediate(immediate)
    }
  }
}

const turn = Effect.callback<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/** At most so many bytes of the chunks, and the others. */
const split = (chunks: Chunks, most: number): readonly [Chunks, ReadonlyArray<Uint8Array>] => {
  let room = most
  for (let at = 0; at < chunks.length; at++) {
    const chunk = chunks[at]!
    if (chunk.length <= room) {
      room -= chunk.length
      continue
    }
    if (room === 0) return [chunks.slice(0, at) as unknown as Chunks, chunks.slice(at)]
    return [
      [...chunks.slice(0, at), chunk.subarray(0, room)] as unknown as Chunks,
      [chunk.subarray(room), ...chunks.slice(at + 1)]
    ]
  }
  return [chunks, []]
}

export const paced = <E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E, R> =>
  Stream.transformPull(self, (pull) =>
    Effect.sync(() => {
      let rest: ReadonlyArray<Uint8Array> = []
      let sent = 0
      let left = strideAfter(0)
      const next = (chunks: Chunks): Chunks => {
        const [piece, others] = split(chunks, left)
        rest = others
        for (const { length } of piece) {
          sent += length
          left -= length
        }
        return piece
      }
      const take: Pull.Pull<Chunks, E, void, R> = Effect.suspend(() =>
        Arr.isReadonlyArrayNonEmpty(rest) ? Effect.succeed(next(rest)) : Effect.map(pull, next)
      )
      return Effect.suspend(() => {
        if (left > 0) return take
        left = strideAfter(sent)
        return Effect.andThen(turn, take)
      })
    }))
