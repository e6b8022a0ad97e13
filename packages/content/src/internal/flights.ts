/**
 * One writer at a time for one thing at one place, among all that this process writes.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"

const Flying = Context.Reference<Map<string, Deferred.Deferred<void>>>(
  "@effect-oci/content/internal/flights/Flying",
  { defaultValue: () => new Map() }
)

/** Writes unless somebody else does, whose end is waited for; then looks whether it is there. */
export const alone = <A, E, R, E2, R2>(
  key: string,
  write: Effect.Effect<A, E, R>,
  isPresent: Effect.Effect<boolean, E2, R2>
): Effect.Effect<Option.Option<A>, E | E2, R | R2> =>
  Effect.flatMap(Flying, (flying) => {
    const attempt: Effect.Effect<Option.Option<A>, E | E2, R | R2> = Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const other = flying.get(key)
        if (other !== undefined) {
          return restore(Effect.andThen(
            Deferred.await(other),
            Effect.flatMap(isPresent, (is) => is ? Effect.succeedNone : attempt)
          ))
        }
        const landed = Deferred.makeUnsafe<void>()
        flying.set(key, landed)
        return Effect.asSome(restore(write)).pipe(
          Effect.onExit(() => {
            flying.delete(key)
            return Deferred.succeed(landed, undefined)
          })
        )
      })
    )
    return attempt
  })
