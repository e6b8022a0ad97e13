import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as CredentialHelper from "../src/CredentialHelper.ts"
import { Keychain } from "../src/Keychain.ts"
import * as MachineKeychain from "../src/MachineKeychain.ts"

const ghcr = Registry.parseUnsafe("ghcr.io")

/** Puts a helper of this name on the PATH, for as long as the scope lasts. */
const install = Effect.fnUntraced(function*(name: string, script: string) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  const file = `${folder}/docker-credential-${name}`
  yield* fs.writeFileString(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  const before = process.env["PATH"]
  process.env["PATH"] = `${folder}:${before}`
  yield* Effect.addFinalizer(() => Effect.sync(() => process.env["PATH"] = before))
})

describe("CredentialHelper", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("is told the registry, and believed", () =>
      Effect.gen(function*() {
        yield* install(
          "echo",
          "read -r server; printf '{\"ServerURL\":\"%s\",\"Username\":\"%s\",\"Secret\":\"s3cret\"}' \"$server\" \"$server\""
        )
        const credential = yield* CredentialHelper.get("echo", ghcr)
        assert.strictEqual(credential._tag === "Basic" && credential.username, "ghcr.io")
        const hub = yield* CredentialHelper.get("echo", Registry.dockerHub)
        assert.strictEqual(hub._tag === "Basic" && hub.username, "https://index.docker.io/v1/")
      }))

    it.effect("gives an identity token under the name <token>", () =>
      Effect.gen(function*() {
        yield* install("token", "echo '{\"Username\":\"<token>\",\"Secret\":\"t\"}'")
        const credential = yield* CredentialHelper.get("token", ghcr)
        assert.strictEqual(credential._tag === "IdentityToken" && Redacted.value(credential.token), "t")
      }))

    it.effect("knows nobody", () =>
      Effect.gen(function*() {
        yield* install("nobody", "echo 'credentials not found in native keychain'; exit 1")
        assert.strictEqual((yield* CredentialHelper.get("nobody", ghcr))._tag, "Anonymous")
      }))

    it.effect.each(
      [
        ["fails", "echo 'password: s3cret' >&2; echo s3cret; exit 3", "HelperFailed"],
        ["prints junk", "echo s3cret", "HelperOutput"],
        ["prints another shape", "echo '[\"s3cret\"]'", "HelperOutput"],
        ["floods", "exec yes s3cret", "HelperOutput"],
        ["hangs", "exec sleep 60", "HelperTimedOut"]
      ] as const
    )("is a failure when it %s, which tells no secret", ([, script, reason]) =>
      Effect.gen(function*() {
        yield* install("broken", script)
        const error = yield* Effect.flip(CredentialHelper.get("broken", ghcr, { timeout: "1 second" }))
        assert.strictEqual(error.reason, reason)
        assert.notInclude(error.message, "s3cret")
        assert.include(error.message, "docker-credential-broken")
      }))

    it.effect("is missing", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(CredentialHelper.get("not-installed", ghcr))
        assert.strictEqual(error.reason, "HelperMissing")
      }))

    it.effect.each(["", "../../tmp/x", "/bin/sh", "a b", "a;b", "a\0b", "-x", ".x", "a/b", "x".repeat(65)])(
      "is never started under the name %j",
      (name) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* Effect.flip(CredentialHelper.get(name, ghcr))).reason, "HelperName")
        })
    )
  })
})

describe("MachineKeychain", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    const resolve = (env: Record<string, string>, repository: string) =>
      Effect.gen(function*() {
        const keychain = yield* Keychain
        return yield* keychain.resolve(Repository.parseUnsafe(repository))
      }).pipe(Effect.provide(
        MachineKeychain.layer.pipe(
          Layer.provide(NodeServices.layer),
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
        )
      ))

    it.effect("reads the folder that DOCKER_CONFIG names, and .docker at home otherwise", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const home = yield* fs.makeTempDirectoryScoped()
        const entry = (user: string) =>
          JSON.stringify({ auths: { "ghcr.io": { auth: Buffer.from(`${user}:p`).toString("base64") } } })
        yield* fs.makeDirectory(`${home}/.docker`)
        yield* fs.makeDirectory(`${home}/other`)
        yield* fs.writeFileString(`${home}/.docker/config.json`, entry("home"))
        yield* fs.writeFileString(`${home}/other/config.json`, entry("other"))
        const user = (env: Record<string, string>) =>
          Effect.map(resolve(env, "ghcr.io/a"), (credential) =>
            credential._tag === "Basic" ? credential.username : credential._tag)
        assert.strictEqual(yield* user({ HOME: home }), "home")
        assert.strictEqual(yield* user({ HOME: home, DOCKER_CONFIG: `${home}/other` }), "other")
        assert.strictEqual(yield* user({ HOME: home, DOCKER_CONFIG: `${home}/none` }), "Anonymous")
        assert.strictEqual(yield* user({}), "Anonymous")
      }))

    it.effect("says which file it cannot read", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        yield* fs.makeDirectory(`${folder}/config.json`)
        const error = yield* Effect.flip(resolve({ DOCKER_CONFIG: folder }, "ghcr.io/a"))
        assert.include(error.message, `${folder}/config.json`)
      }))
  })
})
