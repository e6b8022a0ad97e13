/**
 * The body of a reply as it comes off a connection, which is given back once all of it was read.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import type { Connection } from "./connection.ts"
import type { Framing } from "./framing.ts"
import { malformed } from "./wire.ts"

export type Chunks = Arr.NonEmptyReadonlyArray<Uint8Array>

export interface Body {
  /** The next chunks, views of the connection's buffer: valid until this is run again, or the body is closed. */
  readonly pull: Pull.Pull<Chunks, Error>
  /** Ends the body, read or not. */
  readonly close: () => void
  readonly isClosed: () => boolean
}

const isNonEmpty = (chunks: ReadonlyArray<Uint8Array>): chunks is Chunks => chunks.length > 0

/** `rest` are the bytes that came along with the head; `release` is told whether the connection can be used again. */
export const make = (
  connection: Connection,
  framing: Framing,
  rest: Uint8Array,
  release: (isClean: boolean) => void
): Body => {
  let first: Uint8Array | undefined = rest.length > 0 ? rest : undefined
  let isClosed = false
  let isSpoilt = false

  type Result = Pull.Pull<Chunks, Error>

  /** What bytes amount to; nothing where more are needed. */
  const take = (bytes: Uint8Array): Result | undefined => {
    const out: Array<Uint8Array> = []
    try {
      // Bytes behind the end stand where the next reply will be looked for.
      isSpoilt = framing.next(bytes, out) < bytes.length
    } catch (error) {
      isSpoilt = true
      return Effect.fail(error instanceof Error ? error : malformed(String(error)))
    }
    return isNonEmpty(out) ? Effect.succeed(out) : framing.isDone() ? Cause.done() : undefined
  }

  const pull: Result = Effect.suspend(() => {
    if (first !== undefined) {
      const taken = take(first)
      first = undefined
      if (taken !== undefined) return taken
    }
    if (framing.isDone() || isClosed) return Cause.done()
    return Effect.callback<Chunks, Error | Cause.Done>((resume) => {
      connection.read(function tell(event) {
        if (event instanceof Uint8Array) {
          const taken = take(event)
          if (taken === undefined) connection.read(tell)
          else resume(taken)
          return
        }
        isSpoilt = true
        const failure = event ?? framing.ended()
        resume(failure === undefined ? Cause.done() : Effect.fail(failure))
      })
      return Effect.sync(connection.unread)
    })
  })

  return {
    pull,
    close: () => {
      if (isClosed) return
      isClosed = true
      release(framing.isDone() && !isSpoilt)
    },
    isClosed: () => isClosed
  }
}
