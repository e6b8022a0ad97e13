/**
 * What `remote` does, against the registries and by the clients of others: in both directions.
 */
import * as Keychain from "@effect-oci/authn/Keychain"
import type * as Digest from "@effect-oci/name/Digest"
import * as NodeOci from "@effect-oci/node/NodeOci"
import { Remote } from "@effect-oci/remote/Remote"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, layer } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as DockerRegistry from "../src/DockerRegistry.ts"
import * as EffectOci from "../src/EffectOci.ts"
import * as Generated from "../src/Generated.ts"
import * as Peer from "../src/Peer.ts"

const MiB = 1024 * 1024
const bin = fileURLToPath(new URL("../../cli/bin.cjs", import.meta.url))

/** The command, which has to do what it was asked to. */
const ours = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
  const { code, stderr, stdout } = yield* EffectOci.run(args)
  assert.deepStrictEqual([code, stderr], [0, ""], args.join(" "))
  return stdout.trim()
})

const lines = (text: string): ReadonlyArray<string> => text.trim() === "" ? [] : text.trim().split("\n")

const digestOf = (reference: string) =>
  Effect.map(Peer.run("crane", ["digest", reference]), (text) => text.trim() as Digest.Digest)

const validate = (reference: string) =>
  Effect.map(Peer.run("crane", ["validate", "--remote", reference]), (printed) => assert.include(printed, "PASS"))

/** An index of an image and of an index of two, in a registry. */
const nested = Effect.fnUntraced(function*(reference: string) {
  const generated = Generated.make()
  const image = (architecture: string) =>
    Effect.map(generated.image([20_000, 30_000], architecture), (image) => [architecture, image] as const)
  const [amd64, arm64, s390x] = yield* Effect.forEach(["amd64", "arm64", "s390x"], image)
  const inner = generated.index([arm64!, s390x!])
  const outer = generated.document(MediaType.ociIndex, {
    schemaVersion: 2,
    mediaType: MediaType.ociIndex,
    manifests: [
      Descriptor.toJson({ ...amd64![1], platform: { os: "linux", architecture: "amd64" } }),
      Descriptor.toJson(inner)
    ]
  })
  const remote = yield* Remote
  yield* remote.copy({ store: generated, descriptor: outer }, reference)
  return { outer, amd64: amd64![1], s390x: s390x![1] }
})

/** Who else finds an artifact of this digest among what refers to a reference. */
const found = Effect.fnUntraced(function*(reference: string) {
  const oras = JSON.parse(
    yield* Peer.run("oras", ["discover", "--plain-http", "--format", "json", "--depth", "1", reference])
  )
  const regctl = JSON.parse(
    yield* Peer.run("regctl", [
      "--host",
      `reg=${reference.split("/")[0]},tls=disabled`,
      "artifact",
      "list",
      "--format",
      "raw-body",
      reference
    ])
  )
  const digests = (list: ReadonlyArray<{ readonly digest: string }> | null | undefined) =>
    (list ?? []).map(({ digest }) => digest).sort()
  return { oras: digests(oras.referrers ?? oras.manifests), regctl: digests(regctl.manifests) }
})

const registries = ["docker-registry", "registry"] as const

