/**
 * Disks that take bytes from a program's memory, with no copy in the kernel.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as Blocks from "./blocks.ts"

/** What the disk was given. */
export interface Flight {
  readonly block: Uint8Array
  /** How many bytes the disk took; undefined as long as it does. */
  taken: number | undefined
  arrived: (() => void) | undefined
}

/** A file that is open past the cache, and two blocks in turn: one is filled while the disk takes the other. */
export interface Direct {
  readonly blocks: Blocks.Pair
  /** Begins to write at a place for pages. The block is the disk's until it has landed. */
  readonly launch: (block: Uint8Array, position: number) => Flight
}

/** Opens a file that is there past the cache; nothing where that cannot be. */
export type Open = (path: string) => Effect.Effect<Direct | undefined, never, Scope.Scope>

/** Waits until the disk has taken what it does, or refused to. */
export const land = (flight: Flight): Effect.Effect<number> =>
  // Not to be interrupted: until then the memory is not ours.
  Effect.uninterruptible(Effect.callback((resume) => {
    if (flight.taken !== undefined) resume(Effect.succeed(flight.taken))
    else flight.arrived = () => resume(Effect.succeed(flight.taken ?? 0))
  }))

const launch = (fd: number) => (block: Uint8Array, position: number): Flight => {
  const flight: Flight = { block, taken: undefined, arrived: undefined }
  fs.write(fd, block, 0, block.length, position, (error, taken) => {
    flight.taken = error === null ? taken : 0
    flight.arrived?.()
  })
  return flight
}

/** By `O_DIRECT`, of Linux. */
export const open: Open = (path) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly fd: number; readonly blocks: Blocks.Pair } | undefined>((resume) => {
      const blocks = fs.constants.O_DIRECT === undefined ? undefined : Blocks.take()
      if (blocks === undefined) return resume(Effect.undefined)
      fs.open(path, fs.constants.O_WRONLY | fs.constants.O_DIRECT, (error, fd) => {
        if (error !== null) Blocks.giveBack(blocks)
        resume(Effect.succeed(error === null ? { fd, blocks } : undefined))
      })
    }),
    (opened) =>
      opened === undefined ? Effect.void : Effect.callback((resume) => {
        Blocks.giveBack(opened.blocks)
        fs.close(opened.fd, () => resume(Effect.void))
      })
  ).pipe(Effect.map((opened) => opened && { blocks: opened.blocks, launch: launch(opened.fd) }))
