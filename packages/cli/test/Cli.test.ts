import * as Keychain from "@effect-oci/authn/Keychain"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import type * as Digest from "@effect-oci/name/Digest"
import * as NodeOci from "@effect-oci/node/NodeOci"
import * as NodeRegistry from "@effect-oci/node/NodeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import { Remote } from "@effect-oci/remote/Remote"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../src/bin.ts", import.meta.url))
const entry = fileURLToPath(new URL("../bin.cjs", import.meta.url))
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

/** Node as a process of its own. */
const node = Effect.fnUntraced(function*(args: ReadonlyArray<string>, env: Record<string, string> = {}) {
  const handle = yield* ChildProcess.make(process.execPath, args, {
    stdin: "ignore",
    extendEnv: true,
    env: { DOCKER_CONFIG: "/nonexistent", NO_COLOR: "1", ...env }
  })
  const text = (stream: typeof handle.stdout) => Stream.mkString(Stream.decodeText(stream))
  const [stdout, stderr] = yield* Effect.all([text(handle.stdout), text(handle.stderr)], { concurrency: 2 })
  return { stdout, stderr, code: Number(yield* handle.exitCode) }
}, Effect.scoped)

/** The command, run from its sources. */
const run = (args: ReadonlyArray<string>, env?: Record<string, string>) =>
  node(["--conditions=@effect-oci/source", bin, ...args], env)

/** Serves with the command as long as the scope is open, and gives the address. */
const serving = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const handle = yield* ChildProcess.make(
    process.execPath,
    ["--conditions=@effect-oci/source", bin, "serve", ...args],
    { stdin: "ignore", extendEnv: true, env: { DOCKER_CONFIG: "/nonexistent", NO_COLOR: "1" } }
  )
  return Option.getOrThrow(yield* Stream.runHead(Stream.splitLines(Stream.decodeText(handle.stdout))))
})

const seeded = Effect.fnUntraced(function*(options?: NodeRegistry.Options) {
  const host = yield* NodeRegistry.serve(options)
  const remote = yield* Remote
  const store = MemoryStore.make("memory")
  const layer = yield* store.add(MediaType.ociLayer, new Uint8Array(100_000).fill(1))
  const config = yield* store.add(MediaType.ociConfig, json({ os: "linux", architecture: "amd64" }))
  const descriptor = yield* store.add(MediaType.ociManifest, json({ schemaVersion: 2, config, layers: [layer] }))
  if (options?.auth === undefined) yield* remote.copy({ store, descriptor }, `${host}/app:1`)
  return { host, store, descriptor, layer, config }
})

const text = (store: MemoryStore.MemoryStore, digest: Digest.Digest) =>
  new TextDecoder().decode(store.contents.get(digest)?.bytes)

