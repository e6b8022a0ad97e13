import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as CredentialFile from "../src/CredentialFile.ts"
import type * as CredentialKey from "../src/CredentialKey.ts"
import * as FileKeychain from "../src/FileKeychain.ts"
import { install } from "./helper.ts"

const ghcr = Registry.parseUnsafe("ghcr.io")
const secret = Redacted.make("s3cret:with:colons")

const folder = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.makeTempDirectoryScoped()
})

const who = (file: string, resource: CredentialKey.Resource) =>
  Effect.gen(function*() {
    const credential = yield* (yield* FileKeychain.make(file))(resource)
    return credential._tag === "Basic"
      ? `${credential.username} ${Redacted.value(credential.password)}`
      : credential._tag === "IdentityToken"
      ? `token ${Redacted.value(credential.token)}`
      : credential._tag
  })

describe("CredentialFile", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("writes what its reader finds, and forgets it", () =>
      Effect.gen(function*() {
        const file = `${yield* folder}/new/config.json`
        const team = Repository.parseUnsafe("quay.io/team")
        yield* CredentialFile.login(file, ghcr.name, "ann", secret)
        yield* CredentialFile.login(file, Registry.dockerHub.name, "<token>", secret)
        yield* CredentialFile.login(file, team.name, "ben", secret)
        assert.strictEqual(yield* who(file, ghcr), "ann s3cret:with:colons")
        assert.strictEqual(yield* who(file, Registry.dockerHub), "token s3cret:with:colons")
        assert.strictEqual(yield* who(file, Repository.parseUnsafe("quay.io/team/app")), "ben s3cret:with:colons")
        assert.strictEqual(yield* who(file, Repository.parseUnsafe("quay.io/other")), "Anonymous")
        yield* CredentialFile.login(file, ghcr.name, "carl", secret)
        assert.strictEqual(yield* who(file, ghcr), "carl s3cret:with:colons")
        for (const resource of [ghcr, Registry.dockerHub, team]) yield* CredentialFile.logout(file, resource.name)
        const fs = yield* FileSystem.FileSystem
        assert.deepStrictEqual(JSON.parse(yield* fs.readFileString(file)), { auths: {} })
      }))

    it.effect("A68: writes a file that only its owner can read, and leaves no other behind", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const home = yield* folder
        const file = `${home}/config.json`
        yield* fs.writeFileString(file, "{}", { mode: 0o644 })
        yield* CredentialFile.login(file, ghcr.name, "ann", secret)
        assert.strictEqual((yield* fs.stat(file)).mode & 0o777, 0o600)
        assert.deepStrictEqual(yield* fs.readDirectory(home), ["config.json"])
      }))

    it.effect("A68: keeps a link a link", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const home = yield* folder
        yield* fs.makeDirectory(`${home}/dotfiles`)
        for (const target of ["dotfiles/there.json", "dotfiles/not-yet.json"]) {
          if (target.includes("there")) yield* fs.writeFileString(`${home}/${target}`, "{\"x\":1}")
          yield* fs.symlink(target, `${home}/link.json`)
          yield* CredentialFile.login(`${home}/link.json`, ghcr.name, "ann", secret)
          assert.strictEqual(yield* fs.readLink(`${home}/link.json`), target)
          assert.strictEqual(yield* who(`${home}/${target}`, ghcr), "ann s3cret:with:colons")
          yield* fs.remove(`${home}/link.json`)
        }
      }))

    it.effect("A68: loses nothing to others that write at the same time", () =>
      Effect.gen(function*() {
        const file = `${yield* folder}/config.json`
        const registries = Array.from({ length: 20 }, (_, i) => Registry.parseUnsafe(`r${i}.example`))
        yield* Effect.forEach(registries, (registry) =>
          CredentialFile.login(file, registry.name, registry.name, secret), {
          concurrency: "unbounded"
        })
        for (const registry of registries) {
          assert.strictEqual(yield* who(file, registry), `${registry.name} s3cret:with:colons`)
        }
      }))

    it.effect("keeps whatever else a file says", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${yield* folder}/config.json`
        const others =
          "\"big\": 12345678901234567890.50,\n  \"__proto__\": {\n    \"a\": [\n      1e400,\n      null\n    ]\n  },\n" +
          "  \"HttpHeaders\": {\n    \"X-Meta\": \"ü\\\"\\u0001\"\n  }"
        const text =
          `{\n  ${others},\n  "auths": {\n    "quay.io": {\n      "auth": "@@@",\n      "email": "a@b.c"\n    }\n  }\n}\n`
        yield* fs.writeFileString(file, text)
        yield* CredentialFile.login(file, ghcr.name, "ann", secret)
        const after = yield* fs.readFileString(file)
        assert.isTrue(after.startsWith(`{\n  ${others},\n  "auths": {\n    "quay.io": {\n      "auth": "@@@",`), after)
        yield* CredentialFile.logout(file, ghcr.name)
        assert.strictEqual(yield* fs.readFileString(file), text)
      }))

    it.effect.prop(
      "keeps any other value as it is",
      { json: Schema.Record(Schema.String, Schema.Json) },
      ({ json }) =>
        Effect.gen(function*() {
          const fs = yield* FileSystem.FileSystem
          const file = `${yield* folder}/config.json`
          const { auths: _, credHelpers: __, credsStore: ___, ...others } = json
          const before = JSON.stringify(others)
          yield* fs.writeFileString(file, before)
          yield* CredentialFile.login(file, ghcr.name, "ann", secret)
          const { auths, ...after } = JSON.parse(yield* fs.readFileString(file))
          assert.deepStrictEqual(Object.keys(auths), ["ghcr.io"])
          assert.strictEqual(JSON.stringify(after), JSON.stringify(JSON.parse(before)))
        }),
      { arbitrary: { runs: 30 } }
    )

    it.effect("replaces a registry's credentials under each of its names", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${yield* folder}/config.json`
        const old = { auth: "eDp5" }
        const auths = { "docker.io": old, "https://index.docker.io/v2/": old, "docker.io/library": old, "quay.io": old }
        yield* fs.writeFileString(file, JSON.stringify({ auths }))
        yield* CredentialFile.login(file, Registry.dockerHub.name, "ann", secret)
        assert.strictEqual(yield* who(file, Registry.dockerHub), "ann s3cret:with:colons")
        const after = JSON.parse(yield* fs.readFileString(file))
        assert.deepStrictEqual(Object.keys(after.auths), [
          "docker.io/library",
          "quay.io",
          "https://index.docker.io/v1/"
        ])
      }))

    it.effect("gives credentials to the helper that the file names, and writes down no secret", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const file = `${yield* folder}/config.json`
        const kept = yield* install(
          "keep",
          "f=\"$(dirname \"$0\")/kept\"; case $1 in store) cat > \"$f\";; erase) rm \"$f\";; get) cat \"$f\" 2>/dev/null || " +
            "{ echo 'credentials not found in native keychain'; exit 1; };; esac"
        )
        for (const config of [{ credsStore: "keep" }, { credHelpers: { "*.io": "keep" } }]) {
          yield* fs.writeFileString(file, JSON.stringify({ ...config, auths: { "ghcr.io": { auth: "eDp5" } } }))
          yield* CredentialFile.login(file, ghcr.name, "ann", secret)
          assert.deepStrictEqual(JSON.parse(yield* fs.readFileString(file)), { ...config, auths: { "ghcr.io": {} } })
          assert.strictEqual(yield* who(file, ghcr), "ann s3cret:with:colons")
          yield* CredentialFile.logout(file, ghcr.name)
          assert.isFalse(yield* fs.exists(`${kept}/kept`))
          assert.strictEqual(yield* who(file, ghcr), "Anonymous")
        }
      }))

    it.effect("changes nothing when it fails", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const home = yield* folder
        const file = `${home}/config.json`
        yield* install("fails", "exit 1")
        for (const text of ["{", "[]", "{\"auths\":[]}", "{\"credsStore\":\"fails\"}"]) {
          yield* fs.writeFileString(file, text)
          const error = yield* Effect.flip(CredentialFile.login(file, ghcr.name, "ann", secret))
          assert.notInclude(error.message, "s3cret")
          assert.strictEqual(yield* fs.readFileString(file), text)
          assert.deepStrictEqual(yield* fs.readDirectory(home), ["config.json"])
        }
        assert.strictEqual(
          (yield* Effect.flip(CredentialFile.login(file, ghcr.name, "a:b", secret))).reason,
          "Malformed"
        )
        assert.include((yield* Effect.flip(CredentialFile.login(file, ghcr.name, "", secret))).message, "not empty")
        assert.include((yield* Effect.flip(CredentialFile.login(file, "a b", "u", secret))).message, "\"a b\"")
        yield* fs.writeFileString(`${file}.lock`, "")
        const locked = yield* Effect.flip(CredentialFile.login(file, ghcr.name, "ann", secret))
        assert.include(locked.message, `${file}.lock`)
        assert.isTrue(yield* fs.exists(`${file}.lock`))
      }), 20_000)
  })
})
