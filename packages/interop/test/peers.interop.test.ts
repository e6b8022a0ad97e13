import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Tar from "effect/encoding/Tar"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import * as DockerRegistry from "../src/DockerRegistry.ts"
import * as Peer from "../src/Peer.ts"

/** Pushes an image of two small layers with crane and gives its digest. */
const push = Effect.fnUntraced(function*(reference: string, env: Record<string, string> = {}) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  const layers = ["one", "two"].map((name) => `${folder}/${name}.tar`)
  for (const [index, path] of layers.entries()) {
    const entry = Tar.file(`file-${index}`, "interop ".repeat(1000 + index))
    yield* Stream.run(Stream.pipeThroughChannel(Stream.make(entry), Tar.encode()), fs.sink(path))
  }
  const printed = yield* Peer.run("crane", [
    "append",
    ...layers.flatMap((path) => ["--new_layer", path]),
    "--new_tag",
    reference
  ], { env })
  return printed.trim().split("@")[1]
})

layer(NodeServices.layer, { excludeTestServices: true })("peers", (it) => {
  it.effect("read from docker-registry what crane pushed", () =>
    Effect.gen(function*() {
      const registry = yield* DockerRegistry.make()
      const reference = `${registry.host}/interop/app:1`
      const digest = yield* push(reference)
      assert.match(digest ?? "", /^sha256:[0-9a-f]{64}$/)

      assert.include(yield* Peer.run("crane", ["validate", "--remote", reference]), "PASS")
      assert.strictEqual((yield* Peer.run("crane", ["digest", reference])).trim(), digest)
      assert.strictEqual((yield* Peer.run("oras", ["resolve", "--plain-http", reference])).trim(), digest)
      const regctl = ["--host", `reg=${registry.host},tls=disabled`, "image", "digest", reference]
      assert.strictEqual((yield* Peer.run("regctl", regctl)).trim(), digest)
      const skopeo = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}", `docker://${reference}`]
      assert.strictEqual((yield* Peer.run("skopeo", skopeo)).trim(), digest)
    }))

  it.effect("are asked for credentials where the registry wants them", () =>
    Effect.gen(function*() {
      const registry = yield* DockerRegistry.make({ basicAuth: true })
      const fs = yield* FileSystem.FileSystem
      const DOCKER_CONFIG = yield* fs.makeTempDirectoryScoped()
      const reference = `${registry.host}/interop/app:1`
      const refused = yield* Effect.flip(push(reference, { DOCKER_CONFIG }))
      assert.include(refused.message, "401 Unauthorized")

      const { password, username } = DockerRegistry.login
      const login = ["auth", "login", "-u", username, "-p", password, registry.host]
      yield* Peer.run("crane", login, { env: { DOCKER_CONFIG } })
      yield* push(reference, { DOCKER_CONFIG })
      assert.include(
        yield* Peer.run("crane", ["validate", "--remote", reference], { env: { DOCKER_CONFIG } }),
        "PASS"
      )
    }))

  it.effect("leave nothing behind when their scope ends", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const registry = yield* Effect.scoped(DockerRegistry.make())
      assert.isFalse(yield* fs.exists(registry.folder))
      const gone = yield* Effect.flip(Peer.run("crane", ["catalog", registry.host]))
      assert.include(gone.message, "connection refused")
    }))

  it.effect("say in one line what they could not do", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Peer.run("crane", ["digest", "A/b"]))
      assert.match(error.message, /^crane digest A\/b: exit code 1: /)
    }))
})
