/**
 * Where the frames of a zstd stream end (RFC 8878, section 3.1). Node's decoder stops after the first one without a word
 * where more follows in the same chunk, and takes a frame that was cut for whole: layers of zstd:chunked are a frame a file.
 */

/** Follows a stream chunk by chunk. */
export interface Frames {
  /** Cuts a chunk where frames end in it. Throws where what follows a frame is no frame. */
  readonly split: (chunk: Uint8Array) => ReadonlyArray<Uint8Array>
  /** Whether a frame has ended here, and none begun. */
  readonly isWhole: () => boolean
}

type State = "magic" | "skippable" | "descriptor" | "header" | "block" | "content"

const isSkippable = (magic: number) => magic >>> 4 === 0x184d2a5

export const make = (): Frames => {
  let state: State = "magic"
  /** The bytes of a header that are there, of `wanted`; or how many bytes of content are to be passed over. */
  let header: Array<number> = []
  let wanted = 4
  let hasChecksum = false
  let isLast = false

  const little = () => header.reduceRight((sum, byte) => sum * 256 + byte, 0)
  const next = (to: State, size: number) => {
    state = to
    wanted = size
    header = []
  }
  /** Nothing to pass over is passed over at once. */
  const pass = (size: number, last: boolean) => {
    isLast = last
    if (size > 0) next("content", size)
    else if (last) next("magic", 4)
    else next("block", 3)
  }

  const headerOf = (descriptor: number) => {
    hasChecksum = (descriptor & 4) !== 0
    const isSingle = (descriptor & 32) !== 0
    const dictionary = [0, 1, 2, 4][descriptor & 3]!
    const contentSize = [isSingle ? 1 : 0, 2, 4, 8][descriptor >>> 6]!
    return (isSingle ? 0 : 1) + dictionary + contentSize
  }

  const read = () => {
    const value = little()
    switch (state) {
      case "magic":
        if (value === 0xfd2fb528) return next("descriptor", 1)
        if (isSkippable(value)) return next("skippable", 4)
        throw new Error("no zstd frame")
      case "skippable":
        return pass(value, true)
      case "descriptor": {
        const size = headerOf(value)
        return size === 0 ? next("block", 3) : next("header", size)
      }
      case "header":
        return next("block", 3)
      case "block": {
        const last = (value & 1) !== 0
        // A block that repeats one byte holds just that.
        const size = (value & 6) === 2 ? 1 : value >>> 3
        return pass(size + (last && hasChecksum ? 4 : 0), last)
      }
    }
  }

  const isWhole = () => state === "magic" && header.length === 0

  return {
    isWhole,
    split: (chunk) => {
      const parts: Array<Uint8Array> = []
      let from = 0
      let at = 0
      while (at < chunk.length) {
        if (state === "content") {
          const size = Math.min(wanted, chunk.length - at)
          at += size
          wanted -= size
          if (wanted === 0) pass(0, isLast)
        } else {
          header.push(chunk[at++]!)
          if (header.length === wanted) read()
        }
        if (isWhole()) {
          parts.push(chunk.subarray(from, at))
          from = at
        }
      }
      if (from < chunk.length) parts.push(chunk.subarray(from))
      return parts
    }
  }
}
