/**
 * Bytes that look random and are the same for the same seed.
 */
export const bytes = (seed: string, size: number): Uint8Array => {
  let state = 2166136261
  for (let i = 0; i < seed.length; i++) state = Math.imul(state ^ seed.charCodeAt(i), 16777619)
  const words = new Uint32Array(Math.ceil(size / 4))
  for (let i = 0; i < words.length; i++) {
    state = (state + 0x9e3779b9) | 0
    let word = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97)
    words[i] = word ^ (word >>> 15)
  }
  return new Uint8Array(words.buffer, 0, size)
}
