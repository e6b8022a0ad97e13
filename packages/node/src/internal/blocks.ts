/**
 * Memory that a disk can take from as it is: aligned to pages, and used again and again.
 */

/** The size of a block, in bytes. */
export const size = 1024 * 1024

/** How many pairs there are. */
export const count = 8

export type Pair = readonly [Uint8Array, Uint8Array]

let unused: Array<Pair> | undefined

// A buffer that can grow has pages of its own; others begin somewhere in a page.
const all = (): Array<Pair> => {
  const memory = new ArrayBuffer(2 * count * size, { maxByteLength: 2 * count * size })
  const block = (at: number) => new Uint8Array(memory, at * size, size)
  return Array.from({ length: count }, (_, at) => [block(2 * at), block(2 * at + 1)])
}

/** A pair of blocks, unless all are in use. */
export const take = (): Pair | undefined => (unused ??= all()).pop()

export const giveBack = (pair: Pair): void => {
  unused?.push(pair)
}

/** How many nobody has. */
export const free = (): number => unused?.length ?? count
