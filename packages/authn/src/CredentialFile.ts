/**
 * A config file that credentials are written to, or to the helper that it names, as `docker login` writes them.
 *
 * @since 1.0.0
 */
import * as Registry from "@effect-oci/name/Registry"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { AuthnError } from "./AuthnError.ts"
import * as CredentialHelper from "./CredentialHelper.ts"
import * as CredentialKey from "./CredentialKey.ts"
import * as DockerConfig from "./DockerConfig.ts"
import * as FileKeychain from "./FileKeychain.ts"
import * as Json from "./internal/json.ts"

type Services = FileSystem.FileSystem | Path.Path | ChildProcessSpawner

/**
 * Keeps the credentials of a registry, `host[:port]`, or of what is below a path of it, `host[:port]/path`.
 *
 * **Details**
 *
 * A registry's go to the helper that the file names for it, where it names one, and then the file says only that there are
 * some; all others go into the file, base64 of `user:password`, which hides nothing. The user `<token>` stands for an identity
 * token. The file is replaced as a whole and can be read by its owner only; a link stays one, and whatever else the file
 * says it still says.
 *
 * @category keeping
 * @since 1.0.0
 */
export const login = Effect.fn("CredentialFile.login")(function*(
  file: string,
  key: string,
  username: string,
  password: Redacted.Redacted
): Effect.fn.Return<void, AuthnError, Services> {
  if (username === "" || /[:\u0000-\u001f]/.test(username)) {
    return yield* new AuthnError({
      source: file,
      reason: "Malformed",
      detail: "a user's name is not empty, and holds no colon"
    })
  }
  yield* change(file, key, (keeper) =>
    keeper === undefined
      ? Effect.succeed(entryOf(username, password))
      : Effect.as(CredentialHelper.store(keeper.helper, keeper.registry, username, password), {}))
})

/**
 * Forgets the credentials of a registry, or those of a path, under each spelling of its name, in the file and with its helper.
 *
 * @category keeping
 * @since 1.0.0
 */
export const logout = Effect.fn("CredentialFile.logout")(function*(
  file: string,
  key: string
): Effect.fn.Return<void, AuthnError, Services> {
  yield* change(file, key, (keeper) =>
    keeper === undefined
      ? Effect.undefined
      : Effect.as(CredentialHelper.erase(keeper.helper, keeper.registry), undefined))
})

const entryOf = (username: string, password: Redacted.Redacted) =>
  username === "<token>"
    ? { identitytoken: Redacted.value(password) }
    : { auth: Base64.encode(`${username}:${Redacted.value(password)}`) }

const unwritable = (source: string, detail: string) => new AuthnError({ source, reason: "Unwritable", detail })

/** The helper that keeps a registry's credentials. */
interface Keeper {
  readonly helper: string
  readonly registry: Registry.Registry
}

const keeperOf = (config: DockerConfig.DockerConfig, registry: Registry.Registry | undefined): Keeper | undefined => {
  const helper = registry === undefined ? undefined : DockerConfig.helperOf(config, registry)
  return helper === undefined || registry === undefined ? undefined : { helper, registry }
}

/** Replaces what a file says about a key by what `entryFor` says, who is told the helper that keeps such things. */
const change = Effect.fnUntraced(function*(
  file: string,
  key: string,
  entryFor: (
    keeper: Keeper | undefined
  ) => Effect.Effect<Json.JsonObject | undefined, AuthnError, ChildProcessSpawner>
): Effect.fn.Return<void, AuthnError, Services> {
  const malformed = (detail: string) => new AuthnError({ source: file, reason: "Malformed", detail })
  const normalized = CredentialKey.normalize(key)
  if (normalized === undefined) return yield* malformed(`${JSON.stringify(key)} is not host[:port][/path]`)
  const registry = Result.getOrUndefined(Registry.parse(normalized))
  yield* replace(file, (bytes) =>
    Effect.gen(function*() {
      const config = yield* Effect.fromResult(DockerConfig.parse(bytes, file))
      const before = new TextDecoder().decode(bytes)
      const json = before.trim() === "" ? {} : Json.parse(before)
      const auths = Json.isObject(json) ? json["auths"] ?? {} : undefined
      if (!Json.isObject(json) || !Json.isObject(auths)) return yield* malformed("its auths are not a JSON object")
      const entry = yield* entryFor(keeperOf(config, registry))
      const others = Object.entries(auths).filter(([key]) => CredentialKey.normalize(key) !== normalized)
      const name = registry === undefined ? normalized : CredentialKey.dockerName(registry)
      const after = Object.fromEntries(entry === undefined ? others : [...others, [name, entry]])
      return Json.formatLike(before, { ...json, auths: after })
    }))
})

/**
 * Replaces a file by what `make` makes of it. The new file is written beside it, where it also keeps others from doing the
 * same at once, and takes its place when it is whole.
 */
const replace = Effect.fnUntraced(function*<R>(
  file: string,
  make: (before: Uint8Array) => Effect.Effect<string, AuthnError, R>
): Effect.fn.Return<void, AuthnError, R | FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const failed = (error: PlatformError.PlatformError) => unwritable(file, `it cannot be written: ${error.reason._tag}`)
  const real = yield* targetOf(file)
  yield* Effect.mapError(fs.makeDirectory(path.dirname(real), { recursive: true, mode: 0o700 }), failed)
  const lock = `${real}.lock`
  yield* Effect.scoped(Effect.gen(function*() {
    let isRenamed = false
    const opened = yield* Effect.acquireRelease(
      Effect.mapError(fs.open(lock, { flag: "wx", mode: 0o600 }), (error) => ({ error })).pipe(
        Effect.retry({
          while: ({ error }) => error.reason._tag === "AlreadyExists",
          schedule: Schedule.spaced("50 millis").pipe(Schedule.upTo({ duration: "5 seconds" }))
        }),
        Effect.mapError(({ error }) =>
          error.reason._tag === "AlreadyExists"
            ? unwritable(file, `another program is writing it; if none is, remove ${lock}`)
            : failed(error)
        )
      ),
      () => Effect.suspend(() => isRenamed ? Effect.void : Effect.ignore(fs.remove(lock)))
    )
    const text = yield* make((yield* FileKeychain.read(real)) ?? new Uint8Array())
    yield* Effect.mapError(
      Effect.gen(function*() {
        yield* opened.writeAll(new TextEncoder().encode(text))
        yield* opened.sync
        yield* Effect.uninterruptible(Effect.tap(fs.rename(lock, real), () => Effect.sync(() => isRenamed = true)))
      }),
      failed
    )
  }))
})

/** Where the bytes of a file are, or will be, through each link that leads there. */
const targetOf = Effect.fnUntraced(function*(
  file: string
): Effect.fn.Return<string, AuthnError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  let target = file
  for (let links = 0; links < 40; links++) {
    const link = yield* Effect.orElseSucceed(fs.readLink(target), () => undefined)
    if (link === undefined) return target
    target = path.resolve(path.dirname(target), link)
  }
  return yield* unwritable(file, "its links go round in a circle")
})