layer(NodeOci.layerWith(Keychain.layerAnonymous), { excludeTestServices: true })("remote", (it) => {
  for (const peer of registries) {
    it.effect(`${peer}: nested indexes, there and back, as crane validates them`, () =>
      Effect.gen(function*() {
        const there = yield* DockerRegistry.make({ peer })
        const { host } = yield* DockerRegistry.make()
        const { outer } = yield* nested(`${there.host}/a/app:1`)
        assert.strictEqual(yield* digestOf(`${there.host}/a/app:1`), outer.digest)
        yield* validate(`${there.host}/a/app:1`)
        yield* ours("copy", `${there.host}/a/app:1`, `${host}/b/app:1`)
        assert.strictEqual(yield* digestOf(`${host}/b/app:1`), outer.digest)
        // What crane wrote is read, and what is read in a nested index is the right platform.
        yield* Peer.run("crane", ["copy", `${host}/b/app:1`, `${there.host}/c/app:1`])
        const config = JSON.parse(yield* ours("config", "--platform", "linux/s390x", `${there.host}/c/app:1`))
        assert.strictEqual(config.architecture, "s390x")
        // Fewer platforms make a valid index.
        yield* ours(
          "copy",
          "--platform",
          "linux/s390x",
          "--platform",
          "linux/amd64",
          `${there.host}/c/app:1`,
          `${host}/d:1`
        )
        yield* validate(`${host}/d:1`)
        const remote = yield* Remote
        const images = yield* remote.images(`${host}/d:1`, { platforms: ["linux/amd64", "linux/s390x"] })
        for (const image of images) {
          yield* Effect.forEach(image.layers, ({ uncompressed }) => Stream.runDrain(uncompressed))
        }
        const missing = yield* Effect.flip(remote.image(`${host}/d:1`, { platform: "linux/arm64" }))
        assert.include(missing.message, "linux/arm64")
      }))

    it.effect(`${peer}: referrers that oras, regctl and we attach are found by each, and go along`, () =>
      Effect.gen(function*() {
        const { host } = yield* DockerRegistry.make({ peer })
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        yield* fs.writeFileString(`${folder}/sbom.json`, "{}")
        const app = `${host}/a/app:1`
        yield* nested(app)
        const spdx = "application/spdx+json"
        yield* Peer.run("oras", ["attach", "--plain-http", "--artifact-type", spdx, app, `sbom.json:${spdx}`], {
          cwd: folder
        })
        const attached = yield* ours("attach", "--artifact-type", spdx, app, `${folder}/sbom.json:${spdx}`)
        yield* ours("attach", "--artifact-type", "application/vnd.acme.other", app)
        const all = lines(yield* ours("referrers", app)).map((line) => line.split(" ")[0]!).sort()
        assert.strictEqual(all.length, 3)
        assert.include(all, attached.split("@")[1])
        assert.deepStrictEqual(yield* found(app), { oras: all, regctl: all })
        assert.strictEqual(lines(yield* ours("referrers", "--artifact-type", spdx, app)).length, 2)

        const target = yield* DockerRegistry.make()
        const copy = `${target.host}/b/app:2`
        yield* ours("copy", "--referrers", app, copy)
        assert.deepStrictEqual(yield* found(copy), { oras: all, regctl: all })
        // One that is deleted is in no list.
        yield* ours("delete", `${target.host}/b/app@${all[0]}`)
        assert.deepStrictEqual(yield* found(copy), { oras: all.slice(1), regctl: all.slice(1) })
      }))
  }

  it.effect("effect-oci serve: referrers by the endpoint, as oras and regctl find them", () =>
    Effect.gen(function*() {
      const host = yield* EffectOci.serve()
      const app = `${host}/a/app:1`
      yield* nested(app)
      const attached = yield* ours("attach", "--artifact-type", "application/spdx+json", app)
      const digests = [attached.split("@")[1]!]
      assert.deepStrictEqual(yield* found(app), { oras: digests, regctl: digests })
    }))

  it.effect("500 tags: listed by all, synced to distribution 3, and a second time nothing is sent", () =>
    Effect.gen(function*() {
      const source = yield* DockerRegistry.make()
      const target = yield* DockerRegistry.make({ peer: "registry" })
      const remote = yield* Remote
      const generated = Generated.make()
      const descriptor = yield* generated.image([1000])
      yield* remote.copy({ store: generated, descriptor }, `${source.host}/app:t0`)
      const names = Array.from({ length: 499 }, (_, n) => `t${n + 1}`)
      yield* Effect.forEach(names, (name) => remote.tag(`${source.host}/app:t0`, name), { concurrency: 16 })
      const theirs = lines(yield* Peer.run("crane", ["ls", `${source.host}/app`])).toSorted()
      assert.strictEqual(theirs.length, 500)
      assert.deepStrictEqual(lines(yield* ours("ls", `${source.host}/app`)).toSorted(), theirs)
      const sync = ["sync", "--json", "--at-once", "16", `${source.host}/app`, `${target.host}/b/app`]
      const outcomes = (text: string) => new Set(lines(text).map((line) => JSON.parse(line).outcome))
      const first = yield* ours(...sync)
      assert.deepStrictEqual([lines(first).length, outcomes(first)], [500, new Set(["copied"])])
      assert.deepStrictEqual(outcomes(yield* ours(...sync)), new Set(["same"]))
      assert.deepStrictEqual(
        lines(
          yield* Peer.run("regctl", [
            "--host",
            `reg=${target.host},tls=disabled`,
            "tag",
            "ls",
            `${target.host}/b/app`
          ])
        ).toSorted(),
        theirs
      )
    }))

  it.effect("tags are taken away where a registry can, and else it is said that it cannot", () =>
    Effect.gen(function*() {
      const two = yield* DockerRegistry.make()
      const three = yield* DockerRegistry.make({ peer: "registry" })
      yield* nested(`${two.host}/app:1`)
      yield* nested(`${three.host}/app:1`)
      yield* ours("untag", `${three.host}/app:1`)
      assert.strictEqual(yield* ours("ls", `${three.host}/app`), "")
      const refused = yield* EffectOci.run(["untag", `${two.host}/app:1`])
      assert.strictEqual(refused.code, 1)
      assert.match(refused.stderr, /does not delete here/)
    }))

  it.effect(
    "killed at 30 moments and run again, a copy ends right and sends only what was not there",
    () =>
      Effect.gen(function*() {
        const source = yield* DockerRegistry.make()
        const target = yield* DockerRegistry.make()
        const generated = Generated.make()
        const descriptor = yield* generated.image(Array.from({ length: 24 }, () => MiB))
        const remote = yield* Remote
        yield* remote.copy({ store: generated, descriptor }, `${source.host}/app:1`)
        const { manifest } = yield* remote.image(`${source.host}/app:1`)
        const total = manifest.layers.length + 2
        const present: Array<number> = []
        yield* Effect.forEach(
          Array.from({ length: 30 }, (_, n) => n),
          Effect.fnUntraced(function*(n) {
            const repository = `kill/app${n}`
            const to = `${target.host}/${repository}:1`
            yield* killed(
              ["copy", `${source.host}/app:1`, to],
              `${target.folder}/data/docker/registry/v2/repositories/${repository}`,
              60 * n
            )
            const has = blobsOf(target.folder, repository)
            const { sent } = yield* remote.copy(`${source.host}/app:1`, to)
            // All that was not there: the rest of the blobs, the manifest, the tag.
            assert.isAtMost(sent, total + 1 - has, `${n}: ${has} were there`)
            present.push(has)
            assert.strictEqual((yield* remote.head(to)).digest, descriptor.digest)
          }),
          { concurrency: 3, discard: true }
        )
        yield* Console.log(`blobs there when killed: ${present.toSorted((a, b) => a - b).join(" ")} of ${total - 1}`)
        assert.isTrue(present.some((has) => has > 0 && has < total - 1), "no copy was killed halfway")
        yield* validate(`${target.host}/kill/app15:1`)
      }),
    180_000
  )

  it.effect("interrupted, it ends within 3 s with code 130 and leaves no session behind", () =>
    Effect.gen(function*() {
      const source = yield* DockerRegistry.make()
      // docker-registry 2.8 knows a session no more whose request was cut off: nobody can cancel that.
      const target = yield* DockerRegistry.make({ peer: "registry" })
      const generated = Generated.make()
      const descriptor = yield* generated.image([384 * MiB])
      const remote = yield* Remote
      yield* remote.copy({ store: generated, descriptor }, `${source.host}/app:1`)
      const uploads = `${target.folder}/data/docker/registry/v2/repositories/app/_uploads`
      const [duration, code] = yield* Effect.promise(() =>
        new Promise<readonly [number, number | null]>((resolve) => {
          const child = spawn(process.execPath, [bin, "copy", `${source.host}/app:1`, `${target.host}/app:1`], {
            stdio: "ignore"
          })
          let asked = 0
          // As soon as there is a session to be left behind.
          const timer = setInterval(() => {
            if (!existsSync(uploads) || readdirSync(uploads).length === 0) return
            clearInterval(timer)
            asked = performance.now()
            child.kill("SIGINT")
          }, 5)
          child.on("exit", (code) => {
            clearInterval(timer)
            resolve([performance.now() - asked, code])
          })
        })
      )
      yield* Console.log(`ended ${Math.round(duration)} ms after SIGINT`)
      assert.strictEqual(code, 130)
      assert.isBelow(duration, 3000)
      // What is cut off leaves a folder of hashes there all the same; a session is one that has begun.
      const open = readdirSync(uploads).filter((id) => existsSync(`${uploads}/${id}/startedat`))
      assert.deepStrictEqual(open, [])
    }))
})

/** How many blobs a repository of a docker-registry has. */
const blobsOf = (folder: string, repository: string): number => {
  const layers = `${folder}/data/docker/registry/v2/repositories/${repository}/_layers/sha256`
  return existsSync(layers) ? readdirSync(layers).length : 0
}

/** Runs the command and kills it so many milliseconds after a folder has appeared, if it has not ended by then. */
const killed = (args: ReadonlyArray<string>, folder: string, after: number) =>
  Effect.promise(() =>
    new Promise<void>((resolve) => {
      const child = spawn(process.execPath, [bin, ...args], { stdio: "ignore" })
      const timer = setInterval(() => {
        if (!existsSync(folder)) return
        clearInterval(timer)
        setTimeout(() => child.kill("SIGKILL"), after)
      }, 2)
      child.on("exit", () => {
        clearInterval(timer)
        resolve()
      })
    })
  )
