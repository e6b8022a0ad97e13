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

const shorter = new StorageError({ reason: "Failed", detail: "the blob is shorter than it was" })

/** The bytes from `start` up to, not with, `end`; two buffers in turns where they may be used again. */
export const make = (
  open: Effect.Effect<FileSystem.File, PlatformError.PlatformError, Scope.Scope>,
  start: number,
  end: number
): Stream.Stream<Uint8Array, StorageError> =>
  Stream.unwrap(Effect.gen(function*() {
    const scope = yield* Effect.scope
    const file = yield* Files.attempt(open)
    const isLent = yield* Lending
    const buffers: Array<Uint8Array> = []
    let turn = 0
    let at = start
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
    const next = Effect.suspend(() => {
      const from = at
      const size = Math.min(largest, end - from)
      at += size
      turn = 1 - turn
      const buffer = isLent ? buffers[turn] ??= new Uint8Array(size) : new Uint8Array(size)
      return fill(buffer.subarray(0, size), from)
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
