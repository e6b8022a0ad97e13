import * as Repository from "@effect-oci/name/Repository"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { Keychain } from "../src/Keychain.ts"
import * as MachineKeychain from "../src/MachineKeychain.ts"
import { install } from "./helper.ts"

const entry = (user: string, ...keys: ReadonlyArray<string>) =>
  JSON.stringify({
    auths: Object.fromEntries(keys.map((key) => [key, { auth: Buffer.from(`${user}:p`).toString("base64") }]))
  })

const resolve = (
  env: Record<string, string>,
  repository: string,
  options: MachineKeychain.Options = {}
) =>
  Effect.gen(function*() {
    const keychain = yield* Keychain
    const credential = yield* keychain.resolve(Repository.parseUnsafe(repository))
    return credential._tag === "Basic" ? credential.username : credential._tag
  }).pipe(Effect.provide(
    MachineKeychain.layerWith(options).pipe(
      Layer.provide(NodeServices.layer),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
    )
  ))

/** A home with a file for each path. */
const home = Effect.fnUntraced(function*(files: Record<string, string>) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  for (const [path, text] of Object.entries(files)) {
    yield* fs.makeDirectory(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true })
    yield* fs.writeFileString(`${folder}/${path}`, text)
  }
  return folder
})

describe("MachineKeychain", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("reads the folder that DOCKER_CONFIG names, and .docker at home otherwise", () =>
      Effect.gen(function*() {
        const folder = yield* home({
          ".docker/config.json": entry("home", "ghcr.io"),
          "other/config.json": entry("other", "ghcr.io")
        })
        assert.strictEqual(yield* resolve({ HOME: folder }, "ghcr.io/a"), "home")
        assert.strictEqual(yield* resolve({ USERPROFILE: folder }, "ghcr.io/a"), "home")
        assert.strictEqual(yield* resolve({ HOME: folder, DOCKER_CONFIG: "" }, "ghcr.io/a"), "home")
        assert.strictEqual(yield* resolve({ HOME: folder, DOCKER_CONFIG: `${folder}/other` }, "ghcr.io/a"), "other")
        assert.strictEqual(yield* resolve({ HOME: folder, DOCKER_CONFIG: `${folder}/none` }, "ghcr.io/a"), "Anonymous")
        assert.strictEqual(yield* resolve({}, "ghcr.io/a"), "Anonymous")
      }))

    it.effect("asks every place, in order", () =>
      Effect.gen(function*() {
        const hosts = ["a.io", "b.io", "c.io", "d.io", "e.io", "f.io", "g.io"]
        const folder = yield* home({
          "named.json": entry("named", ...hosts.slice(2)),
          ".docker/config.json": entry("docker", ...hosts.slice(3)),
          "run/containers/auth.json": entry("runtime", ...hosts.slice(4)),
          "config/containers/auth.json": entry("config", ...hosts.slice(5)),
          ".config/containers/auth.json": entry("home", "f.io", "g.io")
        })
        const env = {
          EFFECT_OCI_REGISTRY: "a.io",
          EFFECT_OCI_USERNAME: "environment",
          EFFECT_OCI_PASSWORD: "p",
          DOCKER_AUTH_CONFIG: entry("text", "a.io", "b.io"),
          REGISTRY_AUTH_FILE: `${folder}/named.json`,
          HOME: folder,
          XDG_RUNTIME_DIR: `${folder}/run`,
          XDG_CONFIG_HOME: `${folder}/config`
        }
        const users = (env: Record<string, string>) =>
          Effect.forEach([...hosts, "z.io"], (host) => resolve(env, `${host}/x`))
        assert.deepStrictEqual(yield* users(env), [
          "environment",
          "text",
          "named",
          "named",
          "named",
          "named",
          "named",
          "Anonymous"
        ])
        assert.deepStrictEqual(yield* users({ ...env, REGISTRY_AUTH_FILE: "" }), [
          "environment",
          "text",
          "Anonymous",
          "docker",
          "docker",
          "docker",
          "docker",
          "Anonymous"
        ])
        const podman = { ...env, REGISTRY_AUTH_FILE: "", DOCKER_CONFIG: `${folder}/none` }
        assert.deepStrictEqual((yield* users(podman)).slice(4), ["runtime", "runtime", "runtime", "Anonymous"])
        assert.deepStrictEqual(
          (yield* users({ ...podman, XDG_RUNTIME_DIR: "" })).slice(4),
          ["Anonymous", "config", "config", "Anonymous"]
        )
        assert.deepStrictEqual(
          (yield* users({ ...podman, XDG_RUNTIME_DIR: "", XDG_CONFIG_HOME: "" })).slice(4),
          ["Anonymous", "home", "home", "Anonymous"]
        )
      }))

    it.effect("finds Docker Hub under all its names, in every place", () =>
      Effect.gen(function*() {
        for (
          const name of ["docker.io", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/"]
        ) {
          const folder = yield* home({ ".config/containers/auth.json": entry("u", name) })
          assert.strictEqual(yield* resolve({ HOME: folder }, "ubuntu"), "u")
          assert.strictEqual(yield* resolve({ DOCKER_AUTH_CONFIG: entry("u", name) }, "ubuntu"), "u")
          const env = { EFFECT_OCI_REGISTRY: name, EFFECT_OCI_USERNAME: "u", EFFECT_OCI_PASSWORD: "p" }
          assert.strictEqual(yield* resolve(env, "docker.io/library/ubuntu"), "u")
        }
      }))

    it.effect("gives Podman's namespaced credentials to what is below, and to no sibling", () =>
      Effect.gen(function*() {
        const folder = yield* home({ "auth.json": entry("u", "quay.io/team") })
        const env = { REGISTRY_AUTH_FILE: `${folder}/auth.json` }
        assert.strictEqual(yield* resolve(env, "quay.io/team/app"), "u")
        assert.strictEqual(yield* resolve(env, "quay.io/team"), "u")
        assert.strictEqual(yield* resolve(env, "quay.io/teams/app"), "Anonymous")
        assert.strictEqual(yield* resolve(env, "quay.io/other/app"), "Anonymous")
      }))

    it.effect("gives the environment's password to nobody when it does not say to whom", () =>
      Effect.gen(function*() {
        const error = (env: Record<string, string>) => Effect.map(Effect.flip(resolve(env, "ghcr.io/a")), String)
        const password = { EFFECT_OCI_USERNAME: "u", EFFECT_OCI_PASSWORD: "s3cret" }
        assert.include(yield* error(password), "EFFECT_OCI_REGISTRY")
        assert.include(yield* error({ ...password, EFFECT_OCI_REGISTRY: "not a host" }), "EFFECT_OCI_REGISTRY")
        assert.include(yield* error({ EFFECT_OCI_REGISTRY: "a.io", EFFECT_OCI_USERNAME: "u" }), "EFFECT_OCI_PASSWORD")
        assert.notInclude(yield* error(password), "s3cret")
        assert.strictEqual(yield* resolve({ ...password, EFFECT_OCI_REGISTRY: "a.io" }, "ghcr.io/a"), "Anonymous")
      }))

    it.effect("is one to the source of a copy and another to its target, by what the environment says", () =>
      Effect.gen(function*() {
        const env = {
          EFFECT_OCI_SOURCE_REGISTRY: "quay.io/team-a",
          EFFECT_OCI_SOURCE_USERNAME: "ann",
          EFFECT_OCI_SOURCE_PASSWORD: "p",
          EFFECT_OCI_TARGET_REGISTRY: "quay.io/team-b",
          EFFECT_OCI_TARGET_USERNAME: "ben",
          EFFECT_OCI_TARGET_PASSWORD: "p"
        }
        assert.strictEqual(yield* resolve(env, "quay.io/team-a/app"), "ann")
        assert.strictEqual(yield* resolve(env, "quay.io/team-b/app"), "ben")
        assert.strictEqual(yield* resolve(env, "quay.io/team-c/app"), "Anonymous")
        const half = { ...env, EFFECT_OCI_TARGET_REGISTRY: "" }
        assert.strictEqual(yield* resolve(half, "quay.io/team-a/app"), "ann")
        assert.include((yield* Effect.flip(resolve(half, "quay.io/team-b/app"))).message, "EFFECT_OCI_TARGET_REGISTRY")
      }))

    it.effect("says which place is broken, when no other knows anybody", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* home({ ".config/containers/auth.json": entry("podman", "quay.io") })
        yield* fs.makeDirectory(`${folder}/.docker/config.json`, { recursive: true })
        assert.strictEqual(yield* resolve({ HOME: folder }, "quay.io/a"), "podman")
        const error = yield* Effect.flip(resolve({ HOME: folder }, "ghcr.io/a"))
        assert.strictEqual(error._tag === "AuthnError" && error.reason, "Unreadable")
        assert.include(error.message, `${folder}/.docker/config.json`)
        const large = yield* home({ ".docker/config.json": " ".repeat(9 * 1024 * 1024) })
        assert.include((yield* Effect.flip(resolve({ HOME: large }, "ghcr.io/a"))).message, "larger than 8 MiB")
        const text = yield* Effect.flip(resolve({ DOCKER_AUTH_CONFIG: "{" }, "ghcr.io/a"))
        assert.strictEqual(text.message, "credentials from DOCKER_AUTH_CONFIG: it is not JSON")
      }))

    it.effect("goes on without credentials where a helper is broken, if it is told to", () =>
      Effect.gen(function*() {
        yield* install("fails", "exit 1")
        const folder = yield* home({ ".docker/config.json": JSON.stringify({ credsStore: "fails" }) })
        const error = yield* Effect.flip(resolve({ HOME: folder }, "ghcr.io/a"))
        assert.include(error.message, "docker-credential-fails")
        assert.strictEqual(yield* resolve({ HOME: folder }, "ghcr.io/a", { whenBroken: "anonymous" }), "Anonymous")
        const env = { HOME: folder, EFFECT_OCI_BROKEN_CREDENTIALS: "anonymous" }
        assert.strictEqual(yield* resolve(env, "ghcr.io/a"), "Anonymous")
        yield* Effect.flip(resolve(env, "ghcr.io/a", { whenBroken: "fail" }))
        const wrong = yield* Effect.flip(resolve({ EFFECT_OCI_BROKEN_CREDENTIALS: "anonymus" }, "ghcr.io/a"))
        assert.include(wrong.message, `EFFECT_OCI_BROKEN_CREDENTIALS: "anonymus" is neither fail nor anonymous`)
      }))
  })
})
