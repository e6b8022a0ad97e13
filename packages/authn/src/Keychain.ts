/**
 * Finds out who is asking, for a registry or a repository.
 *
 * @since 1.0.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AuthnError } from "./AuthnError.ts"
import * as Credential from "./Credential.ts"
import * as CredentialKey from "./CredentialKey.ts"

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
 * A keychain of credentials at hand. Keys are `host[:port]`, or `host[:port]/path` for what is below that path only.
 *
 * @category constructors
 * @since 1.0.0
 */
export const fromEntries = (entries: Iterable<readonly [string, Credential.Credential]>): Resolve => {
  const credentials = new Map<string, Credential.Credential>()
  for (const [key, credential] of entries) {
    const normalized = CredentialKey.normalize(key)
    if (normalized !== undefined) credentials.set(normalized, credential)
  }
  return (resource) =>
    Effect.sync(() => {
      const key = CredentialKey.candidates(resource).find((candidate) => credentials.has(candidate))
      return key === undefined ? Credential.anonymous : credentials.get(key)!
    })
}

/**
 * Asks one keychain after the other, until one knows somebody.
 *
 * @category combining
 * @since 1.0.0
 */
export const firstOf = (...keychains: ReadonlyArray<Resolve>): Resolve =>
  Effect.fnUntraced(function*(resource) {
    for (const resolve of keychains) {
      const credential = yield* resolve(resource)
      if (credential._tag !== "Anonymous") return credential
    }
    return Credential.anonymous
  })

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
