/**
 * Services for a stream, put together once: `Stream.provideContext` and `Stream.updateService` make a new map of all of them for
 * every chunk, which costs as much as to hash it.
 */
import * as Channel from "effect/Channel"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** Runs a stream with the services that there are when it begins, changed. */
export const changed =
  <R, R2>(change: (context: Context.Context<R2>) => Context.Context<R>) =>
  <A, E>(self: Stream.Stream<A, E, R>): Stream.Stream<A, E, R2> =>
    Stream.fromChannel(Channel.fromTransform((upstream, scope) =>
      Effect.contextWith((before: Context.Context<R2>) => {
        const after = change(before)
        const within = <A, E>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R2> =>
          Effect.updateContext(self, (_: Context.Context<R2>) => after)
        return Effect.map(within(Channel.toTransform(Stream.toChannel(self))(upstream, scope)), within)
      })
    ))
