/**
 * The registries that the bench runs against: distribution's, ggcr's and our own, each a process of its own.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { type AddressInfo, connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { RunFailed } from "./Measure.ts"
import * as Tools from "./Tools.ts"

export interface Registry {
  readonly host: string
  readonly pid: number
  /** How many requests it has answered, where it says so. */
  readonly requests: () => number | undefined
}

/** A folder that is gone with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(path.join(tmpdir(), "bench-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Writes a file. */
export const write = (file: string, text: string): void => writeFileSync(file, text)

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

const answers = (port: number): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const socket = connect(port, "127.0.0.1")
    const tell = (answer: boolean) => () => {
      socket.destroy()
      resume(Effect.succeed(answer))
    }
    socket.once("connect", tell(true)).once("error", tell(false))
  })

/** Starts a registry on a port and waits until it takes connections. Counts the lines of its access log. */
const start = Effect.fnUntraced(function*(
  argv: ReadonlyArray<string>,
  port: number,
  isRequest?: RegExp
): Effect.fn.Return<Registry, RunFailed, Scope.Scope> {
  let requests = 0
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn("env", ["OTEL_TRACES_EXPORTER=none", ...argv], { stdio: ["ignore", "pipe", "pipe"] })
      child.on("error", () => {})
      for (const out of [child.stdout, child.stderr]) {
        let rest = ""
        out.on("data", (bytes) => {
          const lines = (rest + String(bytes)).split("\n")
          rest = lines.pop() ?? ""
          if (isRequest !== undefined) requests += lines.filter((line) => isRequest.test(line)).length
        })
      }
      return child
    }),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )
  for (let tries = 0; !(yield* answers(port)); tries++) {
    if (tries === 100) {
      return yield* new RunFailed({ program: path.basename(argv[0]!), detail: `does not listen on port ${port}` })
    }
    yield* Effect.sleep("100 millis")
  }
  return {
    host: `127.0.0.1:${port}`,
    pid: child.pid!,
    requests: () => isRequest === undefined ? undefined : requests
  }
})

/** distribution 3, on disk. */
export const distribution = Effect.gen(function*() {
  const root = yield* folder
  const port = yield* freePort
  mkdirSync(path.join(root, "data"))
  const config = path.join(root, "config.yml")
  // JSON is YAML
  writeFileSync(
    config,
    JSON.stringify({
      version: "0.1",
      log: { level: "error", accesslog: { disabled: false } },
      storage: {
        filesystem: { rootdirectory: path.join(root, "data") },
        maintenance: { uploadpurging: { enabled: false } }
      },
      http: { addr: `127.0.0.1:${port}`, secret: "bench" }
    })
  )
  return yield* start([Tools.built("registry"), "serve", config], port, /"(?:GET|HEAD|POST|PUT|PATCH|DELETE) \S+ HTTP/)
})

/** ggcr's, in memory. */
export const ggcr = Effect.flatMap(
  freePort,
  (port) => start([Tools.built("ggcr-registry"), "-port", String(port)], port)
)

const keepingNothing = (program: string) =>
  Effect.flatMap(freePort, (port) => start([process.execPath, program, String(port)], port))

/** None: `node:http` that keeps nothing. */
export const bare = keepingNothing(Tools.bare)

/** None: Effect's own server with an app that keeps nothing. */
export const bareEffect = keepingNothing(Tools.bareEffect)

const serve = (port: number, flags: ReadonlyArray<string>, isRequest?: RegExp) =>
  start([process.execPath, Tools.bin, "serve", "--port", String(port), ...flags], port, isRequest)

/** Ours, in memory. */
export const inMemory = Effect.flatMap(freePort, (port) => serve(port, []))

/** Ours, in memory, with a log: a request takes a tenth of the processor time that it takes of distribution. */
export const light = Effect.flatMap(freePort, (port) => serve(port, ["--log", "json"], /"method":/))

/** Ours, on disk: it brings what it has to the disk before it says so, as distribution does. */
export const onDisk = Effect.gen(function*() {
  const root = yield* folder
  return yield* serve(yield* freePort, ["--dir", path.join(root, "data")])
})
