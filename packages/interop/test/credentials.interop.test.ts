import * as Keychain from "@effect-oci/authn/Keychain"
import * as NodeOci from "@effect-oci/node/NodeOci"
import { Remote } from "@effect-oci/remote/Remote"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as DockerRegistry from "../src/DockerRegistry.ts"
import * as EffectOci from "../src/EffectOci.ts"
import * as Generated from "../src/Generated.ts"
import * as Peer from "../src/Peer.ts"
import * as TokenServer from "../src/TokenServer.ts"

const { password, username } = DockerRegistry.login
const base64 = (text: string) => Buffer.from(text).toString("base64")
const entry = { auth: base64(`${username}:${password}`) }

const folderWith = Effect.fnUntraced(function*(files: Record<string, string>) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  for (const [name, text] of Object.entries(files)) {
    yield* fs.writeFileString(`${folder}/${name}`, text, { mode: 0o755 })
  }
  return folder
})

/** An image at a registry that asks nobody who they are. */
const seeded = Effect.gen(function*() {
  const source = yield* DockerRegistry.make()
  const generated = Generated.make()
  const descriptor = yield* generated.image([100_000, 10_000])
  const remote = yield* Remote
  yield* remote.copy({ store: generated, descriptor }, `${source.host}/from/app:1`)
  return { from: `${source.host}/from/app:1`, digest: descriptor.digest }
})

const registries = {
  htpasswd: DockerRegistry.make({ basicAuth: true }),
  "a token server": Effect.flatMap(
    TokenServer.make({ [username]: { password, folder: "" } }),
    ({ auth }) => DockerRegistry.make({ tokenAuth: auth })
  )
}

/** The environments in which the credentials of a host are found. */
const places = {
  "a Docker config": Effect.fnUntraced(function*(host: string) {
    return { DOCKER_CONFIG: yield* folderWith({ "config.json": JSON.stringify({ auths: { [host]: entry } }) }) }
  }),
  "a helper": Effect.fnUntraced(function*(host: string) {
    const bin = yield* folderWith({
      "docker-credential-interop":
        `#!/bin/sh\nread -r server\n[ "$1 $server" = "get ${host}" ] || { echo 'credentials not found in native keychain'; exit 1; }\n` +
        `echo '${JSON.stringify({ ServerURL: host, Username: username, Secret: password })}'\n`
    })
    return {
      DOCKER_CONFIG: yield* folderWith({ "config.json": JSON.stringify({ credsStore: "interop" }) }),
      PATH: `${bin}:${process.env["PATH"]}`
    }
  }),
  "Podman's file": Effect.fnUntraced(function*(host: string) {
    const folder = yield* folderWith({ "auth.json": JSON.stringify({ auths: { [`${host}/to`]: entry } }) })
    return { REGISTRY_AUTH_FILE: `${folder}/auth.json` }
  }),
  "the environment": (host: string) =>
    Effect.succeed({ EFFECT_OCI_REGISTRY: host, EFFECT_OCI_USERNAME: username, EFFECT_OCI_PASSWORD: password })
}

