/**
 * A part of a file, the next piece read while the one before is on its way.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Lending, StorageError } from "../../Storage.ts"
import * as Files from "./files.ts"

/** Each piece costs two turns of the loop, and is to fit the caches of the processor. */
const largest = 512 * 1024

/** What each buffer has where many read at once: whoever asks for a blob and does not read it holds two of them. */
const least = 64 * 1024

/** What is held for whoever reads slowly, at least. */
export const held = 2 * least

/** How much the readings of one storage may hold, all together, in buffers that are larger than the least. */
export interface Room {
  free: number
}

export const room = (): Room => ({ free: 32 * largest })

const shorter = new StorageError({ reason: "Failed", detail: "what is read is shorter than it was" })

/** The bytes from `start` up to, not with, `end`; two buffers in turns where they may be used again, large ones if there is room. */
export const make = (
  open: Effect.Effect<FileSystem.File, PlatformError.PlatformError, Scope.Scope>,
  start: number,
  end: number,
  room: Room
): Stream.Stream<Uint8Array, StorageError> =>
  Stream.unwrap(Effect.gen(function*() {
    const scope = yield* Effect.scope
    const file = yield* Files.attempt(open)
    const isLent = yield* Lending
    const buffers: Array<Uint8Array> = []
    const wanted = Math.min(2 * largest, end - start)
    let most = least
    let turn = 0
    let at = start
    if (wanted > least) {
      yield* Effect.addFinalizer(() => Effect.sync(() => void (room.free += most === largest ? wanted : 0)))
    }
    let ahead: Fiber.Fiber<Uint8Array, StorageError> | undefined

    const fill = (buffer: Uint8Array, from: number): Effect.Effect<Uint8Array, StorageError> =>
      Files.attempt(file.read(buffer, { position: BigInt(from) })).pipe(
        Effect.flatMap((size) =>
          size === buffer.length
            ? Effect.succeed(buffer)
            : size === 0
            ? Effect.fail(shorter)
            : Effect.as(fill(buffer.subarray(Number(size)), from + Number(size)), buffer)
        )
      )
    /** Others may have left room since the last piece. */
    const grow = () => {
      if (most === largest || wanted <= least || wanted > room.free) return
      room.free -= wanted
      most = largest
    }
    const bufferOf = (size: number): Uint8Array => {
      const last = buffers[turn]
      if (last !== undefined && last.length >= size) return last
      const buffer = new Uint8Array(size)
      if (isLent) buffers[turn] = buffer
      return buffer
    }
    const next = Effect.suspend(() => {
      grow()
      const from = at
      const size = Math.min(most, end - from)
      at += size
      turn = 1 - turn
      return fill(bufferOf(size).subarray(0, size), from)
      // The file is not closed, nor the buffer another's, while it is read into.
    }).pipe(Effect.uninterruptible)

    const pull: Pull.Pull<readonly [Uint8Array], StorageError> = Effect.gen(function*() {
      if (ahead === undefined && at >= end) return yield* Cause.done()
      const piece = yield* ahead === undefined ? next : Fiber.join(ahead)
      ahead = at < end ? yield* Effect.forkIn(next, scope, { startImmediately: true }) : undefined
      return [piece] as const
    })
    return Stream.fromPull(Effect.succeed(pull))
  }))
