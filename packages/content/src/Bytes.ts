/**
 * Whole documents in memory: collected under a limit, and streamed again.
 *
 * @since 1.0.0
 */
import * as Growing from "@effect-oci/spec/Growing"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ContentError, Invalid } from "./ContentError.ts"

/**
 * The largest manifest, index or config that is read into memory: 8 MiB. The distribution specification asks a registry
 * to take at least 4 MiB.
 *
 * @category constants
 * @since 1.0.0
 */
export const documentLimit = 8 * 1024 * 1024

/**
 * Collects a stream, failing once it passes `limit` bytes.
 *
 * @category collecting
 * @since 1.0.0
 */
export const collect = (options: { readonly location: string; readonly limit?: number | undefined }) =>
<E, R>(
  self: Stream.Stream<Uint8Array, E, R>
): Effect.Effect<Uint8Array, E | ContentError, R> =>
  Effect.suspend(() => {
    const limit = options.limit ?? documentLimit
    const document = Growing.make()
    return Stream.runForEachArray(self, (chunks) => {
      for (const chunk of chunks) {
        if (document.size + chunk.length > limit) {
          return Effect.fail(
            new ContentError({
              operation: "read",
              location: options.location,
              reason: new Invalid({ detail: `document is larger than the limit of ${limit} bytes` })
            })
          )
        }
        Growing.add(document, chunk)
      }
      return Effect.void
    }).pipe(Effect.map(() => Growing.whole(document)))
  })

/**
 * A stream whose chunks are whoever's who pulls them, from one whose chunks are valid until the next is pulled.
 *
 * @category combinators
 * @since 1.0.0
 */
export const owned = <E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E, R> =>
  Stream.map(self, (chunk) => new Uint8Array(chunk))

/**
 * A body of bytes at hand.
 *
 * @category constructors
 * @since 1.0.0
 */
export const body = (bytes: Uint8Array) => (offset: number): Stream.Stream<Uint8Array> =>
  offset >= bytes.length ? Stream.empty : Stream.succeed(offset === 0 ? bytes : bytes.subarray(offset))
