/**
 * The credentials of a file: Docker's `config.json`, Podman's `auth.json`, or any other of the same form.
 *
 * @since 1.0.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { AuthnError } from "./AuthnError.ts"
import * as CredentialHelper from "./CredentialHelper.ts"
import * as DockerConfig from "./DockerConfig.ts"
import * as Kept from "./internal/kept.ts"
import * as Keychain from "./Keychain.ts"

/**
 * Options for `make`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * Asks the helpers that the file names.
   *
   * @default CredentialHelper.makeAsk()
   */
  readonly ask?: CredentialHelper.Ask | undefined
}

/**
 * The bytes of a config file, a little more than may be read at the most; `undefined` where there is no file.
 *
 * @category reading
 * @since 1.0.0
 */
export const read = (file: string): Effect.Effect<Uint8Array | undefined, AuthnError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    fs.stream(file, { bytesToRead: DockerConfig.maxSize + 1 }).pipe(
      Stream.runCollect,
      Effect.map((chunks): Uint8Array => {
        const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0))
        let at = 0
        for (const chunk of chunks) {
          bytes.set(chunk, at)
          at += chunk.length
        }
        return bytes
      }),
      Effect.catchReason("PlatformError", "NotFound", () => Effect.undefined),
      Effect.mapError((error) =>
        new AuthnError({ source: file, reason: "Unreadable", detail: `it cannot be read: ${error.reason._tag}` })
      )
    ))

/**
 * The keychain of a file. Without the file there are no credentials; a file that cannot be read is a failure of each
 * look-up.
 *
 * **Details**
 *
 * The file is read at the first look-up, and again at the first one after ten seconds.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = Effect.fnUntraced(function*(
  file: string,
  options?: Options | undefined
): Effect.fn.Return<Keychain.Resolve, never, FileSystem.FileSystem | ChildProcessSpawner> {
  const services = yield* Effect.context<FileSystem.FileSystem>()
  const ask = options?.ask ?? (yield* CredentialHelper.makeAsk())
  // A push of 100 blobs asks 100 times.
  const kept = yield* Kept.make(
    (file: string) =>
      Effect.flatMap(Effect.provideContext(read(file), services), (bytes) =>
        bytes === undefined
          ? Effect.succeed(Keychain.anonymous)
          : Effect.map(Effect.fromResult(DockerConfig.parse(bytes, file)), (config) =>
            DockerConfig.keychain(config, ask))),
    {
      keep: () => "10 seconds",
      keepFailure: () => "10 seconds"
    }
  )
  return (resource) => Effect.flatMap(kept(file, file), (resolve) => resolve(resource))
})

/**
 * The keychain of a config that is text, such as one in an environment variable; `source` names it in errors.
 *
 * @category constructors
 * @since 1.0.0
 */
export const fromText = Effect.fnUntraced(function*(
  text: string,
  source: string,
  options?: Options | undefined
): Effect.fn.Return<Keychain.Resolve, never, ChildProcessSpawner> {
  const ask = options?.ask ?? (yield* CredentialHelper.makeAsk())
  return Result.match(DockerConfig.parse(new TextEncoder().encode(text), source), {
    onFailure: (error): Keychain.Resolve => () => Effect.fail(error),
    onSuccess: (config) => DockerConfig.keychain(config, ask)
  })
})
