/**
 * The credentials of a registry, from the environment: `EFFECT_OCI_REGISTRY`, `EFFECT_OCI_USERNAME` and
 * `EFFECT_OCI_PASSWORD`; of two others, for where a copy comes from and goes to, with `SOURCE_` and `TARGET_` in their names.
 *
 * @since 1.0.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuthnError } from "./AuthnError.ts"
import * as Credential from "./Credential.ts"
import * as CredentialKey from "./CredentialKey.ts"
import * as Env from "./internal/env.ts"
import * as Keychain from "./Keychain.ts"

/** The credentials that three variables say. */
const read = Effect.fnUntraced(function*(
  prefix: string
): Effect.fn.Return<Keychain.Resolve, Config.ConfigError> {
  const registry = yield* Env.variable(`${prefix}REGISTRY`)
  const username = yield* Env.variable(`${prefix}USERNAME`)
  const password = yield* Env.secret(`${prefix}PASSWORD`)
  const malformed = (name: string, detail: string): Keychain.Resolve => () =>
    Effect.fail(new AuthnError({ source: prefix + name, reason: "Malformed", detail }))
  if (registry === undefined) {
    return username === undefined && password === undefined
      ? Keychain.anonymous
      : malformed("REGISTRY", `it must say which registry ${prefix}USERNAME and ${prefix}PASSWORD are for`)
  }
  if (CredentialKey.normalize(registry) === undefined) return malformed("REGISTRY", "it is not host[:port][/path]")
  if (username === undefined) return malformed("USERNAME", `it is missing beside ${prefix}REGISTRY`)
  return password === undefined
    ? malformed("PASSWORD", `it is missing beside ${prefix}REGISTRY`)
    : Keychain.fromEntries([[registry, Credential.basic(username, password)]])
})

/**
 * The keychain of the environment, as it is now.
 *
 * **Details**
 *
 * `EFFECT_OCI_REGISTRY` is `host[:port]`, or `host[:port]/path` for what is below that path only. A password without it is
 * a failure, and goes nowhere: it would else be shown to each registry that is asked for anything.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make: Effect.Effect<Keychain.Resolve, Config.ConfigError> = Effect.map(
  Effect.forEach(["EFFECT_OCI_", "EFFECT_OCI_SOURCE_", "EFFECT_OCI_TARGET_"], read),
  (keychains) => Keychain.firstOf(...keychains)
)

/**
 * The credentials of the environment, and no others.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<Keychain.Keychain, Config.ConfigError> = Layer.unwrap(
  Effect.map(make, Keychain.layer)
)
