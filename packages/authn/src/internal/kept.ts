/** Answers that are kept for a while: one look-up at a time for one key, however many wait for it. */
import * as Cache from "effect/Cache"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Hash from "effect/Hash"
import * as Option from "effect/Option"

/** A question under its key. */
class Asked<Q> implements Equal.Equal {
  readonly key: string
  readonly question: Q
  constructor(key: string, question: Q) {
    this.key = key
    this.question = question
  }
  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Asked && that.key === this.key
  }
  [Hash.symbol](): number {
    return Hash.string(this.key)
  }
}

export interface Options<A, E> {
  readonly keep: (answer: A) => Duration.Input
  readonly keepFailure: (error: E) => Duration.Input
}

export const make = <Q, A, E>(
  lookup: (question: Q) => Effect.Effect<A, E>,
  options: Options<A, E>
): Effect.Effect<(key: string, question: Q) => Effect.Effect<A, E>> =>
  Effect.map(
    Cache.makeWith(({ question }: Asked<Q>) => lookup(question), {
      capacity: 1024,
      timeToLive: Exit.match({
        onFailure: (cause) =>
          Option.match(Cause.findErrorOption(cause), {
            onNone: () => Duration.zero,
            onSome: (error) => Duration.fromInputUnsafe(options.keepFailure(error))
          }),
        onSuccess: (answer: A) => Duration.fromInputUnsafe(options.keep(answer))
      })
    }),
    (cache) => (key, question) => Cache.get(cache, new Asked(key, question))
  )