describe("effect-oci", () => {
  layer(NodeOci.layerWith(Keychain.layerAnonymous), { excludeTestServices: true })((it) => {
    it.effect("prints data on stdout, and nothing else anywhere", () =>
      Effect.gen(function*() {
        const { config, descriptor, host, layer, store } = yield* seeded()
        const print = (...args: ReadonlyArray<string>) =>
          Effect.map(run(args), ({ code, stderr, stdout }) => {
            assert.deepStrictEqual([code, stderr], [0, ""])
            return stdout
          })
        assert.strictEqual(yield* print("digest", `${host}/app:1`), `${descriptor.digest}\n`)
        assert.strictEqual(yield* print("manifest", `${host}/app:1`), text(store, descriptor.digest))
        assert.strictEqual(yield* print("config", `${host}/app:1`), text(store, config.digest))
        assert.strictEqual((yield* print("blob", `${host}/app@${layer.digest}`)).length, layer.size)
        assert.strictEqual(yield* print("copy", `${host}/app:1`, `${host}/b:2`), `${host}/b:2@${descriptor.digest}\n`)
        assert.strictEqual(yield* print("tag", `${host}/b:2`, "3"), `${descriptor.digest}\n`)
        assert.strictEqual(yield* print("ls", `${host}/b`), "2\n3\n")
        assert.strictEqual(yield* print("untag", `${host}/b:2`), "")
        assert.strictEqual(yield* print("ls", `${host}/b`), "3\n")
        assert.strictEqual(yield* print("delete", `${host}/b@${descriptor.digest}`), "")
        assert.strictEqual(yield* print("ls", `${host}/b`), "")
      }), 300_000)

    it.effect("reads references, one line of JSON for each", () =>
      Effect.gen(function*() {
        const good = yield* run(["ref", "ubuntu", "ghcr.io/a/b@sha256:" + "a".repeat(64)])
        assert.strictEqual(good.code, 0)
        assert.deepStrictEqual(good.stdout.trim().split("\n").map((line) => JSON.parse(line)), [
          { reference: "ubuntu", registry: "docker.io", repository: "library/ubuntu", tag: "latest", digest: null },
          {
            reference: "ghcr.io/a/b@sha256:" + "a".repeat(64),
            registry: "ghcr.io",
            repository: "a/b",
            tag: null,
            digest: "sha256:" + "a".repeat(64)
          }
        ])
        const bad = yield* run(["ref", "--", "-x", "ubuntu"])
        assert.strictEqual(bad.code, 1)
        assert.deepStrictEqual(
          bad.stdout.trim().split("\n").map((line) => Object.keys(JSON.parse(line))),
          [["reference", "error"], ["reference", "registry", "repository", "tag", "digest"]]
        )
      }), 300_000)

    it.effect("says that Node is too old, before anything of it is asked for", () =>
      Effect.gen(function*() {
        const old = "data:text/javascript,Object.defineProperty(process, 'versions', { value: { node: '22.18.0' } })"
        const { code, stderr, stdout } = yield* node(["--import", old, entry, "ref", "ubuntu"])
        assert.strictEqual(stderr, "effect-oci: Node 22.18.0 is too old\n  It needs 22.19 or later.\n")
        assert.deepStrictEqual([code, stdout], [1, ""])
      }), 60_000)

    it.effect("ends bad input in one line, without a trace and without a tag", () =>
      Effect.gen(function*() {
        const { host } = yield* seeded()
        const guarded = yield* seeded({ auth: { scheme: "bearer", users: { ann: "s3cret" } } })
        const { host: tokenless } = yield* seeded({
          auth: { scheme: "bearer", users: {} },
          faults: [Fault.status(404).on("GET", "/token").always()]
        })
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        yield* fs.writeFileString(`${folder}/config.json`, "{ not json")
        for (const file of ["cert.pem", "key.pem"]) yield* fs.writeFileString(`${folder}/${file}`, "none")
        const table: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp, Record<string, string>?]> = [
          [["digest", "A/b"], /^effect-oci: Invalid repository "A\/b": must be lowercase \(did you mean "a\/b"\?\)$/],
          [["digest", "registry.invalid/a"], /^effect-oci: GET https:\/\/registry\.invalid\/v2\/: .*ENOTFOUND/],
          [["digest", `${host}/nope`], /^effect-oci: HEAD .*: 404 not found$/],
          [["copy", `${host}/app:1`, `${guarded.host}/app:1`], /^effect-oci: copy .* stopped at the target: .*401/],
          [["blob", `${host}/app@sha256:${"0".repeat(64)}`], /^effect-oci: HEAD .*: 404/],
          [["blob", `${host}/app:1`], /a blob is named by its digest/],
          [["config", `${host}/app:1`, "--platform", "nonsense"], /is not os\/architecture/],
          [["push", `${folder}/none`, `${host}/x:1`], /^effect-oci: read at .*not found$/],
          [["pull", `${host}/app:1`, folder], /the folder is not empty and not an OCI layout/],
          [["digest", `${guarded.host}/app`], /is not JSON/, { DOCKER_CONFIG: folder }],
          [["digest", `${tokenless}/app:1`], /^effect-oci: GET http:.*\/token\?.*: the token server answers 404/],
          [["copy", "a"], /^effect-oci: Missing required argument: DST$/],
          [["digest", "--nope", "a"], /^effect-oci: Unrecognized flag: --nope/],
          [["copy", "--concurrency", "0", "a", "b"], /^effect-oci: .*--concurrency.*Expected: 1 or more$/],
          [["serve", "--port", "99999"], /^effect-oci: .*--port.*Expected: 0 to 65535$/],
          // Else what is being pushed would go before its manifest comes.
          [["serve", "--prune-after", "0"], /^effect-oci: .*--prune-after.*Expected: 1 or more$/],
          [["serve", "--prune-after", "7"], /^effect-oci: --prune-after is of use with --dir only$/],
          [["serve", "--no-sync"], /^effect-oci: --no-sync is of use with --dir only$/],
          [["serve", "--answer-for", "http://a.example"], /^effect-oci: Invalid registry .*must not have a scheme/],
          [["serve", "--port", host.replace(/^.*:/, "")], /^effect-oci: .*EADDRINUSE: address already in use/],
          [["serve", "--tls", folder], /^effect-oci: the certificate for TLS or its key cannot be used: /]
        ]
        for (const [args, pattern, env] of table) {
          const { code, stderr, stdout } = yield* run(args, env)
          const lines = stderr.trimEnd().split("\n")
          assert.match(lines[0]!, pattern, args.join(" "))
          assert.isAtMost(lines.length, 2, stderr)
          assert.notMatch(stderr, /\n\s+at /)
          assert.deepStrictEqual([code, stdout], [1, ""], args.join(" "))
        }
      }), 120_000)

    it.effect(
      "serve --proxy lists what its upstream lists, by endpoint or by tag, and nothing once that is gone",
      () =>
        Effect.gen(function*() {
          const remote = yield* Remote
          for (const referrers of [true, false]) {
            const upstream = yield* Scope.make()
            const { descriptor, host: from } = yield* Scope.provide(seeded({ settings: { referrers } }), upstream)
            const signature = yield* remote.attach(`${from}/app:1`, { artifactType: "a/b" })
            yield* remote.tag(`${from}/app:1`, "2")
            const proxy = yield* serving("--proxy", from)
            const listed = yield* Stream.runCollect(remote.referrers(`${proxy}/app@${descriptor.digest}`))
            assert.deepStrictEqual(listed.map(({ digest }) => digest), [signature.descriptor.digest])
            const tags = yield* Stream.runCollect(remote.list(`${proxy}/app`))
            assert.includeMembers([...tags], ["1", "2"])
            assert.strictEqual((yield* remote.head(`${proxy}/app:1`)).digest, descriptor.digest)
            const client = yield* HttpClient.HttpClient
            const get = (path: string) => Effect.map(client.get(`http://${proxy}/v2/${path}`), ({ status }) => status)
            assert.strictEqual(yield* get("none/tags/list"), 404)
            yield* Scope.close(upstream, Exit.void)
            // What was listed a moment ago is good for a few seconds, so another subject and another repository.
            assert.deepStrictEqual(
              yield* Effect.all([get(`app/referrers/sha256:${"0".repeat(64)}`), get("other/tags/list")], {
                concurrency: 2
              }),
              [502, 502]
            )
          }
        }),
      120_000
    )
  })
})
