/**
 * The keychains of clouds, by name.
 *
 * @since 1.0.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Path from "effect/Path"
import { AuthnError } from "./AuthnError.ts"
import * as AwsKeychain from "./AwsKeychain.ts"
import * as AzureKeychain from "./AzureKeychain.ts"
import * as GitHubKeychain from "./GitHubKeychain.ts"
import * as GoogleKeychain from "./GoogleKeychain.ts"
import * as Env from "./internal/env.ts"
import * as Keychain from "./Keychain.ts"

type Services = HttpClient.HttpClient | FileSystem.FileSystem | Path.Path

const byName = new Map<string, Effect.Effect<Keychain.Resolve, Config.ConfigError, Services>>([
  ["github", GitHubKeychain.make],
  ["google", GoogleKeychain.make],
  ["aws", AwsKeychain.make()],
  ["azure", AzureKeychain.make()]
])

/**
 * The keychains that `EFFECT_OCI_KEYCHAINS` names, such as `github,aws`: nobody's, if it names none. A name that is none of
 * `github`, `google`, `aws` and `azure` is a failure of each look-up.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make: Effect.Effect<Keychain.Resolve, Config.ConfigError, Services> = Effect.gen(function*() {
  const source = "EFFECT_OCI_KEYCHAINS"
  const names = (yield* Env.variable(source))?.split(/[\s,]+/).filter((name) => name !== "") ?? []
  const unknown = (name: string): Keychain.Resolve => () =>
    Effect.fail(
      new AuthnError({
        source,
        reason: "Malformed",
        detail: `${JSON.stringify(name)} is none of ${[...byName.keys()]}`
      })
    )
  return Keychain.firstOf(
    ...(yield* Effect.forEach(names, (name) => byName.get(name) ?? Effect.succeed(unknown(name))))
  )
})
