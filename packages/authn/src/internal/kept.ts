/** Answers that are kept for a while: one look-up at a time for one key, however many wait for it. */
import * as Cache from "effect/Cache"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Hash from "effect/Hash"

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

export interface Options<A> {
  readonly keep: (answer: A) => Duration.Input
  readonly keepFailure: Duration.Input
}

export const make = <Q, A, E>(
  lookup: (question: Q) => Effect.Effect<A, E>,
  options: Options<A>
): Effect.Effect<(key: string, question: Q) => Effect.Effect<A, E>> =>
  Effect.map(
    Cache.makeWith(({ question }: Asked<Q>) => lookup(question), {
      capacity: 1024,
      timeToLive: Exit.match({
        onFailure: () => Duration.fromInputUnsafe(options.keepFailure),
        onSuccess: (answer: A) => Duration.fromInputUnsafe(options.keep(answer))
      })
    }),
    (cache) => (key, question) => Cache.get(cache, new Asked(key, question))
  )
