/**
 * Bytes that come in chunks and are wanted as a whole. They are held once, however small the chunks are: a copy of each would
 * take hundreds of bytes for one.
 *
 * @since 1.0.0
 */

/**
 * The first `size` bytes are there; behind them is room for more.
 *
 * @category models
 * @since 1.0.0
 */
export interface Growing {
  bytes: Uint8Array
  size: number
}

/**
 * Nothing yet.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = (): Growing => ({ bytes: new Uint8Array(0), size: 0 })

/**
 * Copies a chunk, which belongs to its producer again after this.
 *
 * @category collecting
 * @since 1.0.0
 */
export const add = (self: Growing, chunk: Uint8Array): void => {
  const size = self.size + chunk.length
  if (size > self.bytes.length) {
    // Most documents come in one chunk, and take just that; others at least double, however small the chunks are.
    const grown = new Uint8Array(self.size === 0 ? size : Math.max(1024, size, 2 * self.size))
    grown.set(self.bytes.subarray(0, self.size))
    self.bytes = grown
  }
  self.bytes.set(chunk, self.size)
  self.size = size
}

/**
 * All that has come.
 *
 * @category collecting
 * @since 1.0.0
 */
export const whole = ({ bytes, size }: Growing): Uint8Array => bytes.length === size ? bytes : bytes.slice(0, size)
