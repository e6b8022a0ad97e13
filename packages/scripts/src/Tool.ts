/**
 * The command line tools that npm installed at the root; `npm run` and `npx` put them on the PATH.
 */
import * as Effect from "effect/Effect"
import * as ChildProcess from "effect/process/ChildProcess"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import * as Stream from "effect/Stream"
import { CheckFailed } from "./Problem.ts"

/**
 * Runs a tool on this terminal and fails when it does.
 */
export const run = Effect.fnUntraced(function*(name: string, ...args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const exitCode = yield* spawner.exitCode(
    ChildProcess.make(name, args, { stdin: "ignore", stdout: "inherit", stderr: "inherit", detached: false })
  )
  if (exitCode !== 0) return yield* new CheckFailed({ message: `${name} exited with ${exitCode}` })
})

/**
 * Runs a tool and gives the exit code and what it printed.
 */
export const output = (name: string, ...args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    const handle = yield* ChildProcess.make(name, args, { stdin: "ignore", detached: false })
    const text = yield* Stream.mkString(Stream.decodeText(handle.all))
    return { exitCode: yield* handle.exitCode, text }
  }))
