/**
 * Docker's credential helpers: programs named `docker-credential-…` that keep secrets.
 *
 * The protocol is that of https://github.com/docker/docker-credential-helpers
 *
 * @since 1.0.0
 */
import type * as Registry from "@effect-oci/name/Registry"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as PlatformError from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { AuthnError } from "./AuthnError.ts"
import * as Credential from "./Credential.ts"
import * as CredentialKey from "./CredentialKey.ts"
import * as Env from "./internal/env.ts"
import * as Kept from "./internal/kept.ts"

/**
 * Asks a helper for the credentials of a registry.
 *
 * @category models
 * @since 1.0.0
 */
export interface Ask {
  (helper: string, registry: Registry.Registry): Effect.Effect<Credential.Credential, AuthnError>
}

/**
 * Options for talking to a helper.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * How long a helper may take.
   *
   * @default "30 seconds"
   */
  readonly timeout?: Duration.Input | undefined
}

/**
 * Options for `makeAsk`.
 *
 * @category options
 * @since 1.0.0
 */
export interface AskOptions extends Options {
  /**
   * How long an answer is kept.
   *
   * @default "5 minutes"
   */
  readonly keep?: Duration.Input | undefined
  /**
   * How long it is kept that a helper failed.
   *
   * @default "10 seconds", and ten times its limit for one that took too long, so that it does not hold up each request
   */
  readonly keepFailure?: Duration.Input | undefined
}

const outputLimit = 1024 * 1024

// What follows `docker-credential-`. A path in it would start a program from anywhere.
const validName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

const notFound = "credentials not found in native keychain"

const program = (name: string) => `docker-credential-${name.slice(0, 64)}`

/**
 * Asks a helper for the credentials of a registry. A helper that knows none gives `Credential.anonymous`.
 *
 * **Details**
 *
 * The helper is found on the `PATH`, never in the current folder, and started without a shell. What it writes to stderr is shown to nobody: some write
 * secrets there.
 *
 * @category asking
 * @since 1.0.0
 */
export const get = Effect.fn("CredentialHelper.get")(function*(
  name: string,
  registry: Registry.Registry,
  options?: Options | undefined
): Effect.fn.Return<Credential.Credential, AuthnError, ChildProcessSpawner> {
  const text = yield* run(name, "get", CredentialKey.dockerName(registry), options)
  if (text === undefined) return Credential.anonymous
  return parse(text) ?? (yield* new AuthnError({
    source: program(name),
    reason: "HelperOutput",
    detail: "its answer is not an object with Username and Secret"
  }))
})

/**
 * Gives a helper the credentials of a registry to keep.
 *
 * @category keeping
 * @since 1.0.0
 */
export const store = Effect.fn("CredentialHelper.store")(function*(
  name: string,
  registry: Registry.Registry,
  username: string,
  secret: Redacted.Redacted,
  options?: Options | undefined
): Effect.fn.Return<void, AuthnError, ChildProcessSpawner> {
  const ServerURL = CredentialKey.dockerName(registry)
  yield* run(
    name,
    "store",
    JSON.stringify({ ServerURL, Username: username, Secret: Redacted.value(secret) }),
    options
  )
})

/**
 * Lets a helper forget the credentials of a registry, if it knows any.
 *
 * @category keeping
 * @since 1.0.0
 */
export const erase = Effect.fn("CredentialHelper.erase")(function*(
  name: string,
  registry: Registry.Registry,
  options?: Options | undefined
): Effect.fn.Return<void, AuthnError, ChildProcessSpawner> {
  yield* run(name, "erase", CredentialKey.dockerName(registry), options)
})

/**
 * Asks helpers, each once for a registry, however many wait for the answer; and again when the answer is old.
 *
 * @category constructors
 * @since 1.0.0
 */
