/**
 * Work that is done once, however many ask for it, and again only where it failed.
 */
import * as Cache from "effect/Cache"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** `self`, once. Concurrent askers share it; the last one that gives up interrupts it. */
export const once = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<Effect.Effect<A, E>> =>
  Effect.map(keyed((_: 0) => self, 1), (cache) => Cache.get(cache, 0))

/** The same for many keys. */
export const keyed = <Key, A, E, R>(lookup: (key: Key) => Effect.Effect<A, E, R>, capacity = 10_000) =>
  Cache.makeWith(lookup, {
    capacity,
    timeToLive: Exit.match({ onFailure: () => Duration.zero, onSuccess: () => Duration.infinity })
  })
