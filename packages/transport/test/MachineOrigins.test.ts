import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as MachineOrigins from "../src/MachineOrigins.ts"
import * as Mirror from "../src/Mirror.ts"
import * as Origin from "../src/Origin.ts"
import * as Proxy from "../src/Proxy.ts"
import * as Realm from "../src/Realm.ts"

/** A home with files in it. */
const home = Effect.fnUntraced(function*(files: Record<string, string>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = yield* fs.makeTempDirectoryScoped()
  for (const [name, text] of Object.entries(files)) {
    yield* fs.makeDirectory(path.dirname(path.join(root, name)), { recursive: true })
    yield* fs.writeFileString(path.join(root, name), text)
  }
  return root
})

const machine = Effect.gen(function*() {
  return {
    origins: yield* Origin.Origins,
    mirrors: yield* Mirror.Mirrors,
    proxies: yield* Proxy.Proxies,
    trusted: yield* Realm.TrustedRealms
  }
}).pipe(Effect.provide(MachineOrigins.layer))

const within = (env: Record<string, string>) =>
  Effect.provideService(machine, ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env))

const mirrorsOf = (lookup: Mirror.Lookup, name: string) =>
  lookup(Repository.parseUnsafe(name), "tag").mirrors.map(({ repository }) => repository.name)

const conf = (of: string, at: string) => `[[registry]]\nlocation = "${of}"\n[[registry.mirror]]\nlocation = "${at}"\n`

