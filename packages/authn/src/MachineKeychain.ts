/**
 * The credentials that are on this machine.
 *
 * @since 1.0.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { AuthnError } from "./AuthnError.ts"
import * as CredentialHelper from "./CredentialHelper.ts"
import * as EnvironmentKeychain from "./EnvironmentKeychain.ts"
import * as FileKeychain from "./FileKeychain.ts"
import * as Env from "./internal/env.ts"
import * as Keychain from "./Keychain.ts"

/**
 * Options for `make` and `layerWith`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * What to do where credentials cannot be found out, because a file or a helper is broken: fail, or go on as nobody with
   * a warning in the log. The variable `EFFECT_OCI_BROKEN_CREDENTIALS` says the same.
   *
   * @default "fail"
   */
  readonly whenBroken?: "fail" | "anonymous" | undefined
  /**
   * How credential helpers are asked.
   */
  readonly helpers?: CredentialHelper.AskOptions | undefined
}

/**
 * Where Docker keeps its configuration: `config.json` in the folder that `DOCKER_CONFIG` names, or in `.docker` at home.
 *
 * @category config
 * @since 1.0.0
 */
export const dockerConfigPath: Effect.Effect<string | undefined, Config.ConfigError, Path.Path> = Effect.gen(
  function*() {
    const path = yield* Path.Path
    const folder = yield* Env.variable("DOCKER_CONFIG")
    const home = yield* Env.home
    return folder !== undefined
      ? path.join(folder, "config.json")
      : home === undefined
      ? undefined
      : path.join(home, ".docker", "config.json")
  }
)

/**
 * The files that may hold credentials, in the order in which they are asked: `REGISTRY_AUTH_FILE`, Docker's, and Podman's
 * below `XDG_RUNTIME_DIR` and `XDG_CONFIG_HOME` (`.config` at home).
 *
 * @category config
 * @since 1.0.0
 */
export const files: Effect.Effect<ReadonlyArray<string>, Config.ConfigError, Path.Path> = Effect.gen(function*() {
  const path = yield* Path.Path
  const home = yield* Env.home
  const runtime = yield* Env.variable("XDG_RUNTIME_DIR")
  const config = (yield* Env.variable("XDG_CONFIG_HOME")) ??
    (home === undefined ? undefined : path.join(home, ".config"))
  const podman = (folder: string | undefined) =>
    folder === undefined ? undefined : path.join(folder, "containers", "auth.json")
  return [
    yield* Env.variable("REGISTRY_AUTH_FILE"),
    yield* dockerConfigPath,
    podman(runtime),
    podman(config)
  ].filter((file) => file !== undefined)
})

const source = "EFFECT_OCI_BROKEN_CREDENTIALS"

/**
 * The keychain of this machine: the environment's own credentials, those in `DOCKER_AUTH_CONFIG`, those in each of `files`.
 *
 * **Details**
 *
 * The first place that knows somebody is believed; within a place, the most specific key. A place that is broken does not
 * keep the others from being asked. Where each is said is read when the keychain is made, the files when it is asked.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = Effect.fnUntraced(function*(
  options?: Options | undefined
): Effect.fn.Return<
  Keychain.Resolve,
  Config.ConfigError,
  FileSystem.FileSystem | Path.Path | ChildProcessSpawner
> {
  const ask = yield* CredentialHelper.makeAsk(options?.helpers)
  const text = yield* Env.variable("DOCKER_AUTH_CONFIG")
  const whenBroken = options?.whenBroken ?? (yield* Env.variable(source)) ?? "fail"
  if (whenBroken !== "fail" && whenBroken !== "anonymous") {
    const detail = `${JSON.stringify(whenBroken)} is neither fail nor anonymous`
    return () => Effect.fail(new AuthnError({ source, reason: "Malformed", detail }))
  }
  const keychain = Keychain.firstOf(
    yield* EnvironmentKeychain.make,
    ...(text === undefined ? [] : [yield* FileKeychain.fromText(text, "DOCKER_AUTH_CONFIG", { ask })]),
    ...(yield* Effect.forEach(yield* files, (file) => FileKeychain.make(file, { ask })))
  )
  return whenBroken === "anonymous" ? Keychain.orAnonymous(keychain) : keychain
})

/**
 * The credentials of this machine; see `make`.
 *
 * @category layers
 * @since 1.0.0
 */
export const layerWith = (
  options: Options
): Layer.Layer<
  Keychain.Keychain,
  Config.ConfigError,
  FileSystem.FileSystem | Path.Path | ChildProcessSpawner
> => Layer.unwrap(Effect.map(make(options), Keychain.layer))

/**
 * The credentials of this machine; see `make`.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<
  Keychain.Keychain,
  Config.ConfigError,
  FileSystem.FileSystem | Path.Path | ChildProcessSpawner
> = layerWith({})
