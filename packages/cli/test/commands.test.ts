/**
 * The commands in this process, over a registry on a port: what they print, for people and for programs.
 */
import * as Keychain from "@effect-oci/authn/Keychain"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as NodeOci from "@effect-oci/node/NodeOci"
import * as NodeRegistry from "@effect-oci/node/NodeRegistry"
import { Remote } from "@effect-oci/remote/Remote"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, layer } from "@effect/vitest"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Cli from "../src/Cli.ts"

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

/** Runs the command, and gives what it printed. */
const run = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const out: Array<string> = []
  const err: Array<string> = []
  const console: Console.Console = {
    ...globalThis.console,
    log: (...all) => void out.push(all.join(" ")),
    error: (...all) => void err.push(all.join(" "))
  }
  const exit = yield* Command.runWith(Cli.command, { version: "test" })(args).pipe(
    Effect.exit,
    Effect.provideService(Console.Console, console)
  )
  return { isSuccess: exit._tag === "Success", out, err }
})

const print = (...args: ReadonlyArray<string>) =>
  Effect.map(run(...args), ({ err, isSuccess, out }) => {
    assert.deepStrictEqual([isSuccess, err], [true, []], args.join(" "))
    return out.join("\n")
  })

const lines = (...args: ReadonlyArray<string>) =>
  Effect.map(print(...args, "--json"), (text) => text === "" ? [] : text.split("\n").map((line) => JSON.parse(line)))

/** A registry with an index of two images. */
const seeded = Effect.gen(function*() {
  const host = yield* NodeRegistry.serve()
  const remote = yield* Remote
  const store = MemoryStore.make()
  const images: Array<Descriptor.Descriptor> = []
  for (const architecture of ["amd64", "arm64"]) {
    const layer = yield* store.add(MediaType.ociLayer, new TextEncoder().encode(architecture))
    const config = yield* store.add(MediaType.ociConfig, json({ os: "linux", architecture }))
    const image = yield* store.add(MediaType.ociManifest, json({ schemaVersion: 2, config, layers: [layer] }))
    images.push({ ...image, platform: { os: "linux", architecture } })
  }
  const manifests = images.map(Descriptor.toJson)
  const descriptor = yield* store.add(MediaType.ociIndex, json({ schemaVersion: 2, manifests }))
  yield* remote.copy({ store, descriptor }, `${host}/app:1`)
  return { host, app: `${host}/app`, descriptor, folder: yield* temporary }
})

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