describe("MachineOrigins", () => {
  layer(NodeServices.layer)((it) => {
    it.effect("finds the certificates of a host, in the folders of Docker and of Podman", () =>
      Effect.gen(function*() {
        const root = yield* home({
          ".config/docker/certs.d/a.test:5000/ca.crt": "CA",
          ".config/docker/certs.d/a.test:5000/b.crt": "B",
          ".config/docker/certs.d/a.test:5000/client.cert": "CERT",
          ".config/docker/certs.d/a.test:5000/client.key": "KEY",
          ".config/docker/certs.d/b.test/lonely.cert": "CERT",
          ".config/containers/certs.d/a.test:5000/ca.crt": "ANOTHER",
          ".config/containers/certs.d/c.test/ca.crt": "C",
          ".docker/certs.d/d.test/ca.crt": "D"
        })
        const { origins } = yield* within({ HOME: root })
        const { key, ...rest } = origins("a.test:5000").tls!
        assert.deepStrictEqual(rest, { ca: ["B", "CA"], cert: "CERT" })
        assert.strictEqual(Redacted.value(key!), "KEY")
        assert.deepStrictEqual(origins("c.test").tls, { ca: ["C"] })
        assert.deepStrictEqual(origins("d.test").tls, { ca: ["D"] })
        assert.deepStrictEqual([origins("a.test"), origins("b.test")], [{}, {}])
      }))

    it.effect("reads Docker's mirrors and insecure registries", () =>
      Effect.gen(function*() {
        const root = yield* home({
          ".config/docker/daemon.json": JSON.stringify({
            "registry-mirrors": ["https://m.test", "http://plain.test:5000/hub/", "no url", 5],
            "insecure-registries": ["lab.test:5000", "localhost:5000", "10.0.0.0/8"]
          })
        })
        const { mirrors, origins } = yield* within({ HOME: root })
        const desktop = yield* within({
          HOME: yield* home({ ".docker/daemon.json": "{\"registry-mirrors\":[\"https://d.test\"]}" })
        })
        assert.deepStrictEqual(mirrorsOf(desktop.mirrors, "ubuntu"), ["d.test/library/ubuntu"])
        assert.deepStrictEqual(mirrorsOf(mirrors, "ubuntu"), [
          "m.test/library/ubuntu",
          "plain.test:5000/hub/library/ubuntu"
        ])
        assert.deepStrictEqual(mirrorsOf(mirrors, "ghcr.io/a/b"), [])
        assert.deepInclude(origins("plain.test:5000"), { plainHttp: true })
        assert.deepInclude(origins("lab.test:5000"), { tls: { skipVerify: true } })
        assert.isTrue(Origin.isPlain(origins, Registry.parseUnsafe("localhost:5000")))
        assert.deepStrictEqual(origins("m.test"), {})
      }))

    it.effect("reads Podman's, later files before earlier ones", () =>
      Effect.gen(function*() {
        const root = yield* home({
          ".config/containers/registries.conf": conf("a.test", "one.test") + conf("b.test", "two.test"),
          ".config/containers/registries.conf.d/10.conf": conf("b.test", "three.test"),
          ".config/containers/registries.conf.d/20.conf": conf("b.test", "four.test/b"),
          ".config/containers/registries.conf.d/20.txt": conf("a.test", "five.test")
        })
        const { mirrors } = yield* within({ HOME: root })
        assert.deepStrictEqual(mirrorsOf(mirrors, "a.test/app"), ["one.test/app"])
        assert.deepStrictEqual(mirrorsOf(mirrors, "b.test/app"), ["four.test/b/app"])
      }))

    it.effect("says who blocks what, and has later files unblock it", () =>
      Effect.gen(function*() {
        const blocked = (of: string) => `[[registry]]\nprefix = "${of}"\nblocked = true\n`
        const root = yield* home({
          ".config/containers/registries.conf": blocked("docker.io") + blocked("*.evil.test") + blocked("b.test"),
          ".config/containers/registries.conf.d/10.conf": `[[registry]]\nlocation = "docker.io/library"\n` +
            `[[registry]]\nlocation = "b.test"\n`
        })
        const { mirrors } = yield* within({ HOME: root })
        const by = (name: string) => mirrors(Repository.parseUnsafe(name), "tag").blocked
        const file = `${root}/.config/containers/registries.conf`
        assert.strictEqual(by("acme/app"), `${file}, [[registry]] "docker.io"`)
        assert.strictEqual(by("a.b.evil.test:5000/app"), `${file}, [[registry]] "*.evil.test"`)
        for (const name of ["ubuntu", "evil.test/app", "b.test/app"]) assert.isUndefined(by(name))
      }))

    it.effect("reads the file that is named, and no other", () =>
      Effect.gen(function*() {
        const root = yield* home({
          ".config/containers/registries.conf.d/10.conf": conf("b.test", "three.test"),
          "named.conf": conf("a.test", "one.test")
        })
        const { mirrors } = yield* within({ HOME: root, CONTAINERS_REGISTRIES_CONF: `${root}/named.conf` })
        assert.deepStrictEqual(mirrorsOf(mirrors, "a.test/app"), ["one.test/app"])
        assert.deepStrictEqual(mirrorsOf(mirrors, "b.test/app"), [])
      }))

    it.effect("goes on without a file that makes no sense", () =>
      Effect.gen(function*() {
        const root = yield* home({
          ".config/docker/daemon.json": "{",
          ".config/containers/registries.conf": "[[registry",
          ".config/containers/registries.conf.d/10.conf": conf("b.test", "three.test")
        })
        const { mirrors } = yield* within({ HOME: root })
        assert.deepStrictEqual(mirrorsOf(mirrors, "b.test/app"), ["three.test/app"])
      }))

    it.effect("is told of hosts and of token servers by variables", () =>
      Effect.gen(function*() {
        const { origins, trusted } = yield* within({
          EFFECT_OCI_PLAIN_HTTP: "lab.test:5000, other.test",
          EFFECT_OCI_INTERNAL: "storage.test:9000,lab.test:5000",
          EFFECT_OCI_TOKEN_SERVERS: "registry.test=auth.test:8443, INDEX.docker.io=auth.test:443"
        })
        assert.deepStrictEqual(origins("lab.test:5000"), { internal: true, plainHttp: true })
        assert.deepStrictEqual(origins("other.test"), { internal: true, plainHttp: true })
        assert.deepStrictEqual(origins("storage.test:9000"), { internal: true })
        assert.deepStrictEqual(trusted.get("registry.test"), ["auth.test:8443"])
        assert.deepStrictEqual(trusted.get("docker.io"), ["auth.docker.io", "auth.test"])
        assert.deepStrictEqual(trusted.get("registry.gitlab.com"), ["gitlab.com"])
      }))

    it.effect.each([
      { name: "EFFECT_OCI_PLAIN_HTTP", value: "a.test,http://b.test", said: `"http://b.test" is not host[:port]` },
      { name: "EFFECT_OCI_PLAIN_HTTP", value: "a.test b.test", said: `"a.test b.test" is not host[:port]` },
      { name: "EFFECT_OCI_INTERNAL", value: "a.test:0", said: `"a.test:0" is not host[:port]` },
      { name: "EFFECT_OCI_INTERNAL", value: "10.0.0.0/8", said: `"10.0.0.0/8" is not host[:port]` },
      {
        name: "EFFECT_OCI_TOKEN_SERVERS",
        value: "nonsense,a.test=b.test",
        said: `"nonsense" is not registry[:port]=host[:port]`
      },
      {
        name: "EFFECT_OCI_TOKEN_SERVERS",
        value: "a.test=b.test=c.test",
        said: `"a.test=b.test=c.test" is not registry[:port]=host[:port]`
      },
      {
        name: "EFFECT_OCI_TOKEN_SERVERS",
        value: "a.test=https://b.test",
        said: `"a.test=https://b.test" is not registry[:port]=host[:port]`
      },
      { name: "EFFECT_OCI_TOKEN_SERVERS", value: "=b.test", said: `"=b.test" is not registry[:port]=host[:port]` }
    ])("says of $name=$value what is wrong with it", ({ name, said, value }) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(within({ [name]: value }))
        assert.strictEqual(error._tag, "ConfigError")
        assert.include(error.message, `${name}: ${said}`)
      }))

    it.effect("goes through the proxies of the environment", () =>
      Effect.gen(function*() {
        const { proxies } = yield* within({ https_proxy: "http://proxy.test:3128", no_proxy: "b.test" })
        const via = (url: string) => proxies(new URL(url)) !== undefined
        assert.deepStrictEqual([via("https://a.test"), via("http://a.test"), via("https://b.test")], [
          true,
          false,
          false
        ])
      }))
  })
})
