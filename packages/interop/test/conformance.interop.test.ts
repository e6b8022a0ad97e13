import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as DockerRegistry from "../src/DockerRegistry.ts"
import * as EffectOci from "../src/EffectOci.ts"
import * as Peer from "../src/Peer.ts"

/** What `serve` is told for each storage, given a folder of its own. */
const storages: Record<string, (folder: string) => ReadonlyArray<string>> = {
  memory: () => [],
  disk: (folder) => ["--dir", folder]
}

/** What `serve` is told for each way to ask who is there, given a file with a password. */
const asking: Record<string, (htpasswd: string) => ReadonlyArray<string>> = {
  nobody: () => [],
  basic: (htpasswd) => ["--htpasswd", htpasswd],
  bearer: (htpasswd) => ["--htpasswd", htpasswd, "--auth", "bearer"]
}

/** The least that a run has to have tried: far fewer, and something was switched off. */
const least = { "1.1": 850, dev: 970 } as const

/** What the specification asks for and the suite tries, none of which may be left out. */
const rows = [
  "Blob chunked",
  "Blob delete atomic",
  "Blob get range",
  "Blob head",
  "Blob mount",
  "Blob post only",
  "Blob post put",
  "Blob streaming",
  "Manifest delete atomic",
  "Manifest head by digest",
  "Manifest put with subject",
  "Ping",
  "Referrers",
  "Tag delete atomic",
  "Tag listing"
]
const newer = ["Blob upload cancel", "Manifest put with tag params"]

/** A number of the suite's report; what it does not write down is none. */
const count = (suite: string, name: string): number => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0)

const conformance = Effect.fnUntraced(function*(
  storage: (folder: string) => ReadonlyArray<string>,
  ask: (htpasswd: string) => ReadonlyArray<string>,
  version: keyof typeof least
) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "conformance-" })
  yield* fs.makeDirectory(`${folder}/data`)
  yield* fs.writeFileString(`${folder}/htpasswd`, DockerRegistry.htpasswd)
  const host = yield* EffectOci.serve([...storage(`${folder}/data`), ...ask(`${folder}/htpasswd`)])
  // It also exits with 0 where it could not start, so its reports are what counts.
  const run = yield* Effect.exit(Peer.run("conformance", [], {
    cwd: folder,
    env: {
      OCI_REGISTRY: host,
      OCI_TLS: "disabled",
      OCI_REPO1: "conformance/repo1",
      OCI_REPO2: "conformance/repo2",
      OCI_VERSION: version,
      OCI_USERNAME: DockerRegistry.login.username,
      OCI_PASSWORD: DockerRegistry.login.password,
      OCI_RESULTS_DIR: folder
    }
  }))
  const suite = /<testsuite [^>]*>/.exec(yield* fs.readFileString(`${folder}/junit.xml`))?.[0] ?? ""
  const results = yield* fs.readFileString(`${folder}/results.yaml`)
  const numbers = {
    tests: count(suite, "tests"),
    failures: count(suite, "failures"),
    errors: count(suite, "errors"),
    skipped: count(suite, "skipped"),
    disabled: count(suite, "disabled")
  }
  const failed = [...results.matchAll(/^ {2}(.+): (Fail|Error)$/gm)].map(([, name]) => name)
  const passed = new Set([...results.matchAll(/^ {2}(.+): Pass$/gm)].map(([, name]) => name))
  const wanted = version === "dev" ? [...rows, ...newer] : rows
  return { run, numbers, failed, missing: wanted.filter((name) => !passed.has(name)) }
})

layer(NodeServices.layer, { excludeTestServices: true })("effect-oci serve", (it) => {
  for (const [storage, serve] of Object.entries(storages)) {
    for (const [who, ask] of Object.entries(asking)) {
      for (const version of ["1.1", "dev"] as const) {
        it.effect(`SRV-02: passes the conformance suite ${version}: ${storage}, asking ${who}`, () =>
          Effect.gen(function*() {
            const { failed, missing, numbers, run } = yield* conformance(serve, ask, version)
            yield* Console.log(`conformance ${version}, ${storage}, asking ${who}: ${JSON.stringify(numbers)}`)
            assert.deepStrictEqual({ failed, missing }, { failed: [], missing: [] })
            assert.deepStrictEqual([numbers.failures, numbers.errors, run._tag], [0, 0, "Success"])
            assert.isAtLeast(numbers.tests, least[version])
          }))
      }
    }
  }
})
