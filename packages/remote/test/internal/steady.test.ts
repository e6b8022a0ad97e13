import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Steady from "../../src/internal/steady.ts"

const Name = Context.Reference<string>("test/Name", { defaultValue: () => "nobody" })
class Greeting extends Context.Service<Greeting, string>()("test/Greeting") {}

/** Says who is there, with every chunk. */
const names = Stream.mapEffect(Stream.make(1, 2, 3), (n) => Effect.map(Name, (name) => `${n} ${name}`))

describe("steady", () => {
  it.effect("changes the services of a stream, once for all its chunks", () =>
    Effect.gen(function*() {
      let times = 0
      const changed = Steady.changed((context: Context.Context<never>) => {
        times++
        return Context.add(context, Name, `${Context.get(context, Name)} and me`)
      })(names)
      assert.deepStrictEqual(yield* Stream.runCollect(changed), [
        "1 nobody and me",
        "2 nobody and me",
        "3 nobody and me"
      ])
      assert.strictEqual(times, 1)
      const inner = Effect.provideService(Stream.runCollect(changed), Name, "you")
      assert.deepStrictEqual(yield* inner, ["1 you and me", "2 you and me", "3 you and me"])
      assert.strictEqual(times, 2)
    }))

  it.effect("leaves those of whoever reads it as they are", () =>
    Effect.gen(function*() {
      const read = Stream.mapEffect(
        Steady.changed((context: Context.Context<never>) => Context.add(context, Name, "inside"))(names),
        (text) => Effect.map(Name, (name) => `${text} ${name}`)
      )
      assert.deepStrictEqual(yield* Stream.runCollect(read), ["1 inside nobody", "2 inside nobody", "3 inside nobody"])
    }))

  it.effect("gives what a stream requires, also before its first chunk", () =>
    Effect.gen(function*() {
      const greeting = Stream.transformPull(Stream.make("you"), (pull) =>
        Effect.map(Greeting, (greeting) => Effect.map(pull, ([name]) => [`${greeting} ${name}`] as const)))
      const changed = Steady.changed((context: Context.Context<never>) =>
        Context.add(context, Greeting, "hello")
      )(greeting)
      assert.deepStrictEqual(yield* Stream.runCollect(changed), ["hello you"])
    }))
})