describe("commands", () => {
  layer(NodeOci.layerWith(Keychain.layerAnonymous), { excludeTestServices: true })((it) => {
    it.effect("plan: prints the graph as it is asked to, and a dry run what it comes to", () =>
      Effect.gen(function*() {
        const { app, host } = yield* seeded
        assert.match(yield* print("copy", "--dry-run", `${app}:1`, `${host}/b:1`), /^would /)
        const [dry] = yield* lines("copy", "--dry-run", `${app}:1`, `${host}/b:1`)
        assert.strictEqual(dry.summary.mount, 4)
        const [planned] = yield* lines("plan", `${app}:1`, `${host}/b:1`)
        assert.strictEqual(planned.nodes.length, 8)
        assert.match(yield* print("plan", `${app}:1`, `${host}/b:1`), /^flowchart/)
        assert.match(yield* print("plan", "--format", "dot", `${app}:1`, `${host}/b:1`), /^digraph/)
        assert.match(yield* print("plan", "--format", "summary", `${app}:1`, `${host}/b:1`), /^would /)
        assert.strictEqual(yield* print("ls", app), "1")
      }))

    const refused: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
      [["pull", "oci:a:1", "b"], "not a folder"],
      [["pull", "localhost:1/a:1", "oci:b:1"], "the path of a folder, without oci:"],
      [["push", "oci:a", "localhost:1/b:1"], "the path of a folder, without oci:"],
      [["push", "", "localhost:1/b:1"], "the path of a folder, without oci:"],
      [["sync", "oci:a", "localhost:1/b"], "not a folder"],
      [["copy", "--all-tags", "localhost:1/b", "oci:a"], "not from or to a folder"],
      [["untag", "localhost:1/a"], "REPOSITORY:TAG"],
      [["delete", "localhost:1/a:1"], "REPOSITORY@DIGEST"],
      [["attach", "--artifact-type", "sbom", "localhost:1/a:1"], "a media type"],
      [["blob", "--offset", "-1", `localhost:1/a@sha256:${"0".repeat(64)}`], "0 or more"],
      [["blob", "--parts", "0", `localhost:1/a@sha256:${"0".repeat(64)}`], "1 or more"]
    ]
    for (const [args, expected] of refused) {
      it.effect(`refuses ${args.join(" ")}`, () =>
        Effect.gen(function*() {
          const { err } = yield* run(...args)
          assert.include(err.join(" "), expected)
        }))
    }

    it.effect("copy: leaves platforms out, from and to folders too", () =>
      Effect.gen(function*() {
        const { app, descriptor, folder, host } = yield* seeded
        const whole = `oci:${folder}/layout:1`
        const [pulled] = yield* lines("copy", `${app}:1`, whole)
        assert.strictEqual(pulled.reference, `${whole}@${descriptor.digest}`)
        const [pushed] = yield* lines("copy", "--platform", "linux/arm64", whole, `${host}/c:1`)
        assert.notStrictEqual(pushed.descriptor.digest, descriptor.digest)
        const index = yield* Effect.flatMap(Remote, (remote) => remote.index(`${host}/c:1`))
        assert.deepStrictEqual(index.index.manifests.map(({ platform }) => platform?.architecture), ["arm64"])
        const untagged = yield* print("copy", `${app}@${descriptor.digest}`, `oci:${folder}/other`)
        assert.strictEqual(untagged, `oci:${folder}/other@${descriptor.digest}`)
        assert.strictEqual(yield* print("copy", untagged, `${host}/d:1`), `${host}/d:1@${descriptor.digest}`)
        const failed = yield* run("copy", "--platform", "linux/s390x", `${app}:1`, `${host}/c:1`)
        assert.include(failed.err[0], "linux/s390x")
      }))

    it.effect("pull, push: take the options that copy does, and say the same", () =>
      Effect.gen(function*() {
        const { app, descriptor, folder, host } = yield* seeded
        const fs = yield* FileSystem.FileSystem
        const layout = `${folder}/layout`
        yield* fs.writeFileString(`${folder}/sbom.json`, "{}")
        const [attached] = yield* lines(
          "attach",
          "--artifact-type",
          "application/vnd.acme_sbom",
          `${app}:1`,
          `${folder}/sbom.json`
        )
        assert.match(yield* print("pull", "--dry-run", `${app}:1`, layout), /^would send /)
        assert.isFalse(yield* fs.exists(layout))
        const [pulled] = yield* lines("pull", "--referrers", `${app}:1`, layout)
        assert.strictEqual(pulled.reference, `oci:${layout}:1@${descriptor.digest}`)
        assert.isAbove(pulled.sent, 0)
        assert.strictEqual(yield* print("pull", "--referrers", `${app}:1`, layout), descriptor.digest)

        const [dry] = yield* lines("push", "--dry-run", layout, `${host}/pushed:1`)
        assert.strictEqual(dry.summary.manifests, 3)
        const [pushed] = yield* lines("push", "--referrers", layout, `${host}/pushed:other`)
        assert.strictEqual(pushed.descriptor.digest, descriptor.digest)
        const [found] = yield* lines("referrers", `${host}/pushed:other`)
        assert.strictEqual(found.digest, attached.descriptor.digest)
        yield* print("push", "--platform", "linux/arm64", layout, `${host}/pushed:arm`)
        const index = yield* Effect.flatMap(Remote, (remote) => remote.index(`${host}/pushed:arm`))
        assert.deepStrictEqual(index.index.manifests.map(({ platform }) => platform?.architecture), ["arm64"])
      }))

    it.effect("copy, plan: make no folder for a plan, nor for what is not there", () =>
      Effect.gen(function*() {
        const { app, folder } = yield* seeded
        const fs = yield* FileSystem.FileSystem
        const target = `oci:${folder}/layout:1`
        const [dry] = yield* lines("copy", "--dry-run", `${app}:1`, target)
        const [planned] = yield* lines("plan", `${app}:1`, target)
        assert.strictEqual(planned.nodes.length, 8)
        assert.isFalse((yield* run("copy", `${app}:none`, target)).isSuccess)
        assert.isFalse((yield* run("copy", "--platform", "linux/s390x", `${app}:1`, target)).isSuccess)
        assert.isFalse(yield* fs.exists(`${folder}/layout`))
        yield* print("copy", `${app}:1`, target)
        const [again] = yield* lines("copy", "--dry-run", `${app}:1`, target)
        assert.notDeepEqual(again.summary, dry.summary)
      }))

    it.effect("attach and referrers: what is attached is found, goes along, and is deleted", () =>
      Effect.gen(function*() {
        const { app, descriptor, folder, host } = yield* seeded
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(`${folder}/sbom.json`, "{}")
        const spdx = "application/spdx+json"
        const [attached] = yield* lines(
          "attach",
          "--artifact-type",
          spdx,
          "--annotation",
          "by=acme",
          `${app}:1`,
          `${folder}/sbom.json:${spdx}`
        )
        const [found, ...rest] = yield* lines("referrers", `${app}:1`)
        assert.deepStrictEqual(rest, [])
        assert.strictEqual(found.digest, attached.descriptor.digest)
        assert.deepStrictEqual(found.annotations, { by: "acme" })
        assert.strictEqual(yield* print("referrers", "--artifact-type", spdx, `${app}:1`), `${found.digest} ${spdx}`)
        assert.strictEqual(yield* print("referrers", "--artifact-type", "other", `${app}:1`), "")
        const artifact = yield* Effect.flatMap(Remote, (remote) => remote.artifact(attached.reference))
        const [blob] = artifact.blobs
        assert.strictEqual(blob!.descriptor.mediaType, spdx)
        assert.strictEqual(blob!.descriptor.annotations?.["org.opencontainers.image.title"], "sbom.json")

        // By way of a folder.
        yield* print("copy", "--referrers", `${app}:1`, `oci:${folder}/layout`)
        yield* print("copy", "--referrers", `oci:${folder}/layout`, `${host}/d:1`)
        assert.strictEqual((yield* print("referrers", `${host}/d:1`)).split(" ")[0], found.digest)
        assert.deepStrictEqual(yield* lines("delete", "--referrers", `${host}/d@${descriptor.digest}`), [
          { reference: `${host}/d@${descriptor.digest}`, deleted: true }
        ])
        assert.strictEqual(yield* print("ls", `${host}/d`), "")

        const missing = yield* run("attach", "--artifact-type", spdx, `${app}:1`, `${folder}/none.json`)
        assert.isFalse(missing.isSuccess)
        assert.include(missing.err[0], "none.json")
        const both = yield* run("attach", "--artifact-type", spdx, `${app}:1`, `${folder}/sbom.json`, folder)
        assert.strictEqual(both.err[0], `effect-oci: read at ${folder}: a folder cannot be attached`)
      }))

    it.effect("sync: a line for each tag, and on after one that failed", () =>
      Effect.gen(function*() {
        const { app, host } = yield* seeded
        for (const tag of ["2", "3-rc"]) yield* print("tag", `${app}:1`, tag)
        const outcomes = (...args: ReadonlyArray<string>) =>
          Effect.map(lines(...args), (all) => all.map(({ outcome, tag }) => `${tag} ${outcome}`).sort())
        const dry = ["sync", "--dry-run", "--exclude", "*-rc", app, `${host}/d`]
        assert.deepStrictEqual(yield* outcomes(...dry), ["1 planned", "2 planned"])
        assert.deepStrictEqual(yield* outcomes("sync", "--include", "1", app, `${host}/d`), ["1 copied"])
        assert.deepStrictEqual(yield* outcomes("copy", "--all-tags", app, `${host}/d`), [
          "1 same",
          "2 copied",
          "3-rc copied"
        ])
        assert.match(yield* print("sync", "--include", "1", app, `${host}/d`), /^same {4}1 sha256:[0-9a-f]{64}$/)
        const none = yield* run("sync", "--include", "nothing*", app, `${host}/d`)
        assert.deepStrictEqual([none.isSuccess, none.out, none.err], [
          true,
          [],
          ["effect-oci: no tag fits, so there was nothing to do"]
        ])
        const failed = yield* run("sync", "--json", "--platform", "linux/s390x", app, `${host}/e`)
        assert.isFalse(failed.isSuccess)
        assert.strictEqual(failed.out.length, 3)
        const first = JSON.parse(failed.out[0]!)
        assert.deepStrictEqual([first.outcome, first.error.reason], ["failed", "NotFound"])
        assert.include(first.error.message, "linux/s390x")
      }))

    it.effect("ls, catalog, untag: values for programs, names for people", () =>
      Effect.gen(function*() {
        const { app, host } = yield* seeded
        const signature = `sha256-${"a".repeat(64)}.sig`
        for (const tag of ["2", signature]) yield* print("tag", `${app}:1`, tag)
        assert.deepStrictEqual(yield* lines("ls", app), [{ tag: "1" }, { tag: "2" }, { tag: signature }])
        assert.strictEqual(yield* print("ls", "--no-digest-tags", app), "1\n2")
        assert.deepStrictEqual(yield* lines("catalog", host), [{ repository: "app" }])
        assert.strictEqual(yield* print("catalog", host), "app")
        assert.deepStrictEqual(yield* lines("untag", `${app}:2`), [{ reference: `${app}:2`, untagged: true }])
        assert.strictEqual(yield* print("ls", "--no-digest-tags", app), "1")
        const half = yield* run("untag", `${app}:none`, `${app}:${signature}`)
        assert.deepStrictEqual([half.isSuccess, half.out], [false, []])
        assert.include(half.err[0], "none")
        assert.strictEqual(yield* print("ls", app), "1")
        const refused = yield* run("delete", `${app}:1`)
        assert.include(refused.err[0], "named by its digest")
      }))
  })
})
