/**
 * What is slow to find out of a name and a password, found out once.
 */
import * as Hasher from "@effect-oci/content/Hasher"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

type Check = (name: string, password: string) => Effect.Effect<boolean>

/** How many answers are kept of each kind. */
const most = 1000

/** Those of one kind: however many are wrong, what is right is remembered. */
const kept = (lifetime: number) => {
  const answers = new Map<string, number>()
  return {
    has: (key: string, now: number): boolean => (answers.get(key) ?? -Infinity) > now,
    add: (key: string, now: number): void => {
      answers.delete(key)
      if (answers.size >= most) answers.delete(answers.keys().next().value!)
      answers.set(key, now + lifetime)
    }
  }
}

/** Keeps the latest answers, so that a password costs its hash once and not with each request. */
export const remembered = Effect.fnUntraced(function*(check: Check): Effect.fn.Return<Check> {
  const start = yield* Hasher.Hashing
  const salt = crypto.randomUUID()
  const right = kept(5 * 60_000)
  const wrong = kept(10_000)
  // One at a time: bcrypt is made to be slow, and keeps a core busy, where it has no thread of its own the only one that there is.
  const gate = yield* Semaphore.make(1)
  let next = 0

  const answered = (key: string) =>
    Effect.map(Clock.currentTimeMillis, (now) => right.has(key, now) ? true : wrong.has(key, now) ? false : undefined)
  const ask = (key: string, name: string, password: string) =>
    Effect.gen(function*() {
      const begun = yield* Clock.currentTimeMillis
      const isRight = yield* check(name, password)
      const now = yield* Clock.currentTimeMillis
      ;(isRight ? right : wrong).add(key, now)
      // All else has as much time as this took, whoever tries one password after the other.
      next = now + (now - begun)
      return isRight
      // It goes on when nobody waits for it any more, and then the next one has to wait all the same.
    }).pipe(Effect.uninterruptible)

  return (name, password) => {
    const key = Hasher.digestOf(start, new TextEncoder().encode(JSON.stringify([salt, name, password])))
    const inTurn = Effect.gen(function*() {
      const wait = next - (yield* Clock.currentTimeMillis)
      if (wait > 0) yield* Effect.sleep(wait)
      // Somebody may have asked the same while this waited.
      return (yield* answered(key)) ?? (yield* ask(key, name, password))
    })
    return Effect.gen(function*() {
      return (yield* answered(key)) ?? (yield* gate.withPermit(inTurn))
    })
  }
})
