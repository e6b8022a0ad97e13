/**
 * The `effect-oci` command as a program of its own, and what it needed.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /**
   * The most memory that the process held, in MiB.
   */
  readonly peakMemory: number
}

const bin = fileURLToPath(new URL("../../cli/bin.cjs", import.meta.url))

/** Writes down the peak when the process ends. */
const hook = (file: string) =>
  `data:text/javascript,${
    encodeURIComponent(
      `import fs from "node:fs"; process.on("exit", () => fs.writeFileSync(${
        JSON.stringify(file)
      }, String(process.resourceUsage().maxRSS)))`
    )
  }`

/**
 * Runs the command to its end, whatever that is.
 */
export const run = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  options?: { readonly env?: Record<string, string> | undefined }
) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  const file = `${folder}/peak`
  const handle = yield* ChildProcess.make(process.execPath, ["--import", hook(file), bin, ...args], {
    stdin: "ignore",
    detached: false,
    extendEnv: true,
    // The credentials of whoever runs the tests are not asked for.
    env: { DOCKER_CONFIG: folder, ...options?.env }
  })
  const text = (stream: typeof handle.stdout) => Stream.mkString(Stream.decodeText(stream))
  const [stdout, stderr] = yield* Effect.all([text(handle.stdout), text(handle.stderr)], { concurrency: 2 })
  const code = Number(yield* handle.exitCode)
  const peak = yield* Effect.orElseSucceed(fs.readFileString(file), () => "0")
  return { code, stdout, stderr, peakMemory: Math.round(Number(peak) / 1024) } satisfies Ran
}, Effect.scoped)

/**
 * `effect-oci serve` on a free port, until the scope is closed or it is killed; gives its address and its process.
 */
export const start = Effect.fnUntraced(function*(args: ReadonlyArray<string> = []) {
  const handle = yield* ChildProcess.make(process.execPath, [bin, "serve", "--port", "0", ...args], {
    stdin: "ignore",
    detached: false,
    extendEnv: true,
    forceKillAfter: "5 seconds"
  })
  const line = yield* Stream.runHead(Stream.splitLines(Stream.decodeText(handle.stdout)))
  return line._tag === "Some"
    ? { host: line.value, handle }
    : yield* Effect.die(new Error("effect-oci serve printed no address"))
})

/**
 * `effect-oci serve` on a free port, until the scope is closed; gives its address.
 */
export const serve = (args?: ReadonlyArray<string>) => Effect.map(start(args), ({ host }) => host)
