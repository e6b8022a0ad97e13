/**
 * What a client has still to take of what comes faster than it takes it: some of it, and not all.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"

/** How much may be held for all clients together, in bytes. */
export interface Room {
  free: number
}

/** How much may be held for one. */
const most = 4 * 1024 * 1024

export interface Lead {
  /** Whether it is held for the client: not any more once it was too much. */
  readonly offer: (piece: Uint8Array) => boolean
  /** Gives up what was not taken, and ends. */
  readonly close: () => void
  readonly bytes: Stream.Stream<Uint8Array>
}

type Pieces = Arr.NonEmptyReadonlyArray<Uint8Array>

const isNonEmpty = (pieces: ReadonlyArray<Uint8Array>): pieces is Pieces => pieces.length > 0

export const make = (room: Room): Lead => {
  const more = Latch.makeUnsafe(false)
  let pieces: Array<Uint8Array> = []
  let held = 0
  /** Of what the client has at the moment. */
  let lent = 0
  let isOpen = true

  const giveBack = (): void => {
    room.free += lent
    lent = 0
  }
  const end = (): void => {
    isOpen = false
    more.openUnsafe()
  }
  const pull: Pull.Pull<Pieces> = Effect.suspend(() => {
    giveBack()
    if (isNonEmpty(pieces)) {
      const taken = pieces
      pieces = []
      lent = held
      held = 0
      return Effect.succeed(taken)
    }
    if (!isOpen) return Cause.done()
    more.closeUnsafe()
    return Effect.andThen(more.await, pull)
  })

  return {
    offer: (piece) => {
      if (isOpen && (held + piece.length > most || piece.length > room.free)) end()
      if (!isOpen) return false
      room.free -= piece.length
      held += piece.length
      pieces.push(piece)
      more.openUnsafe()
      return true
    },
    close: () => {
      room.free += held
      held = 0
      pieces = []
      end()
    },
    bytes: Stream.ensuring(Stream.fromPull(Effect.succeed(pull)), Effect.sync(giveBack))
  }
}
