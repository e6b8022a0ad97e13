/**
 * The credentials that are on this machine.
 *
 * @since 1.0.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { AuthnError } from "./AuthnError.ts"
import type * as Credential from "./Credential.ts"
import * as CredentialHelper from "./CredentialHelper.ts"
import * as DockerConfig from "./DockerConfig.ts"
import * as Keychain from "./Keychain.ts"

/**
 * Where Docker keeps its configuration: `config.json` in the folder that `DOCKER_CONFIG` names, or in `.docker` at home.
 *
 * @category config
 * @since 1.0.0
 */
export const dockerConfigPath: Effect.Effect<Option.Option<string>, Config.ConfigError, Path.Path> = Effect.gen(
  function*() {
    const path = yield* Path.Path
    const folder = yield* Config.option(Config.NonEmptyString("DOCKER_CONFIG"))
    const home = yield* Config.option(
      Config.NonEmptyString("HOME").pipe(
        Config.orElse(() => Config.NonEmptyString("USERPROFILE"))
      )
    )
    return Option.map(
      Option.orElse(folder, () => Option.map(home, (home) => path.join(home, ".docker"))),
      (folder) => path.join(folder, "config.json")
    )
  }
)

/**
 * The keychain of a Docker configuration file. Without the file there are no credentials; a file that cannot be read is a
 * failure of each look-up.
 *
 * @category constructors
 * @since 1.0.0
 */
export const fromFile = Effect.fnUntraced(function*(
  file: string
): Effect.fn.Return<Keychain.Resolve, never, FileSystem.FileSystem | ChildProcessSpawner> {
  const fs = yield* FileSystem.FileSystem
  const services = yield* Effect.context<ChildProcessSpawner>()
  // Read at the first look-up and kept: a push of 100 blobs asks 100 times.
  const read = yield* Effect.cached(Effect.gen(function*() {
    const bytes = yield* Effect.asSome(fs.readFile(file)).pipe(
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone),
      Effect.mapError((error) =>
        new AuthnError({ source: file, reason: "Unreadable", detail: `the file cannot be read: ${error.reason._tag}` })
      )
    )
    return Option.isNone(bytes) ? undefined : yield* Effect.fromResult(DockerConfig.parse(bytes.value, file))
  }))
  // A helper may take a second, or ask its user: one answer is enough for one registry.
  const answers = new Map<string, Effect.Effect<Credential.Credential, AuthnError>>()
  const ask: Parameters<typeof DockerConfig.keychain>[1] = (helper, registry) =>
    Effect.suspend(() => {
      const key = `${helper} ${registry.name}`
      const known = answers.get(key)
      if (known !== undefined) return known
      return Effect.flatMap(
        Effect.cached(Effect.provideContext(CredentialHelper.get(helper, registry), services)),
        (answer) => {
          answers.set(key, answer)
          return answer
        }
      )
    })
  return (resource) =>
    Effect.flatMap(
      read,
      (config) => config === undefined ? Keychain.anonymous(resource) : DockerConfig.keychain(config, ask)(resource)
    )
})

/**
 * The credentials that Docker has on this machine.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<
  Keychain.Keychain,
  Config.ConfigError,
  FileSystem.FileSystem | Path.Path | ChildProcessSpawner
> = Layer.effect(
  Keychain.Keychain,
  Effect.gen(function*() {
    const file = yield* dockerConfigPath
    return Keychain.Keychain.of({
      resolve: Option.isNone(file) ? Keychain.anonymous : yield* fromFile(file.value)
    })
  })
)