layer(NodeOci.layerWith(Keychain.layerAnonymous), { excludeTestServices: true })("credentials", (it) => {
  for (const [kind, registry] of Object.entries(registries)) {
    for (const [place, environmentOf] of Object.entries(places)) {
      it.effect(`copies to a registry behind ${kind}, with what is in ${place}`, () =>
        Effect.gen(function*() {
          const { digest, from } = yield* seeded
          const { host } = yield* registry
          const to = `${host}/to/app:2`
          const ran = yield* EffectOci.run(["copy", from, to], { env: yield* environmentOf(host) })
          assert.strictEqual(ran.stderr, "")
          assert.strictEqual(ran.code, 0)
          const env = yield* places["a Docker config"](host)
          assert.strictEqual((yield* Peer.run("oras", ["resolve", "--plain-http", to], { env })).trim(), digest)
          const file = `${env.DOCKER_CONFIG}/config.json`
          const validated = ["--src-authfile", file, `docker://${to}`, `dir:${env.DOCKER_CONFIG}/copied`]
          yield* Peer.run("skopeo", ["copy", "--src-tls-verify=false", ...validated])
          const nobody = yield* EffectOci.run(["digest", to])
          assert.strictEqual(nobody.code, 1)
          assert.match(nobody.stderr, /401/)
        }))
    }

    // crane takes no token of a server on another port of the registry's own address.
    const crane = kind === "htpasswd"

    it.effect(`keeps behind ${kind} what others use, and uses what they keep`, () =>
      Effect.gen(function*() {
        const { digest, from } = yield* seeded
        const { host } = yield* registry
        const to = `${host}/to/app:2`
        const fs = yield* FileSystem.FileSystem
        const DOCKER_CONFIG = yield* fs.makeTempDirectoryScoped()
        const ours = (...args: ReadonlyArray<string>) =>
          EffectOci.run(args, { env: { DOCKER_CONFIG, EFFECT_OCI_PASSWORD: args[0] === "auth" ? password : "" } })

        assert.strictEqual((yield* ours("auth", "login", host, "--username", username)).code, 0)
        assert.strictEqual((yield* ours("copy", from, to)).code, 0)
        const env = { DOCKER_CONFIG }
        if (crane) assert.strictEqual((yield* Peer.run("crane", ["digest", to], { env })).trim(), digest)
        assert.strictEqual((yield* Peer.run("oras", ["resolve", "--plain-http", to], { env })).trim(), digest)
        assert.strictEqual((yield* ours("auth", "logout", host)).code, 0)
        assert.strictEqual((yield* ours("digest", to)).code, 1)
        assert.isTrue(yield* Effect.isFailure(Peer.run("oras", ["resolve", "--plain-http", to], { env })))

        const login = ["--username", username, "--password", password, host]
        yield* Peer.run("crane", ["auth", "login", ...login], { env })
        assert.strictEqual((yield* ours("digest", to)).stdout.trim(), digest)
        yield* ours("auth", "logout", host)
        assert.strictEqual((yield* ours("digest", to)).code, 1)

        yield* Peer.run("oras", ["login", "--plain-http", ...login], { env })
        assert.strictEqual((yield* ours("digest", to)).stdout.trim(), digest)

        const REGISTRY_AUTH_FILE = `${DOCKER_CONFIG}/auth.json`
        yield* Peer.run("skopeo", ["login", "--tls-verify=false", "--authfile", REGISTRY_AUTH_FILE, ...login])
        const podman = yield* EffectOci.run(["digest", to], { env: { REGISTRY_AUTH_FILE } })
        assert.strictEqual(podman.stdout.trim(), digest)
      }))

    it.effect(`says that a password is wrong behind ${kind}, and does not say which`, () =>
      Effect.gen(function*() {
        const { host } = yield* registry
        const env = { EFFECT_OCI_REGISTRY: host, EFFECT_OCI_USERNAME: username, EFFECT_OCI_PASSWORD: "c4nary" }
        const ran = yield* EffectOci.run(["digest", `${host}/to/app:2`, "--log-level", "all"], { env })
        assert.strictEqual(ran.code, 1)
        assert.match(ran.stderr, /401/)
        assert.notInclude(ran.stdout + ran.stderr, "c4nary")
        assert.notInclude(ran.stdout + ran.stderr, base64(`${username}:c4nary`))
      }))
  }

  it.effect("is somebody else in another folder of the same registry", () =>
    Effect.gen(function*() {
      const { from } = yield* seeded
      const server = yield* TokenServer.make({
        ann: { password: "a", folder: "team-a/" },
        ben: { password: "b", folder: "team-b/" }
      })
      const { host } = yield* DockerRegistry.make({ tokenAuth: server.auth })
      const auths = { [`${host}/team-a`]: { auth: base64("ann:a") }, [`${host}/team-b`]: { auth: base64("ben:b") } }
      const folder = yield* folderWith({ "config.json": JSON.stringify({ auths }) })
      const env = { DOCKER_CONFIG: folder }
      for (
        const [source, target] of [[from, `${host}/team-a/app:1`], [`${host}/team-a/app:1`, `${host}/team-b/app:1`]]
      ) {
        const ran = yield* EffectOci.run(["copy", source!, target!], { env })
        assert.deepStrictEqual([ran.code, ran.stderr], [0, ""])
      }
      assert.isTrue(server.given.some((one) => one.startsWith("ann repository:team-a/app:")))
      assert.isTrue(server.given.some((one) => one.startsWith("ben repository:team-b/app:")))
      const stranger = yield* EffectOci.run(["digest", `${host}/team-c/app:1`], { env })
      assert.strictEqual(stranger.code, 1)
    }))
})
