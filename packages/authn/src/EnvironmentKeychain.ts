/**
 * The credentials of one registry, from the environment: `EFFECT_OCI_REGISTRY`, `EFFECT_OCI_USERNAME` and
 * `EFFECT_OCI_PASSWORD`.
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
export const make: Effect.Effect<Keychain.Resolve, Config.ConfigError> = Effect.gen(function*() {
  const registry = yield* Env.variable("EFFECT_OCI_REGISTRY")
  const username = yield* Env.variable("EFFECT_OCI_USERNAME")
  const password = yield* Env.secret("EFFECT_OCI_PASSWORD")
  const malformed = (source: string, detail: string): Keychain.Resolve => () =>
    Effect.fail(new AuthnError({ source, reason: "Malformed", detail }))
  if (registry === undefined) {
    return username === undefined && password === undefined
      ? Keychain.anonymous
      : malformed(
        "EFFECT_OCI_REGISTRY",
        "it must say which registry EFFECT_OCI_USERNAME and EFFECT_OCI_PASSWORD are for"
      )
  }
  if (CredentialKey.normalize(registry) === undefined) {
    return malformed("EFFECT_OCI_REGISTRY", "it is not host[:port][/path]")
  }
  return username === undefined || password === undefined
    ? malformed(
      username === undefined ? "EFFECT_OCI_USERNAME" : "EFFECT_OCI_PASSWORD",
      "it is missing beside EFFECT_OCI_REGISTRY"
    )
    : Keychain.fromEntries([[registry, Credential.basic(username, password)]])
})

/**
 * The credentials of the environment, and no others.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<Keychain.Keychain, Config.ConfigError> = Layer.unwrap(
  Effect.map(make, Keychain.layer)
)
