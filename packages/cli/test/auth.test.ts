import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../src/bin.ts", import.meta.url))

const run = Effect.fnUntraced(
  function*(args: ReadonlyArray<string>, env: Record<string, string>, stdin = "") {
    const handle = yield* ChildProcess.make(process.execPath, ["--conditions=@effect-oci/source", bin, ...args], {
      stdin: Stream.succeed(new TextEncoder().encode(stdin)),
      extendEnv: true,
      env: { NO_COLOR: "1", ...env }
    })
    const text = (stream: typeof handle.stdout) => Stream.mkString(Stream.decodeText(stream))
    const [stdout, stderr] = yield* Effect.all([text(handle.stdout), text(handle.stderr)], { concurrency: 2 })
    return { stdout, stderr, code: Number(yield* handle.exitCode) }
  },
  Effect.scoped
)

describe("effect-oci auth", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("keeps a password that is no argument, finds it, and forgets it", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const DOCKER_CONFIG = yield* fs.makeTempDirectoryScoped()
        const show = (registry: string) =>
          Effect.map(run(["auth", "show", registry], { DOCKER_CONFIG }), ({ stdout }) => JSON.parse(stdout))
        const quiet = { stdout: "", stderr: "", code: 0 }
        const stdin = yield* run(
          ["auth", "login", "ghcr.io", "--username", "ann", "--password-stdin"],
          { DOCKER_CONFIG },
          "s3cret\n"
        )
        assert.deepStrictEqual(stdin, quiet)
        const environment = yield* run(
          ["auth", "login", "quay.io/team", "--username", "ben"],
          { DOCKER_CONFIG, EFFECT_OCI_PASSWORD: "s3cret" }
        )
        assert.deepStrictEqual(environment, quiet)
        assert.deepStrictEqual(JSON.parse(yield* fs.readFileString(`${DOCKER_CONFIG}/config.json`)), {
          auths: { "ghcr.io": { auth: btoa("ann:s3cret") }, "quay.io/team": { auth: btoa("ben:s3cret") } }
        })
        assert.deepStrictEqual(yield* show("ghcr.io"), { resource: "ghcr.io", kind: "Basic", username: "ann" })
        assert.deepStrictEqual(
          yield* show("quay.io/team/app"),
          { resource: "quay.io/team/app", kind: "Basic", username: "ben" }
        )
        assert.deepStrictEqual(yield* run(["auth", "logout", "ghcr.io"], { DOCKER_CONFIG }), quiet)
        assert.deepStrictEqual(yield* show("ghcr.io"), { resource: "ghcr.io", kind: "Anonymous", username: null })
        const cloud = { DOCKER_CONFIG, GITHUB_TOKEN: "s3cret", GITHUB_ACTOR: "octo", EFFECT_OCI_KEYCHAINS: "github" }
        assert.deepStrictEqual(
          JSON.parse((yield* run(["auth", "show", "ghcr.io/octo/app"], cloud)).stdout),
          { resource: "ghcr.io/octo/app", kind: "Basic", username: "octo" }
        )
        const none = yield* run(["auth", "login", "ghcr.io", "--username", "ann"], { DOCKER_CONFIG })
        assert.strictEqual(none.code, 1)
        assert.match(none.stderr, /--password-stdin, or in EFFECT_OCI_PASSWORD/)
      }), 60_000)
  })
})
