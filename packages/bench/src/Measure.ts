/**
 * What a program costs. Processor time and time are bash's own `time`, which is the kernel's account of the process and all it
 * has waited for; peak memory is `VmHWM` of /proc, read while it runs.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"

/** User and system time and time in seconds, peak memory in MB. */
export interface Cost {
  readonly cpu: number
  readonly wall: number
  readonly memory: number
}

/** A program that failed, and what it said last. */
export class RunFailed extends Data.TaggedError("RunFailed")<{
  readonly program: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.program}: ${this.detail}`
  }
}

const read = (file: string): string => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

/** Peak memory of a process so far, in MB. */
export const peakOf = (pid: number): number => {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`)) ?? []
  return kilobytes === undefined ? 0 : Number(kilobytes) / 1024
}

/** User and system time of a process so far, in seconds; /proc counts in hundredths. */
export const cpuOf = (pid: number): number => {
  const fields = read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? []
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100
}

const childOf = (pid: number): number | undefined => {
  const [child] = read(`/proc/${pid}/task/${pid}/children`).trim().split(" ")
  return child === undefined || child === "" ? undefined : Number(child)
}

const script = `LC_ALL=C; TIMEFORMAT="cost %R %U %S"; time "$@" >/dev/null 2>"$0"`

/** Runs a program to its end. */
export const program = (
  argv: ReadonlyArray<string>,
  options?: { readonly env?: Record<string, string> | undefined } | undefined
): Effect.Effect<Cost, RunFailed> =>
  Effect.callback<Cost, RunFailed>((resume) => {
    const folder = mkdtempSync(path.join(tmpdir(), "bench-"))
    const said = path.join(folder, "stderr")
    const variables = Object.entries(options?.env ?? {}).map(([name, value]) => `${name}=${value}`)
    const bash = spawn("bash", ["-c", script, said, "env", ...variables, ...argv], {
      stdio: ["ignore", "ignore", "pipe"]
    })
    let text = ""
    let memory = 0
    let child: number | undefined
    // Peak memory only grows: what is missed is what was added in the last moments.
    const timer = setInterval(() => {
      child ??= childOf(bash.pid!)
      if (child !== undefined) memory = Math.max(memory, peakOf(child))
    }, 5)
    bash.stderr.on("data", (bytes) => text += String(bytes))
    bash.on("close", (code) => {
      clearInterval(timer)
      const complaint = read(said).trim().split("\n").slice(-3).join(" ")
      rmSync(folder, { recursive: true, force: true })
      const [, wall, user, system] = /cost ([\d.]+) ([\d.]+) ([\d.]+)/.exec(text) ?? []
      resume(
        code === 0 && wall !== undefined
          ? Effect.succeed({ cpu: Number(user) + Number(system), wall: Number(wall), memory })
          : Effect.fail(
            new RunFailed({ program: path.basename(argv[0] ?? ""), detail: `exit code ${code}: ${complaint}` })
          )
      )
    })
    return Effect.sync(() => void bash.kill())
  })
