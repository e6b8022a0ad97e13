/**
 * The credentials that GitHub gives to a workflow, for its container registry.
 *
 * @since 1.0.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Credential from "./Credential.ts"
import * as CredentialKey from "./CredentialKey.ts"
import * as Env from "./internal/env.ts"
import * as Keychain from "./Keychain.ts"

/**
 * `GITHUB_TOKEN` (and `GITHUB_ACTOR`) for exactly `ghcr.io`, as the environment says now.
 *
 * **Details**
 *
 * Not part of `MachineKeychain`: many have a token in that variable that may not read packages, and with it GitHub refuses
 * what it gives to anybody without.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make: Effect.Effect<Keychain.Resolve, Config.ConfigError> = Effect.gen(function*() {
  const token = yield* Env.secret("GITHUB_TOKEN")
  if (token === undefined) return Keychain.anonymous
  // GitHub looks at the token alone.
  const credential = Credential.basic((yield* Env.variable("GITHUB_ACTOR")) ?? "token", token)
  return (resource) =>
    Effect.succeed(CredentialKey.registryOf(resource).name === "ghcr.io" ? credential : Credential.anonymous)
})

/**
 * GitHub's credentials, and no others.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<Keychain.Keychain, Config.ConfigError> = Layer.unwrap(
  Effect.map(make, Keychain.layer)
)
