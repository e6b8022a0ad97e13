/**
 * Compression of streams: undone for reading, within limits, and done for writing.
 *
 * **Details**
 *
 * What compresses is a `Flow` of `Codecs`, which a platform provides: gzip runs wherever `CompressionStream` is, zstd where
 * a platform has it (`NodeCompression.layer` of `@effect-oci/node`).
 *
 * @since 1.0.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ContentError, Invalid } from "./ContentError.ts"
import * as Flows from "./internal/flows.ts"

/**
 * How bytes are compressed.
 *
 * @category models
 * @since 1.0.0
 */
export type Algorithm = "gzip" | "zstd"

/**
 * A compressor or decompressor that runs: bytes are written at one end and read at the other, at once.
 *
 * @category models
 * @since 1.0.0
 */
export interface Flow {
  /**
   * Ends once the bytes are no longer looked at, so that their buffer can be used again.
   */
  readonly write: (bytes: Uint8Array) => Promise<void>
  /**
   * Says that nothing more will be written.
   */
  readonly end: () => Promise<void>
  /**
   * The next bytes that come out, or nothing at the end. Fails where the bytes that went in were wrong.
   */
  readonly read: () => Promise<Uint8Array | undefined>
  /**
   * Lets go of everything, wherever it is.
   */
  readonly destroy: () => void
}

/**
 * Starts flows of one algorithm.
 *
 * @category models
 * @since 1.0.0
 */
export interface Codec {
  /**
   * `level` is the algorithm's own: 1 to 9 for gzip, 1 to 22 for zstd.
   */
  readonly compress: (level: number | undefined) => Flow
  readonly decompress: () => Flow
}

/**
 * The algorithms that this program has.
 *
 * **Gotchas**
 *
 * The portable gzip refuses files of several members one after the other, such as eStargz layers; `NodeCompression` reads
 * them.
 *
 * @category references
 * @since 1.0.0
 */
export const Codecs = Context.Reference<{ readonly [K in Algorithm]: Option.Option<Codec> }>(
  "@effect-oci/content/Compression/Codecs",
  { defaultValue: () => ({ gzip: Option.some(Flows.portableGzip), zstd: Option.none() }) }
)

const codec = (algorithm: Algorithm, operation: ContentError["operation"], location: string) =>
  Codecs.pipe(
    Effect.flatMap((codecs) => Effect.fromOption(codecs[algorithm])),
    Effect.mapError(() =>
      new ContentError({
        operation,
        location,
        reason: new Invalid({ detail: `${algorithm} is not among the Codecs of this program` })
      })
    )
  )

/**
 * Options for `compress`.
 *
 * @category options
 * @since 1.0.0
 */
export interface CompressOptions {
  /**
   * What is compressed, for the error.
   */
  readonly location: string
  /**
   * The algorithm's own: 1 to 9 for gzip, 1 to 22 for zstd.
   *
   * @default what the platform thinks best
   */
  readonly level?: number | undefined
}

/**
 * Compresses a stream as it flows.
 *
 * @category compressing
 * @since 1.0.0
 */
export const compress =
  (algorithm: Algorithm, options: CompressOptions) =>
  <E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E | ContentError, R> =>
    Stream.unwrap(
      Effect.map(codec(algorithm, "write", options.location), (codec) =>
        Flows.through(self, () =>
          codec.compress(options.level), () =>
          new ContentError({
            operation: "write",
            location: options.location,
            reason: new Invalid({ detail: `${algorithm} compression failed` })
          })))
    )

/**
 * Options for `decompress` and `uncompressed`.
 *
 * @category options
 * @since 1.0.0
 */
export interface DecompressOptions {
  /**
   * Where the bytes come from, for the error.
   */
  readonly location: string
  /**
   * How many times the size of what was read may come out of it. The first 64 MiB are not held against it: small files of
   * zeros are no bombs.
   *
   * @default 200
   */
  readonly maxRatio?: number | undefined
  /**
   * How much may come out of it, in bytes.
   *
   * @default 256 GiB
   */
  readonly maxSize?: number | undefined
}

/**
 * Undoes the compression of a stream as it flows, failing once it grows beyond the limits.
 *
 * @category decompressing
 * @since 1.0.0
 */
export const decompress =
  (algorithm: Algorithm, options: DecompressOptions) =>
  <E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E | ContentError, R> =>
    Stream.unwrap(
      Effect.map(codec(algorithm, "read", options.location), (codec) => {
        const invalid = (detail: string) =>
          new ContentError({ operation: "read", location: options.location, reason: new Invalid({ detail }) })
        const limits = limit(algorithm, options, invalid)
        return Flows.through(
          Stream.mapArray(self, limits.read),
          codec.decompress,
          () => invalid(`is not ${algorithm}, or was cut`)
        ).pipe(Stream.mapArrayEffect(limits.grown))
      })
    )

const free = 64 * 1024 * 1024

const limit = (algorithm: Algorithm, options: DecompressOptions, invalid: (detail: string) => ContentError) => {
  const maxRatio = options.maxRatio ?? 200
  const maxSize = options.maxSize ?? 256 * 1024 ** 3
  let read = 0
  let size = 0
  return {
    read: <A extends ReadonlyArray<Uint8Array>>(chunks: A): A => {
      for (const chunk of chunks) read += chunk.length
      return chunks
    },
    grown: <A extends ReadonlyArray<Uint8Array>>(chunks: A): Effect.Effect<A, ContentError> => {
      for (const chunk of chunks) size += chunk.length
      if (size > maxSize) return Effect.fail(invalid(`${algorithm} expands beyond the limit of ${maxSize} bytes`))
      if (size > free && size > read * maxRatio) {
        return Effect.fail(invalid(`${algorithm} expands to more than ${maxRatio} times its size`))
      }
      return Effect.succeed(chunks)
    }
  }
}

/**
 * What the first bytes of a stream say of its compression. Four are enough.
 *
 * @category sniffing
 * @since 1.0.0
 */
export const sniff = (first: Uint8Array): Option.Option<Algorithm> => {
  if (first[0] === 0x1f && first[1] === 0x8b) return Option.some("gzip")
  if (first.length < 4 || first[2]! !== (first[0] === 0x28 ? 0x2f : 0x4d)) return Option.none()
  const isFrame = first[0] === 0x28 && first[1] === 0xb5 && first[3] === 0xfd
  // A frame to be skipped may come first.
  const isSkipped = (first[0]! & 0xf0) === 0x50 && first[1] === 0x2a && first[3] === 0x18
  return isFrame || isSkipped ? Option.some("zstd") : Option.none()
}

/**
 * The bytes of a stream without their compression, of which the first bytes tell: gzip, zstd or none.
 *
 * @category decompressing
 * @since 1.0.0
 */
export const uncompressed =
  (options: DecompressOptions) =>
  <E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E | ContentError, R> =>
    Flows.peek(self, 4, (first, whole) =>
      Option.match(sniff(first), {
        onNone: (): Stream.Stream<Uint8Array, E | ContentError, R> => whole,
        onSome: (algorithm) => decompress(algorithm, options)(whole)
      }))
