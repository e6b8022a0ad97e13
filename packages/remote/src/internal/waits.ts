/**
 * Tells the budget of whoever writes or reads that a registry is waited for, so that others go on meanwhile.
 */
import * as Budget from "@effect-oci/content/Budget"
import type { Store } from "@effect-oci/content/Store"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import * as Steady from "./steady.ts"

type Told = (wait: RetryPolicy.Wait) => Effect.Effect<void>

const also = (origin: string) => (before: Told): Told => (wait) =>
  Effect.andThen(
    before(wait),
    Budget.waiting({
      origin,
      duration: wait.duration,
      isRateLimited: wait.error.reason._tag === "RateLimited",
      detail: wait.error.message
    })
  )

/** The same stream, of a registry of this name. */
export const stream = (origin: string) => <A, E, R>(self: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  Steady.changed((context: Context.Context<R>) =>
    Context.add(context, RetryPolicy.OnWait, also(origin)(Context.get(context, RetryPolicy.OnWait)))
  )(self)

/** The same store, of a registry of this name. */
export const told = <S extends Store>(origin: string, store: S): S => {
  const effect = Effect.updateService(RetryPolicy.OnWait, also(origin))
  const streamed = stream(origin)
  const { read, refer, referrers } = store
  const told: Store = {
    location: store.location,
    repository: store.repository,
    resolve: (identifier) => effect(store.resolve(identifier)),
    fetch: (descriptor, offset) => streamed(store.fetch(descriptor, offset)),
    exists: (descriptor) => effect(store.exists(descriptor)),
    push: (descriptor, body, options) => effect(store.push(descriptor, body, options)),
    pushStream: (body, options) => effect(store.pushStream(body, options)),
    tag: (descriptor, tag, options) => effect(store.tag(descriptor, tag, options)),
    ...(read === undefined ? {} : { read: (descriptor) => effect(read(descriptor)) }),
    ...(refer === undefined ? {} : { refer: (subject, referrer) => effect(refer(subject, referrer)) }),
    ...(referrers === undefined ? {} : { referrers: (subject) => streamed(referrers(subject)) })
  }
  return { ...store, ...told }
}
