/**
 * Checks bytes against their descriptor while they flow.
 *
 * @since 1.0.0
 */
import * as Digest from "@effect-oci/name/Digest"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { ContentError, DigestMismatch, Invalid, SizeMismatch } from "./ContentError.ts"
import * as Hasher from "./Hasher.ts"

/**
 * Options for `stream`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * Where the bytes come from, for the error.
   */
  readonly location: string
  /**
   * How many bytes were left out at the front. Above 0 only the size is checked.
   *
   * @default 0
   */
  readonly offset?: number | undefined
}

type Chunks = Arr.NonEmptyReadonlyArray<Uint8Array>

/**
 * Fails unless the bytes have the descriptor's size and digest.
 *
 * **Details**
 *
 * The last chunk is handed on only when the digest holds, so the consumer never has the whole of wrong content and
 * never sees its end. Bytes beyond the size are not asked for: the right bytes were there, and the rest is nobody's.
 * Nothing is kept; each run of the stream hashes anew, so it can be retried. Where the stream beneath is checked against the
 * same descriptor already, as that of a `Source` is, and hands on the very chunks that were checked, only the size is looked at
 * again: hashing is most of what a blob costs.
 *
 * @category verification
 * @since 1.0.0
 */
export const stream = (descriptor: Descriptor.Descriptor, options: Options) =>
<E, R>(
  self: Stream.Stream<Uint8Array, E, R>
): Stream.Stream<Uint8Array, E | ContentError, R> =>
  Stream.unwrap(Effect.map(Above, (above) => {
    const beneath: Beneath = { isThere: false, last: [], isRight: false }
    const told = (options.offset ?? 0) === 0 ? above?.(descriptor) : undefined
    const listen: Listen = (other) => {
      if (other.digest !== descriptor.digest || other.size !== descriptor.size) return undefined
      beneath.isThere = true
      return {
        handed: (chunks) => void (beneath.last = chunks),
        held: () => void (beneath.isRight = true)
      }
    }
    return Stream.transformPull(
      Stream.provideService(self, Above, listen),
      (pull) =>
        Effect.map(Hasher.Hashing, (start) => {
          const check = checker(descriptor, options, start, beneath, told)
          return Effect.suspend((): Pull.Pull<Chunks, E | ContentError> =>
            check.isDone()
              ? Cause.done()
              : Effect.flatMap(Pull.catchDone(pull, () => Effect.void), (chunks) =>
                chunks === undefined ? check.ended() : check.next(chunks))
          )
        })
    )
  }))

/**
 * What is known of a check beneath: that there is one, before the first chunk comes; what it has handed on last; that it held,
 * before the last chunk comes.
 */
interface Beneath {
  isThere: boolean
  last: ReadonlyArray<Uint8Array>
  isRight: boolean
}

/** Hears of a check what it hands on, and that it holds. */
interface Listener {
  readonly handed: (chunks: ReadonlyArray<Uint8Array>) => void
  readonly held: () => void
}

/** Is told of a check, and gives who is to hear of it. */
type Listen = (descriptor: Descriptor.Descriptor) => Listener | undefined

const Above = Context.Reference<Listen | undefined>("@effect-oci/content/Verify/Above", {
  defaultValue: () => undefined
})

/**
 * Runs what reads for several: each of them checks for himself, as none of them need get all that it has read.
 *
 * @internal
 */
export const apart = Effect.provideService(Above, undefined)

const checker = (
  descriptor: Descriptor.Descriptor,
  options: Options,
  start: Hasher.Start,
  beneath: Beneath,
  told: Listener | undefined
) => {
  const offset = options.offset ?? 0
  let hasher: Hasher.Hasher | undefined
  let isBegun = false
  let isSame = true
  /** How many of the chunks that were handed on last have come. */
  let come = 0
  let last = beneath.last
  /** Whether the chunks are those that were handed on beneath, and nothing was read since, which might have overwritten them. */
  const areThose = (chunks: ReadonlyArray<Uint8Array>): boolean => {
    if (last !== beneath.last) {
      if (come !== last.length) return false
      last = beneath.last
      come = 0
    }
    return chunks.every((chunk) => chunk === last[come++])
  }
  const begin = (chunks: ReadonlyArray<Uint8Array>): void => {
    if (isBegun && hasher !== undefined) return
    isSame &&= areThose(chunks)
    if (!isBegun && offset === 0 && !(beneath.isThere && isSame)) hasher = start(Digest.algorithm(descriptor.digest))
    isBegun = true
  }
  const failure = (reason: DigestMismatch | Invalid | SizeMismatch) =>
    Effect.fail(new ContentError({ operation: "read", location: options.location, reason }))
  let received = offset
  let done = false

  const complete = (chunks: ReadonlyArray<Uint8Array>): Pull.Pull<Chunks, ContentError> => {
    done = true
    if (!isBegun) begin([])
    const actual = hasher?.digest()
    if (actual !== undefined && actual !== descriptor.digest) {
      return failure(new DigestMismatch({ expected: descriptor.digest, actual }))
    }
    // Not all of these bytes, or not only they, have passed the check that was relied on.
    if (offset === 0 && hasher === undefined && !(isSame && beneath.isRight)) {
      return failure(
        new Invalid({
          detail:
            `${descriptor.digest}: the bytes are not those that were checked: a chunk that is kept while the next one is read has to be copied`
        })
      )
    }
    told?.handed(chunks)
    told?.held()
    return isNonEmpty(chunks) ? Effect.succeed(chunks) : Cause.done()
  }

  return {
    isDone: () => done,
    next: (chunks: Chunks): Pull.Pull<Chunks, ContentError> => {
      begin(chunks)
      for (let i = 0; i < chunks.length; i++) {
        const chunk = chunks[i]!
        const room = descriptor.size - received
        if (chunk.length < room) {
          hasher?.update(chunk)
          received += chunk.length
          continue
        }
        const last = chunk.length === room ? chunk : chunk.subarray(0, room)
        hasher?.update(last)
        received += room
        return complete(last.length === 0 ? chunks.slice(0, i) : [...chunks.slice(0, i), last])
      }
      told?.handed(chunks)
      return Effect.succeed(chunks)
    },
    ended: (): Pull.Pull<Chunks, ContentError> =>
      received === descriptor.size
        ? complete([])
        : failure(new SizeMismatch({ digest: descriptor.digest, expected: descriptor.size, actual: received }))
  }
}

const isNonEmpty = (chunks: ReadonlyArray<Uint8Array>): chunks is Chunks => chunks.length > 0

/**
 * Fails unless the bytes at hand have the descriptor's size and digest.
 *
 * @category verification
 * @since 1.0.0
 */
export const bytes = Effect.fnUntraced(function*(
  descriptor: Descriptor.Descriptor,
  content: Uint8Array,
  options: Options
): Effect.fn.Return<Uint8Array, ContentError> {
  const fail = (reason: DigestMismatch | SizeMismatch) =>
    new ContentError({ operation: "read", location: options.location, reason })
  if (content.length !== descriptor.size) {
    return yield* fail(
      new SizeMismatch({ digest: descriptor.digest, expected: descriptor.size, actual: content.length })
    )
  }
  const start = yield* Hasher.Hashing
  const actual = Hasher.digestOf(start, content, Digest.algorithm(descriptor.digest))
  if (actual !== descriptor.digest) {
    return yield* fail(new DigestMismatch({ expected: descriptor.digest, actual }))
  }
  return content
})
