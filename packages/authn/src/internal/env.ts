/** The environment, in which an empty variable is none. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

export const variable = (name: string): Effect.Effect<string | undefined, Config.ConfigError> =>
  Effect.map(
    Config.option(Config.String(name)),
    (value) => Option.isSome(value) && value.value !== "" ? value.value : undefined
  )

export const secret = (name: string): Effect.Effect<Redacted.Redacted | undefined, Config.ConfigError> =>
  Effect.map(variable(name), (value) => value === undefined ? undefined : Redacted.make(value, { label: name }))

/** The folder of whoever runs this. */
export const home: Effect.Effect<string | undefined, Config.ConfigError> = Effect.gen(function*() {
  return (yield* variable("HOME")) ?? (yield* variable("USERPROFILE"))
})
