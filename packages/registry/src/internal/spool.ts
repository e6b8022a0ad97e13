/**
 * Bytes that arrive in pieces, kept in blocks of a sensible size however small the pieces were.
 */
const largest = 1024 * 1024

export interface Spool {
  size: number
  readonly blocks: Array<Uint8Array<ArrayBuffer>>
  /**
   * How much of the last block is free.
   */
  room: number
}

export const make = (): Spool => ({ size: 0, blocks: [], room: 0 })

/** Copies the bytes: they may be used again by whoever gave them. */
export const add = (self: Spool, bytes: Uint8Array): void => {
  let rest = bytes
  while (rest.length > 0) {
    if (self.room === 0) {
      // As large as all there is so far, so that neither many blocks nor much room is left over.
      self.room = Math.max(1024, rest.length, Math.min(self.size, largest))
      self.blocks.push(new Uint8Array(self.room))
    }
    const block = self.blocks.at(-1)!
    const taken = rest.subarray(0, self.room)
    block.set(taken, block.length - self.room)
    self.room -= taken.length
    self.size += taken.length
    rest = rest.subarray(taken.length)
  }
}

/** Gives back the room that is left over, where that is worth a copy; nothing can be added in it any more. */
export const close = (self: Spool): void => {
  const last = self.blocks.at(-1)
  if (last !== undefined && self.room > last.length / 8) {
    self.blocks[self.blocks.length - 1] = last.slice(0, last.length - self.room)
  }
  self.room = 0
}

/** The bytes from `start` up to, not with, `end`. */
export function* read(self: Spool, start = 0, end: number = self.size): Generator<Uint8Array> {
  let at = 0
  for (const block of self.blocks) {
    if (at >= end) return
    const size = Math.min(block.length, self.size - at)
    if (at + size > start) yield block.subarray(Math.max(start - at, 0), Math.min(end - at, size))
    at += size
  }
}
