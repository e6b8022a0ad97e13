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
import * as Stream from "effect/Stream"
import { AuthnError } from "./AuthnError.ts"
import * as Credential from "./Credential.ts"
import * as CredentialKey from "./CredentialKey.ts"

/**
 * Options for `get`.
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

const outputLimit = 1024 * 1024

// What follows `docker-credential-`. A path in it would start a program from anywhere.
const validName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

const notFound = "credentials not found in native keychain"

/**
 * Asks a helper for the credentials of a registry. A helper that knows none gives `Credential.anonymous`.
 *
 * **Details**
 *
 * The helper is found on the `PATH` and started without a shell. What it writes to stderr is shown to nobody: some write
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
  const source = `docker-credential-${name.slice(0, 64)}`
  const failed = (reason: AuthnError["reason"], detail: string) => new AuthnError({ source, reason, detail })
  if (!validName.test(name)) return yield* failed("HelperName", "not a name that a program may have")
  const timeout = Duration.fromInputUnsafe(options?.timeout ?? "30 seconds")
  const { code, text } = yield* run(`docker-credential-${name}`, CredentialKey.dockerName(registry)).pipe(
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
  if (code !== 0) {
    return text.trim() === notFound
      ? Credential.anonymous
      : yield* failed("HelperFailed", `it ended with exit code ${code}`)
  }
  const answer = parse(text)
  return answer ?? (yield* failed("HelperOutput", "its answer is not an object with Username and Secret"))
})

const run = (
  command: string,
  input: string
): Effect.Effect<
  { readonly code: number; readonly text: string },
  PlatformError.PlatformError | "flood",
  ChildProcessSpawner
> =>
  Effect.scoped(Effect.gen(function*() {
    const spawner = yield* ChildProcessSpawner
    const child = yield* spawner.spawn(ChildProcess.make(command, ["get"], {
      stdin: Stream.succeed(new TextEncoder().encode(input)),
      stdout: "pipe",
      stderr: "ignore",
      shell: false,
      extendEnv: true
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
