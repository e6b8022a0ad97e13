import * as Keychain from "@effect-oci/authn/Keychain"
import * as NodeOci from "@effect-oci/node/NodeOci"
import { Remote } from "@effect-oci/remote/Remote"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import { connect } from "node:net"
import * as DockerRegistry from "../src/DockerRegistry.ts"
import * as EffectOci from "../src/EffectOci.ts"
import * as Generated from "../src/Generated.ts"
import * as Peer from "../src/Peer.ts"

const digestOf = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`

/** A registry of ours with one image in it. */
const seeded = Effect.gen(function*() {
  const host = yield* EffectOci.serve()
  const generated = Generated.make()
  const descriptor = generated.index([["amd64", yield* generated.image([100_000, 2_000_000])]])
  const remote = yield* Remote
  yield* remote.copy({ store: generated, descriptor }, `${host}/from/app:1`)
  return { host, digest: descriptor.digest, digestOf: (name: string) => remote.head(`${host}/${name}`) }
})

/** What `serve` is told for each way to ask who is there, given a file with a password. */
const asking: Record<string, (htpasswd: string) => ReadonlyArray<string>> = {
  anonymous: () => [],
  basic: (htpasswd) => ["--htpasswd", htpasswd],
  bearer: (htpasswd) => ["--htpasswd", htpasswd, "--auth", "bearer"]
}

/** A registry of ours that asks, an image elsewhere to push to it, and a machine on which nobody has logged in yet. */
const prepared = Effect.fnUntraced(function*(ask: (htpasswd: string) => ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  yield* fs.writeFileString(`${folder}/htpasswd`, DockerRegistry.htpasswd)
  yield* fs.writeFileString(`${folder}/note.txt`, "a note")
  const { digest, host: from } = yield* seeded
  const host = yield* EffectOci.serve(ask(`${folder}/htpasswd`))
  const env = { DOCKER_CONFIG: folder, REGCTL_CONFIG: `${folder}/regctl.json`, HOME: folder }
  const { password, username } = DockerRegistry.login
  const asks = ask("").length > 0
  return {
    digest,
    folder,
    from: `${from}/from/app:1`,
    host,
    user: ["-u", username, "-p", password],
    asks,
    run: (name: Peer.Name, ...args: ReadonlyArray<string>) => Peer.run(name, args, { env, cwd: folder }),
    refused: (name: Peer.Name, ...args: ReadonlyArray<string>) =>
      asks ? Effect.flip(Peer.run(name, args, { env, cwd: folder })) : Effect.void
  }
})

const json = (text: string) => Effect.sync(() => JSON.parse(text))

layer(NodeOci.layerWith(Keychain.layerAnonymous), { excludeTestServices: true })("effect-oci serve", (it) => {
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

  for (const [who, ask] of Object.entries(asking)) {
    it.effect(`has crane log in, push, pull, list and delete: ${who}`, () =>
      Effect.gen(function*() {
        const { asks, digest, folder, from, host, refused, run, user } = yield* prepared(ask)
        yield* refused("crane", "copy", from, `${host}/app:1`)
        if (asks) yield* run("crane", "auth", "login", host, ...user)
        yield* run("crane", "copy", from, `${host}/app:1`)
        yield* run("crane", "tag", `${host}/app:1`, "2")
        assert.strictEqual((yield* run("crane", "ls", `${host}/app`)).trim(), "1\n2")
        assert.strictEqual((yield* run("crane", "digest", `${host}/app:2`)).trim(), digest)
        assert.strictEqual((yield* run("crane", "catalog", host)).trim(), "app")
        yield* run("crane", "pull", "--format", "oci", `${host}/app:1`, `${folder}/layout`)
        yield* run("crane", "push", "--index", `${folder}/layout`, `${host}/pushed:1`)
        yield* run("crane", "validate", "--remote", `${host}/pushed:1`)
        yield* run("crane", "delete", `${host}/app@${digest}`)
        assert.strictEqual((yield* run("crane", "ls", `${host}/app`)).trim(), "")
      }))

    it.effect(`has skopeo log in, push, pull, list and delete: ${who}`, () =>
      Effect.gen(function*() {
        const { asks, digest, folder, from, host, refused, run, user } = yield* prepared(ask)
        const plain = ["--insecure-policy"]
        const files = asks ? ["--authfile", `${folder}/config.json`] : []
        const copy = ["copy", "--all", ...files, "--src-tls-verify=false", "--dest-tls-verify=false"]
        const to = `docker://${host}/app:1`
        if (asks) {
          yield* refused(
            "skopeo",
            ...plain,
            "copy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            `docker://${from}`,
            to
          )
        }
        if (asks) yield* run("skopeo", "login", ...files, "--tls-verify=false", ...user, host)
        yield* run("skopeo", ...plain, ...copy, `docker://${from}`, to)
        const tags = yield* run("skopeo", "list-tags", ...files, "--tls-verify=false", `docker://${host}/app`)
        assert.deepStrictEqual((yield* json(tags)).Tags, ["1"])
        yield* run("skopeo", ...plain, ...copy, to, `oci:${folder}/layout:1`)
        const raw = yield* run("skopeo", "inspect", ...files, "--raw", "--tls-verify=false", to)
        assert.strictEqual(digestOf(raw), digest)
        yield* run("skopeo", "delete", ...files, "--tls-verify=false", to)
        yield* Effect.flip(run("skopeo", "inspect", ...files, "--raw", "--tls-verify=false", to))
      }))

    it.effect(`has regctl log in, push, pull, attach, list and delete: ${who}`, () =>
      Effect.gen(function*() {
        const { asks, digest, from, host, refused, run, user } = yield* prepared(ask)
        for (const name of [from.split("/")[0]!, host]) {
          yield* run("regctl", "registry", "set", "--skip-check", "--tls", "disabled", name)
        }
        yield* refused("regctl", "image", "copy", from, `${host}/app:1`)
        if (asks) yield* run("regctl", "registry", "login", host, ...user)
        yield* run("regctl", "image", "copy", from, `${host}/app:1`)
        assert.strictEqual((yield* run("regctl", "tag", "ls", `${host}/app`)).trim(), "1")
        assert.strictEqual((yield* run("regctl", "image", "digest", `${host}/app:1`)).trim(), digest)
        const type = "application/vnd.example.note"
        yield* run(
          "regctl",
          "artifact",
          "put",
          "--artifact-type",
          type,
          "--file",
          "note.txt",
          "--subject",
          `${host}/app:1`
        )
        const list = yield* run("regctl", "artifact", "list", `${host}/app:1`, "--format", "{{json .Manifest}}")
        const { manifests: [note] } = yield* json(list)
        assert.strictEqual(note.artifactType, type)
        const got = yield* run("regctl", "artifact", "get", `${host}/app@${note.digest}`)
        assert.strictEqual(got, "a note")
        yield* run("regctl", "manifest", "delete", `${host}/app@${note.digest}`)
        yield* run("regctl", "tag", "delete", `${host}/app:1`)
        assert.strictEqual((yield* run("regctl", "tag", "ls", `${host}/app`)).trim(), "")
      }))

    it.effect(`has oras log in, push, pull, attach, discover and delete: ${who}`, () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { asks, folder, host, refused, run, user } = yield* prepared(ask)
        const type = "application/vnd.example.note"
        const push = ["push", "--plain-http", "--artifact-type", type, `${host}/note:1`, "note.txt:text/plain"]
        yield* refused("oras", ...push)
        if (asks) yield* run("oras", "login", "--plain-http", ...user, host)
        yield* run("oras", ...push)
        yield* run("oras", "pull", "--plain-http", "-o", `${folder}/pulled`, `${host}/note:1`)
        assert.strictEqual(yield* fs.readFileString(`${folder}/pulled/note.txt`), "a note")
        yield* run(
          "oras",
          "attach",
          "--plain-http",
          "--artifact-type",
          `${type}.sig`,
          `${host}/note:1`,
          "note.txt:text/plain"
        )
        yield* run(
          "oras",
          "attach",
          "--plain-http",
          "--artifact-type",
          `${type}.sbom`,
          `${host}/note:1`,
          "note.txt:text/plain"
        )
        const discover = [
          "discover",
          "--plain-http",
          "--format",
          "json",
          "--artifact-type",
          `${type}.sig`,
          `${host}/note:1`
        ]
        const { referrers } = yield* json(yield* run("oras", ...discover))
        assert.deepStrictEqual(referrers.map((referrer: { artifactType: string }) => referrer.artifactType), [
          `${type}.sig`
        ])
        assert.strictEqual((yield* run("oras", "repo", "tags", "--plain-http", `${host}/note`)).trim(), "1")
        assert.strictEqual((yield* run("oras", "repo", "ls", "--plain-http", host)).trim(), "note")
        yield* run("oras", "manifest", "delete", "--plain-http", "--force", `${host}/note:1`)
        yield* Effect.flip(run("oras", "pull", "--plain-http", `${host}/note:1`))
      }))
  }

  it.effect("stands for another registry, and gives from what it kept when that is gone", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const upstream = yield* Scope.make()
      const { digest, host: from } = yield* Scope.provide(seeded, upstream)
      const host = yield* EffectOci.serve(["--proxy", from])
      yield* Peer.run("crane", ["validate", "--remote", `${host}/from/app:1`])
      assert.strictEqual((yield* Peer.run("crane", ["digest", `${host}/from/app:1`])).trim(), digest)
      yield* Effect.flip(Peer.run("crane", ["copy", `${from}/from/app:1`, `${host}/mine:1`]))
      yield* Scope.close(upstream, Exit.void)
      yield* Peer.run("crane", ["pull", "--format", "oci", `${host}/from/app@${digest}`, `${folder}/layout`])
      const client = yield* HttpClient.HttpClient
      assert.strictEqual((yield* client.get(`http://${host}/v2/from/app/manifests/1`)).status, 502)
    }))

  it.effect("A82: refuses what no rule allows, though it knows no users, and does not start with what is no rule", () =>
    Effect.gen(function*() {
      const host = yield* EffectOci.serve(["--allow", ":public/**:pull"])
      const client = yield* HttpClient.HttpClient
      const status = (name: string) =>
        Effect.map(client.get(`http://${host}/v2/${name}/tags/list`), ({ status }) => status)
      assert.deepStrictEqual([yield* status("public/a"), yield* status("a")], [404, 401])
      const wrong = yield* EffectOci.run(["serve", "--allow", "ann:**"])
      assert.deepStrictEqual([wrong.code, wrong.stdout], [1, ""])
      assert.include(wrong.stderr, `Invalid rule "ann:**"`)
    }))

  it.effect("A56: closes a connection whose headers do not come to an end", () =>
    Effect.gen(function*() {
      const host = yield* EffectOci.serve()
      const heard = yield* Effect.callback<string>((resume) => {
        const socket = connect(
          Number(host.split(":")[1]),
          "127.0.0.1",
          () => socket.write("GET /v2/ HTTP/1.1\r\nHost: ")
        )
        let text = ""
        socket.on("data", (chunk) => text += chunk).on("close", () => resume(Effect.succeed(text)))
      }).pipe(Effect.timeout("15 seconds"))
      assert.match(heard, /^HTTP\/1.1 408 /)
    }))

  it.effect("serves over TLS to who trusts its certificate", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const { digest, host: from } = yield* seeded
      const address = yield* EffectOci.serve(["--tls", folder])
      const host = address.replace("127.0.0.1", "localhost")
      const env = { SSL_CERT_FILE: `${folder}/cert.pem` }
      const copy = ["--insecure-policy", "copy", "--all"]
      const push = ["--src-tls-verify=false", `docker://${from}/from/app:1`, `docker://${host}/app:1`]
      yield* Peer.run("skopeo", [...copy, ...push], { env })
      yield* Peer.run("skopeo", [...copy, `docker://${host}/app:1`, `oci:${folder}/layout:1`], { env })
      const untrusted = yield* Effect.flip(Peer.run("skopeo", ["inspect", "--raw", `docker://${host}/app:1`]))
      assert.include(untrusted.message, "certificate")
      const raw = yield* Peer.run("skopeo", ["inspect", "--raw", `docker://${host}/app:1`], { env })
      assert.strictEqual(digestOf(raw), digest)
    }))
})
