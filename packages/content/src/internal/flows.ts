/**
 * Streams through flows of bytes that run by themselves.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Codec, Flow } from "../Compression.ts"

/**
 * Pours a stream into a flow and gives what comes out. Either waits for the other; what the stream fails with is what the
 * result fails with, and its end is waited for even where the flow ends before it: whoever checks the stream checks all.
 */
export const through = <E, R, E2>(
  self: Stream.Stream<Uint8Array, E, R>,
  start: () => Flow,
  onError: () => E2
): Stream.Stream<Uint8Array, E | E2, R> =>
  Stream.unwrap(Effect.gen(function*() {
    const flow = yield* Effect.acquireRelease(Effect.sync(start), (flow) => Effect.sync(flow.destroy))
    const poured = yield* Deferred.make<void, E>()
    let isOver = false
    let wake = () => {}
    const over = () => {
      isOver = true
      wake()
    }
    // A flow that has ended, or failed, takes nothing more. What it failed of is told to whoever reads.
    const unlessOver = (self: () => Promise<void>) =>
      Effect.promise(() =>
        new Promise<void>((resolve) => {
          if (isOver) return resolve()
          wake = resolve
          self().then(resolve, over)
        })
      )

    yield* Stream.runForEach(self, (chunk) => unlessOver(() => flow.write(chunk))).pipe(
      Effect.andThen(unlessOver(flow.end)),
      Effect.onExit((exit) => {
        if (exit._tag === "Failure") flow.destroy()
        return Deferred.done(poured, exit)
      }),
      Effect.forkScoped
    )

    const read: Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, E | E2> = Effect.suspend(() =>
      Effect.tryPromise({ try: flow.read, catch: onError })
    ).pipe(
      // A stream that has failed is why the flow was destroyed.
      Effect.catch((error) => {
        over()
        return Effect.andThen(Deferred.await(poured), Effect.fail(error))
      }),
      Effect.flatMap((chunk): Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, E> => {
        if (chunk !== undefined) return Effect.succeed([chunk])
        over()
        return Effect.andThen(Deferred.await(poured), Cause.done())
      })
    )
    return Stream.fromPull(Effect.succeed(read))
  }))

/** Looks at the first bytes of a stream, at least `size` of them where there are so many, and goes on with all of it. */
export const peek = <E, R, E2, R2>(
  self: Stream.Stream<Uint8Array, E, R>,
  size: number,
  next: (first: Uint8Array, whole: Stream.Stream<Uint8Array, E>) => Stream.Stream<Uint8Array, E2, R2>
): Stream.Stream<Uint8Array, E | E2, R | R2> =>
  Stream.unwrap(Effect.gen(function*() {
    const pull = yield* Stream.toPull(self)
    let first: Uint8Array = new Uint8Array(0)
    let isEnded = false
    while (first.length < size) {
      const chunks = yield* Pull.catchDone(pull, () => Effect.undefined)
      if (chunks === undefined) {
        isEnded = true
        break
      }
      // A chunk is valid until the next pull, which is after it has been handed on where it is enough by itself.
      first = first.length === 0 && chunks.length === 1 && chunks[0].length >= size
        ? chunks[0]
        : join([first, ...chunks])
    }
    const rest = isEnded ? Stream.empty : Stream.fromPull(Effect.succeed(pull))
    return next(first, first.length === 0 ? rest : Stream.concat(Stream.succeed(first), rest))
  }))

const join = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/**
 * gzip by the web's own streams, which take one member and refuse what follows it. They keep what is written for a while,
 * so it is copied.
 */
const web = (pair: CompressionStream | DecompressionStream): Flow => {
  const writer = pair.writable.getWriter()
  const reader = pair.readable.getReader()
  const ignore = () => {}
  writer.closed.catch(ignore)
  reader.closed.catch(ignore)
  return {
    write: (bytes) => writer.write(new Uint8Array(bytes)),
    end: () => writer.close(),
    read: () => reader.read().then(({ value }) => value),
    destroy: () => {
      writer.abort().catch(ignore)
      reader.cancel().catch(ignore)
    }
  }
}

export const portableGzip: Codec = {
  compress: () => web(new CompressionStream("gzip")),
  decompress: () => web(new DecompressionStream("gzip"))
}
