/**
 * Data on its way to stdout: bytes as they are, as fast as whoever reads them.
 *
 * @since 1.0.0
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as PlatformError from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"

/**
 * Writes a stream to stdout.
 *
 * @category writing
 * @since 1.0.0
 */
export const stream = <E, R>(
  self: Stream.Stream<Uint8Array, E, R>
): Effect.Effect<void, E | PlatformError.PlatformError, R | Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Stream.run(self, stdio.stdout()))

/**
 * Writes bytes to stdout, and nothing more.
 *
 * @category writing
 * @since 1.0.0
 */
export const bytes = (self: Uint8Array): Effect.Effect<void, PlatformError.PlatformError, Stdio.Stdio> =>
  stream(Stream.succeed(self))

/**
 * Prints a value as JSON, on a line of its own.
 *
 * @category writing
 * @since 1.0.0
 */
export const json = (value: unknown): Effect.Effect<void> => Console.log(JSON.stringify(value))

/**
 * Prints a line for each element, as many at once as arrive together: of lists of 100,000, most of the time would else go by
 * in printing. What comes next is asked for meanwhile.
 *
 * @category writing
 * @since 1.0.0
 */
export const lines = <A, E, R>(
  self: Stream.Stream<A, E, R>,
  line: (element: A) => string
): Effect.Effect<void, E, R> =>
  Stream.runForEachArray(
    Stream.bufferArray(self, { capacity: 1 }),
    (elements) => Console.log(elements.map(line).join("\n"))
  )
