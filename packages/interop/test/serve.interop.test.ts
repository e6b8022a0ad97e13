import * as Keychain from "@effect-oci/authn/Keychain"
import * as NodeOci from "@effect-oci/node/NodeOci"
import { Remote } from "@effect-oci/remote/Remote"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as EffectOci from "../src/EffectOci.ts"
import * as Generated from "../src/Generated.ts"
import * as Peer from "../src/Peer.ts"

/** A registry of ours with one image in it. */
const seeded = Effect.gen(function*() {
  const host = yield* EffectOci.serve()
  const generated = Generated.make()
  const descriptor = generated.index([["amd64", yield* generated.image([100_000, 2_000_000])]])
  const remote = yield* Remote
  yield* remote.copy({ store: generated, descriptor }, `${host}/from/app:1`)
  return { host, digest: descriptor.digest, digestOf: (name: string) => remote.head(`${host}/${name}`) }
})

describe("effect-oci serve", () => {
  layer(NodeOci.layerWith(Keychain.layerAnonymous), { excludeTestServices: true })((it) => {
    it.effect("takes and gives what crane copies", () =>
      Effect.gen(function*() {
        const { digest, digestOf, host } = yield* seeded
        yield* Peer.run("crane", ["copy", `${host}/from/app:1`, `${host}/crane/app:1`])
        assert.strictEqual((yield* digestOf("crane/app:1")).digest, digest)
        assert.include(yield* Peer.run("crane", ["validate", "--remote", `${host}/crane/app:1`]), "PASS")
        const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
        yield* Peer.run("crane", ["pull", "--format", "oci", `${host}/crane/app:1`, `${folder}/layout`])
        yield* Peer.run("crane", ["push", "--index", `${folder}/layout`, `${host}/pushed/app:1`])
        assert.strictEqual((yield* Peer.run("crane", ["ls", `${host}/crane/app`])).trim(), "1")
      }))

    it.effect("takes and gives what skopeo copies", () =>
      Effect.gen(function*() {
        const { digest, digestOf, host } = yield* seeded
        const plain = ["copy", "--all", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"]
        yield* Peer.run("skopeo", [...plain, `docker://${host}/from/app:1`, `docker://${host}/skopeo/app:1`])
        assert.strictEqual((yield* digestOf("skopeo/app:1")).digest, digest)
        const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
        yield* Peer.run("skopeo", [...plain, `docker://${host}/skopeo/app:1`, `oci:${folder}/layout:1`])
        yield* Peer.run("skopeo", [...plain, `oci:${folder}/layout:1`, `docker://${host}/pushed/app:1`])
        assert.strictEqual((yield* digestOf("pushed/app:1")).digest, digest)
      }))

    it.effect("takes and gives what regctl copies", () =>
      Effect.gen(function*() {
        const { digest, digestOf, host } = yield* seeded
        const plain = ["--host", `reg=${host},tls=disabled`]
        yield* Peer.run("regctl", [...plain, "image", "copy", `${host}/from/app:1`, `${host}/regctl/app:1`])
        assert.strictEqual((yield* digestOf("regctl/app:1")).digest, digest)
        const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
        yield* Peer.run("regctl", [...plain, "image", "copy", `${host}/from/app:1`, `ocidir://${folder}/layout:1`])
        yield* Peer.run("regctl", [...plain, "image", "copy", `ocidir://${folder}/layout:1`, `${host}/pushed/app:1`])
        assert.strictEqual((yield* digestOf("pushed/app:1")).digest, digest)
      }))

    it.effect("takes and gives what oras copies", () =>
      Effect.gen(function*() {
        const { digest, digestOf, host } = yield* seeded
        const plain = ["--from-plain-http", "--to-plain-http"]
        yield* Peer.run("oras", ["copy", ...plain, `${host}/from/app:1`, `${host}/oras/app:1`])
        assert.strictEqual((yield* digestOf("oras/app:1")).digest, digest)
        const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
        yield* Peer.run("oras", [
          "copy",
          "--from-plain-http",
          "--to-oci-layout",
          `${host}/from/app:1`,
          `${folder}/layout:1`
        ])
        yield* Peer.run("oras", [
          "copy",
          "--from-oci-layout",
          "--to-plain-http",
          `${folder}/layout:1`,
          `${host}/pushed/app:1`
        ])
        assert.strictEqual((yield* digestOf("pushed/app:1")).digest, digest)
      }))

    it.effect("gives and takes layouts, by pull and push of the command", () =>
      Effect.gen(function*() {
        const { digest, digestOf, host } = yield* seeded
        const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
        const pulled = yield* EffectOci.run(["pull", `${host}/from/app:1`, `${folder}/layout`])
        assert.deepStrictEqual([pulled.code, pulled.stdout.trim(), pulled.stderr], [0, digest, ""])
        const pushed = yield* EffectOci.run(["push", `${folder}/layout`, `${host}/back/app:2`])
        assert.deepStrictEqual([pushed.code, pushed.stderr], [0, ""])
        assert.strictEqual((yield* digestOf("back/app:2")).digest, digest)
        yield* Peer.run("skopeo", ["inspect", `oci:${folder}/layout:1`])
      }))
  })
})
