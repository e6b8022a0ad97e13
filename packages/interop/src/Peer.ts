/**
 * The registries and clients of others that effect-oci is tried against: which versions, where they are, how they run.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"

/**
 * Programs that Debian packages, under the package's name. Their versions are Debian's.
 */
export const debian = ["docker-registry", "skopeo"] as const

/**
 * Programs that `go install` builds, at pinned versions: module, folder in it, version.
 */
export const go = {
  crane: ["github.com/google/go-containerregistry", "/cmd/crane", "v0.22.1"],
  regctl: ["github.com/regclient/regclient", "/cmd/regctl", "v0.11.7"],
  oras: ["oras.land/oras", "/cmd/oras", "v1.3.6"],
  // distribution 3, the successor of Debian's docker-registry
  registry: ["github.com/distribution/distribution/v3", "/cmd/registry", "v3.0.0"],
  "ggcr-registry": ["github.com/google/go-containerregistry", "/cmd/registry", "v0.22.1"],
  conformance: ["github.com/opencontainers/distribution-spec/conformance", "", "v0.0.0-20260831232431-97274622c111"]
} as const

/**
 * A program built by Go.
 */
export type GoName = keyof typeof go

/**
 * A program that effect-oci is tried against.
 */
export type Name = typeof debian[number] | GoName

/**
 * A peer that could not be had or did not do what it was asked to.
 */
export class PeerError extends Data.TaggedError("PeerError")<{
  readonly peer: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.peer}: ${this.detail}`
  }
}

/**
 * Where the programs built by Go are kept between runs; git ignores it.
 */
export const bin = fileURLToPath(new URL("../.cache/bin/", import.meta.url))

/**
 * The program to start for a peer.
 */
export const locate = (name: Name): string => Object.hasOwn(go, name) ? `${bin}${name}` : name

/**
 * Runs a program to its end: what it printed, or a `PeerError` with what it complained of.
 */
export const exec = Effect.fnUntraced(
  function*(command: string, args: ReadonlyArray<string>, options: ChildProcess.CommandOptions = {}) {
    const handle = yield* ChildProcess.make(command, args, {
      stdin: "ignore",
      detached: false,
      extendEnv: true,
      ...options
    })
    const text = (stream: typeof handle.stdout) => Stream.mkString(Stream.decodeText(stream))
    const [stdout, stderr] = yield* Effect.all([text(handle.stdout), text(handle.stderr)], { concurrency: 2 })
    const exitCode = yield* handle.exitCode
    if (exitCode === 0) return stdout
    return yield* new PeerError({
      peer: [command.slice(command.lastIndexOf("/") + 1), ...args].join(" "),
      detail: `exit code ${exitCode}: ${stderr.trim() || stdout.trim()}`
    })
  },
  Effect.scoped
)

/**
 * Runs a peer to its end.
 */
export const run = (name: Name, args: ReadonlyArray<string>, options?: ChildProcess.CommandOptions) =>
  exec(locate(name), args, options)
