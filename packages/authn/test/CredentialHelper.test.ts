import * as Registry from "@effect-oci/name/Registry"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Redacted from "effect/Redacted"
import * as path from "node:path"
import * as CredentialHelper from "../src/CredentialHelper.ts"
import { install } from "./helper.ts"

const ghcr = Registry.parseUnsafe("ghcr.io")

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
        ["says its secret is a number", "echo '{\"Username\":\"s3cret\",\"Secret\":1}'", "HelperOutput"],
        ["prints two answers", "echo '{\"Username\":\"u\",\"Secret\":\"s3cret\"}{}'", "HelperOutput"],
        ["says nothing", "exit 0", "HelperOutput"],
        ["says nothing and fails", "cat >/dev/null; exit 1", "HelperFailed"],
        ["hangs", "exec sleep 60", "HelperTimedOut"],
        ["hangs and will not end", "trap '' TERM; while :; do sleep 0.1; done", "HelperTimedOut"],
        ["answers and does not end", "echo '{}'; exec >&-; exec sleep 60", "HelperTimedOut"],
        ["leaves a child behind", "sleep 60 & echo '{}'", "HelperTimedOut"]
      ] as const
    )("A18: is a failure when it %s, which tells no secret", ([, script, reason]) =>
      Effect.gen(function*() {
        yield* install("broken", script)
        const [taken, error] = yield* Effect.timed(
          Effect.flip(
            CredentialHelper.get("broken", ghcr, { timeout: reason === "HelperTimedOut" ? "300 millis" : "20 seconds" })
          )
        )
        assert.isBelow(Duration.toSeconds(taken), 10)
        assert.strictEqual(error.reason, reason)
        assert.notInclude(error.message, "s3cret")
        assert.include(error.message, "docker-credential-broken")
      }))

    it.effect("A17: is not found in a folder that depends on where somebody is", () =>
      Effect.gen(function*() {
        const folder = yield* install("here", "echo '{\"Username\":\"u\",\"Secret\":\"p\"}'")
        assert.strictEqual((yield* CredentialHelper.get("here", ghcr))._tag, "Basic")
        const PATH = `${path.relative(process.cwd(), folder)}:.::/usr/bin:/bin`
        const error = yield* Effect.flip(CredentialHelper.get("here", ghcr)).pipe(
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({ PATH })))
        )
        assert.strictEqual(error.reason, "HelperMissing")
      }))

    it.effect("is missing", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(CredentialHelper.get("not-installed", ghcr))
        assert.strictEqual(error.reason, "HelperMissing")
      }))

    it.effect("may leave the registry unread", () =>
      Effect.gen(function*() {
        yield* install("deaf", "exec <&-; echo '{\"Username\":\"u\",\"Secret\":\"p\"}'")
        assert.strictEqual((yield* CredentialHelper.get("deaf", ghcr))._tag, "Basic")
      }))

    it.effect("is given credentials to keep and to forget", () =>
      Effect.gen(function*() {
        const folder = yield* install("keeps", "cat > \"$(dirname \"$0\")/$1\"")
        const fs = yield* FileSystem.FileSystem
        yield* CredentialHelper.store("keeps", Registry.dockerHub, "u", Redacted.make("p"))
        assert.deepStrictEqual(JSON.parse(yield* fs.readFileString(`${folder}/store`)), {
          ServerURL: "https://index.docker.io/v1/",
          Username: "u",
          Secret: "p"
        })
        yield* CredentialHelper.erase("keeps", ghcr)
        assert.strictEqual(yield* fs.readFileString(`${folder}/erase`), "ghcr.io")
      }))

    it.effect("is asked once for a registry, however many wait, and again when the answer is old", () =>
      Effect.gen(function*() {
        const folder = yield* install(
          "counts",
          "cat >> \"$(dirname \"$0\")/asked\"; sleep 0.2; echo '{\"Username\":\"u\",\"Secret\":\"p\"}'"
        )
        const fs = yield* FileSystem.FileSystem
        const asked = fs.readFileString(`${folder}/asked`)
        const ask = yield* CredentialHelper.makeAsk({ keep: "1 second" })
        const all = yield* Effect.all(Array.from({ length: 50 }, () => ask("counts", ghcr)), {
          concurrency: "unbounded"
        })
        assert.strictEqual(new Set(all).size, 1)
        assert.strictEqual(yield* asked, "ghcr.io")
        yield* Effect.sleep("1 second")
        yield* ask("counts", ghcr)
        assert.strictEqual(yield* asked, "ghcr.ioghcr.io")
      }))

    it.effect("is not believed to be broken for ever", () =>
      Effect.gen(function*() {
        const folder = yield* install(
          "heals",
          "echo x >> \"$(dirname \"$0\")/asked\"; test $(wc -l < \"$(dirname \"$0\")/asked\") -gt 1 || exit 1; " +
            "echo '{\"Username\":\"u\",\"Secret\":\"p\"}'"
        )
        const fs = yield* FileSystem.FileSystem
        const ask = yield* CredentialHelper.makeAsk({ keepFailure: "500 millis" })
        assert.strictEqual((yield* Effect.flip(ask("heals", ghcr))).reason, "HelperFailed")
        assert.strictEqual((yield* Effect.flip(ask("heals", ghcr))).reason, "HelperFailed")
        assert.strictEqual(yield* fs.readFileString(`${folder}/asked`), "x\n")
        yield* Effect.sleep("500 millis")
        assert.strictEqual((yield* ask("heals", ghcr))._tag, "Basic")
      }))

    it.effect("holds up nobody again soon when it hung", () =>
      Effect.gen(function*() {
        const folder = yield* install("hangs", "echo x >> \"$(dirname \"$0\")/asked\"; exec sleep 60")
        const fs = yield* FileSystem.FileSystem
        const ask = yield* CredentialHelper.makeAsk({ timeout: "1 second" })
        for (let i = 0; i < 3; i++) {
          assert.strictEqual((yield* Effect.flip(ask("hangs", ghcr))).reason, "HelperTimedOut")
        }
        assert.strictEqual(yield* fs.readFileString(`${folder}/asked`), "x\n")
      }))

    it.effect.each([
      "",
      " ",
      ".",
      "..",
      "../../tmp/x",
      "/bin/sh",
      "a b",
      "a;b",
      "a\0b",
      "a\nb",
      "$(id)",
      "`id`",
      "a|b",
      "a&b",
      "-x",
      ".x",
      "_x",
      "a/b",
      "a\\b",
      "C:x",
      "ü",
      "%41",
      "x".repeat(65)
    ])(
      "A17: is never started under the name %j",
      (name) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* Effect.flip(CredentialHelper.get(name, ghcr))).reason, "HelperName")
        })
    )
  })
})
