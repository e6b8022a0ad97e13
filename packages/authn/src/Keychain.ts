/**
 * Finds out who is asking, for a registry or a repository.
 *
 * @since 1.0.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type { AuthnError } from "./AuthnError.ts"
import * as Credential from "./Credential.ts"
import * as CredentialKey from "./CredentialKey.ts"
import * as Kept from "./internal/kept.ts"

/**
 * What every keychain can do: name the credential for a resource, or `Credential.anonymous`.
 *
 * @category models
 * @since 1.0.0
 */
export interface Resolve {
  (resource: CredentialKey.Resource): Effect.Effect<Credential.Credential, AuthnError>
}

/**
 * The keychain of a program.
 *
 * @category services
 * @since 1.0.0
 */
export class Keychain extends Context.Service<Keychain, { readonly resolve: Resolve }>()(
  "@effect-oci/authn/Keychain"
) {}

/**
 * A keychain without any credentials.
 *
 * @category constructors
 * @since 1.0.0
 */
export const anonymous: Resolve = () => Effect.succeed(Credential.anonymous)

/**
 * A keychain of credentials at hand. Keys are `host[:port]`, or `host[:port]/path` for what is below that path only; a `*`
 * stands for any characters of one label of the host.
 *
 * @category constructors
 * @since 1.0.0
 */
export const fromEntries = (entries: Iterable<readonly [string, Credential.Credential]>): Resolve => {
  const credentials = new Map<string, Credential.Credential>()
  for (const [key, credential] of entries) {
    const normalized = CredentialKey.normalize(key, { wildcards: true })
    if (normalized !== undefined) credentials.set(normalized, credential)
  }
  const keyring = CredentialKey.keyring(credentials)
  return (resource) => Effect.sync(() => keyring.find(resource)[0] ?? Credential.anonymous)
}

/**
 * Asks one keychain after the other, until one knows somebody.
 *
 * **Details**
 *
 * One that fails does not keep the others from being asked. When none of them knows anybody, the first failure is the
 * result: somebody may have been meant.
 *
 * @category combining
 * @since 1.0.0
 */
export const firstOf = (...keychains: ReadonlyArray<Resolve>): Resolve =>
  Effect.fnUntraced(function*(resource) {
    let failure: AuthnError | undefined
    for (const resolve of keychains) {
      const result = yield* Effect.result(resolve(resource))
      if (Result.isFailure(result)) failure ??= result.failure
      else if (result.success._tag !== "Anonymous") return result.success
    }
    return failure === undefined ? Credential.anonymous : yield* failure
  })

/**
 * Goes on as nobody where a keychain fails, with a warning in the log for each way it does: what is public can be read
 * although a helper is broken.
 *
 * @category combining
 * @since 1.0.0
 */
export const orAnonymous = (resolve: Resolve): Resolve => {
  const told = new Set<string>()
  return (resource) =>
    Effect.catch(resolve(resource), (error) =>
      Effect.suspend(() => {
        const isKnown = told.has(error.message)
        told.add(error.message)
        return Effect.as(
          isKnown ? Effect.void : Effect.logWarning(`${error.message}; going on without credentials`),
          Credential.anonymous
        )
      }))
}

/**
 * Keeps what a keychain says, and asks it again when that is older than a duration.
 *
 * **Details**
 *
 * The keychain is asked once for a resource, however many wait for the answer. A failure is not kept, and what was known
 * before is not given in its place.
 *
 * @category combining
 * @since 1.0.0
 */
export const refreshing = (resolve: Resolve, duration: Duration.Input): Effect.Effect<Resolve> =>
  Effect.map(
    Kept.make(resolve, { keep: () => duration, keepFailure: () => 0 }),
    (kept): Resolve => (resource) => kept(resource.name, resource)
  )

/**
 * Provides a keychain.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer = (resolve: Resolve): Layer.Layer<Keychain> => Layer.succeed(Keychain, Keychain.of({ resolve }))

/**
 * No credentials at all.
 *
 * @category layers
 * @since 1.0.0
 */
export const layerAnonymous: Layer.Layer<Keychain> = layer(anonymous)

/**
 * Credentials at hand; see `fromEntries`.
 *
 * @category layers
 * @since 1.0.0
 */
export const layerMemory = (entries: Iterable<readonly [string, Credential.Credential]>): Layer.Layer<Keychain> =>
  layer(fromEntries(entries))