export const makeAsk = (options?: AskOptions | undefined): Effect.Effect<Ask, never, ChildProcessSpawner> =>
  Effect.gen(function*() {
    const services = yield* Effect.context<ChildProcessSpawner>()
    const answers = yield* Kept.make(
      ([name, registry]: readonly [string, Registry.Registry]) =>
        Effect.provideContext(get(name, registry, options), services),
      {
        keep: () => options?.keep ?? "5 minutes",
        keepFailure: ({ reason }) =>
          options?.keepFailure ?? (reason === "HelperTimedOut" ? Duration.times(limitOf(options), 10) : "10 seconds")
      }
    )
    return (name, registry) => answers(`${name} ${registry.name}`, [name, registry])
  })

const limitOf = (options: Options | undefined): Duration.Duration =>
  Duration.fromInputUnsafe(options?.timeout ?? "30 seconds")

/** What a helper printed, or `undefined` where it says that it knows nobody. */
const run = Effect.fnUntraced(function*(
  name: string,
  action: "get" | "store" | "erase",
  input: string,
  options: Options | undefined
): Effect.fn.Return<string | undefined, AuthnError, ChildProcessSpawner> {
  const failed = (reason: AuthnError["reason"], detail: string) =>
    new AuthnError({ source: program(name), reason, detail })
  if (!validName.test(name)) return yield* failed("HelperName", "not a name that a program may have")
  const timeout = limitOf(options)
  const { code, text } = yield* spawn(program(name), action, input).pipe(
    Effect.mapError((error) =>
      error === "flood"
        ? failed("HelperOutput", "it wrote more than 1 MiB")
        : error.reason._tag === "NotFound"
        ? failed("HelperMissing", "there is no such program on the PATH: install it, or take it out of the config file")
        : failed("HelperFailed", error.reason._tag)
    ),
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () => failed("HelperTimedOut", `no answer for ${Duration.format(timeout)}`)
    })
  )
  if (code === 0) return text
  if (text.trim() === notFound) return undefined
  return yield* failed("HelperFailed", `it ended with exit code ${code}`)
})

/**
 * The `PATH` without the folders that depend on where somebody is, if it has some: there, anything may lie. One without any
 * whole name is not POSIX's.
 */
const wholePath = Effect.map(Effect.orElseSucceed(Env.variable("PATH"), () => undefined), (path = "") => {
  const folders = path.split(":")
  const whole = folders.filter((folder) => folder.startsWith("/"))
  return whole.length === 0 || whole.length === folders.length ? undefined : whole.join(":")
})

const spawn = (
  command: string,
  action: string,
  input: string
): Effect.Effect<
  { readonly code: number; readonly text: string },
  PlatformError.PlatformError | "flood",
  ChildProcessSpawner
> =>
  Effect.scoped(Effect.gen(function*() {
    const spawner = yield* ChildProcessSpawner
    const path = yield* wholePath
    const child = yield* spawner.spawn(ChildProcess.make(command, [action], {
      stdin: Stream.succeed(new TextEncoder().encode(input)),
      stdout: "pipe",
      stderr: "ignore",
      shell: false,
      extendEnv: true,
      ...(path === undefined ? {} : { env: { PATH: path } }),
      // One that does not end when it is asked to is ended.
      forceKillAfter: "1 second"
    }))
    const decoder = new TextDecoder()
    let text = ""
    let size = 0
    yield* Stream.runForEach(child.stdout, (chunk) => {
      size += chunk.length
      text += decoder.decode(chunk, { stream: true })
      return size > outputLimit ? Effect.fail("flood" as const) : Effect.void
    })
    return { code: Number(yield* child.exitCode), text }
  }))

const parse = (text: string): Credential.Credential | undefined => {
  let answer: unknown
  try {
    answer = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof answer !== "object" || answer === null) return undefined
  const { Secret, Username } = answer as { readonly Secret?: unknown; readonly Username?: unknown }
  if (typeof Username !== "string" || typeof Secret !== "string") return undefined
  if (Secret === "") return Credential.anonymous
  return Username === "<token>" ? Credential.identityToken(Secret) : Credential.basic(Username, Secret)
}
