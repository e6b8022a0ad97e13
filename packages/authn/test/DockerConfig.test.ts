import type * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { AuthnError } from "../src/AuthnError.ts"
import * as Credential from "../src/Credential.ts"
import type * as CredentialHelper from "../src/CredentialHelper.ts"
import * as DockerConfig from "../src/DockerConfig.ts"

const base64 = (text: string) => Buffer.from(text).toString("base64")
const bytes = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value))
const config = (value: unknown) => Result.getOrThrow(DockerConfig.parse(bytes(value), "config.json"))

const noHelper = (name: string) =>
  Effect.fail(new AuthnError({ source: name, reason: "HelperMissing", detail: "none" }))

/** Who asks for a repository, in one word. */
const show = (credential: Credential.Credential): string => {
  switch (credential._tag) {
    case "Anonymous":
      return "anonymous"
    case "Basic":
      return `${credential.username}:${Redacted.value(credential.password)}`
    case "Bearer":
      return `bearer ${Redacted.value(credential.token)}`
    case "IdentityToken":
      return `identity ${Redacted.value(credential.token)}`
  }
}

const resolve = (value: unknown, repository: string, ask: CredentialHelper.Ask = noHelper) =>
  Effect.map(DockerConfig.keychain(config(value), ask)(Repository.parseUnsafe(repository)), show)

const auth = (pair: string) => ({ auth: base64(pair) })

describe("DockerConfig", () => {
  it.effect.each(
    [
      [{ auths: { "docker.io": auth("u:p") } }, "ubuntu", "u:p"],
      [{ auths: { "index.docker.io": auth("u:p") } }, "ubuntu", "u:p"],
      [{ auths: { "https://index.docker.io/v1/": auth("u:p") } }, "ubuntu", "u:p"],
      [{ auths: { "https://index.docker.io/v2/": auth("u:p") } }, "ubuntu", "u:p"],
      [{ auths: { "quay.io/ns": auth("u:p") } }, "quay.io/ns/img", "u:p"],
      [{ auths: { "quay.io/ns": auth("u:p") } }, "quay.io/other/img", "anonymous"],
      [{ auths: { "quay.io/ns": auth("u:p") } }, "quay.io/nsx/img", "anonymous"],
      [
        { auths: { "quay.io/ns": auth("a:1"), "quay.io": auth("b:2"), "quay.io/ns/img": auth("c:3") } },
        "quay.io/ns/img",
        "c:3"
      ],
      [{ auths: { "quay.io/ns": auth("a:1"), "quay.io": auth("b:2") } }, "quay.io/ns/img", "a:1"],
      [{ auths: { "quay.io/ns": auth("a:1"), "quay.io": auth("b:2") } }, "quay.io/x/img", "b:2"],
      [{ auths: { "https://gcr.io/v2/": auth("u:p") } }, "gcr.io/x", "u:p"],
      [{ auths: { "gcr.io": auth("u:p") } }, "eu.gcr.io/x", "anonymous"],
      [{ auths: { "gcr.io": auth("u:p") } }, "gcr.io.evil.test/x", "anonymous"],
      [{ auths: { "gcr.io": auth("u:p") } }, "gcr.io:444/x", "anonymous"],
      [{ auths: { "gcr.io": auth("u:with:colons") } }, "gcr.io/x", "u:with:colons"],
      [{ auths: { "gcr.io": auth("u:") } }, "gcr.io/x", "u:"],
      [{ auths: { "gcr.io": { auth: base64("user:pa").replace(/=+$/, "") } } }, "gcr.io/x", "user:pa"],
      [{ auths: { "gcr.io": { username: "u", password: "p" } } }, "gcr.io/x", "u:p"],
      [{ auths: { "gcr.io": { identitytoken: "t" } } }, "gcr.io/x", "identity t"],
      [{ auths: { "gcr.io": { ...auth("u:p"), identitytoken: "t" } } }, "gcr.io/x", "identity t"],
      [{ auths: { "gcr.io": { registrytoken: "t" } } }, "gcr.io/x", "bearer t"],
      [{ auths: { "gcr.io": auth("<token>:t") } }, "gcr.io/x", "identity t"],
      [{ auths: { "gcr.io": {} } }, "gcr.io/x", "anonymous"],
      [{ auths: { "bad.example": { auth: "!!!" }, "gcr.io": auth("u:p") } }, "gcr.io/x", "u:p"],
      [{ auths: [] }, "gcr.io/x", "anonymous"],
      [{ auths: null, credsStore: 1, credHelpers: "x" }, "gcr.io/x", "anonymous"],
      ["\ufeff{\"auths\":{\"gcr.io\":{\"username\":\"u\",\"password\":\"p\"}}}", "gcr.io/x", "u:p"],
      [{ auths: { "gcr.io": auth("u:p\0\0") } }, "gcr.io/x", "u:p"],
      [{ auths: { "gcr.io": auth("ü:pä") } }, "gcr.io/x", "ü:pä"],
      [{ auths: { "gcr.io": { auth: 1, username: ["u"], password: {} } } }, "gcr.io/x", "anonymous"],
      [{ auths: { "gcr.io": "u:p", "ghcr.io": auth("u:p") } }, "ghcr.io/x", "u:p"],
      [{ auths: { "u:p@gcr.io": auth("u:p"), "gcr.io\n": auth("u:p") } }, "gcr.io/x", "anonymous"],
      [{ auths: { "": auth("u:p"), "/": auth("u:p"), "https://": auth("u:p") } }, "gcr.io/x", "anonymous"],
      [{ auths: { "*": auth("u:p"), "*.io": auth("u:p"), "gcr.*": auth("u:p") } }, "gcr.io/x", "anonymous"],
      [{ auths: { "gcr.io": {}, "https://gcr.io": auth("u:p") } }, "gcr.io/x", "u:p"],
      [{ auths: { "GCR.io": auth("u:p") } }, "gcr.io/x", "u:p"],
      [{ auths: { "HTTPS://gcr.io/": auth("u:p") } }, "gcr.io/x", "u:p"],
      [{ auths: { "gcr.io//x": auth("u:p"), "gcr.io/x/../y": auth("u:p") } }, "gcr.io/x", "anonymous"],
      ["", "gcr.io/x", "anonymous"],
      [{}, "gcr.io/x", "anonymous"],
      ["{\"auths\":{\"__proto__\":{\"auth\":\"eA==\"}}}", "gcr.io/x", "anonymous"]
    ] as const
  )("A19 in %j finds for %s: %s", ([value, repository, expected]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* resolve(value, repository), expected)
    }))

  it.each([
    ["{", "it is not JSON"],
    ["[]", "it is not a JSON object"],
    ["null", "it is not a JSON object"]
  ])("A19 refuses %j", (text, detail) => {
    const error = Result.getOrThrow(Result.flip(DockerConfig.parse(bytes(text), "config.json")))
    assert.strictEqual(error.message, `credentials from config.json: ${detail}`)
  })

  it.effect.each(["!!!", base64("no colon"), base64(":p")])(
    "A19 fails for the key of a broken entry, and for it alone",
    (broken) =>
      Effect.gen(function*() {
        const value = { auths: { "gcr.io": { auth: broken }, "ghcr.io": auth("u:p") } }
        const error = yield* Effect.flip(resolve(value, "gcr.io/x"))
        assert.include(error.message, "\"gcr.io\"")
        assert.notInclude(error.message, broken)
        assert.strictEqual(yield* resolve(value, "ghcr.io/x"), "u:p")
      })
  )

  it.effect("asks the helper of a registry before the helper of all", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const ask = (name: string, registry: Registry.Registry) =>
        Effect.sync(() => {
          asked.push(`${name} ${registry.name}`)
          return Credential.basic(name, "p")
        })
      const value = { credsStore: "all", credHelpers: { "gcr.io": "own", "index.docker.io": "hub" } }
      assert.strictEqual(yield* resolve(value, "gcr.io/x", ask), "own:p")
      assert.strictEqual(yield* resolve(value, "ghcr.io/x", ask), "all:p")
      assert.strictEqual(yield* resolve(value, "ubuntu", ask), "hub:p")
      assert.deepStrictEqual(asked, ["own gcr.io", "all ghcr.io", "hub docker.io"])
    }))

  it.effect.each(
    [
      ["*.dkr.ecr.*.amazonaws.com", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/x", true],
      ["*.dkr.ecr.*.amazonaws.com", "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.test/x", false],
      ["*.dkr.ecr.*.amazonaws.com", "a.b.dkr.ecr.eu-west-1.amazonaws.com/x", false],
      ["*.dkr.ecr.*.amazonaws.com", "dkr.ecr.eu-west-1.amazonaws.com/x", false],
      ["*-docker.pkg.dev", "europe-west1-docker.pkg.dev/p/r/i", true],
      ["*-docker.pkg.dev", "europe-west1-docker.pkg.dev:444/p/r/i", false],
      ["*.example.com:5000", "a.example.com:5000/x", true],
      ["*.example.com/team", "a.example.com/team/x", true],
      ["*.example.com/team", "a.example.com/teams/x", false]
    ] as const
  )("asks the helper of %s for %s: %s", ([pattern, repository, isAsked]) =>
    Effect.gen(function*() {
      const ask = (name: string) => Effect.succeed(Credential.basic(name, "p"))
      assert.strictEqual(
        yield* resolve({ credHelpers: { [pattern]: "ecr-login" } }, repository, ask),
        isAsked ? "ecr-login:p" : "anonymous"
      )
    }))

  it.effect("prefers what is said about a host to what is said about many", () =>
    Effect.gen(function*() {
      const ask = (name: string) => Effect.succeed(Credential.basic(name, "p"))
      const value = {
        auths: { "c.example.com": auth("own:p") },
        credHelpers: { "*.com": "no", "*.example.com": "many", "b*.example.com": "more", "a.example.com": "one" }
      }
      assert.strictEqual(yield* resolve(value, "a.example.com/x", ask), "one:p")
      assert.strictEqual(yield* resolve(value, "b1.example.com/x", ask), "more:p")
      assert.strictEqual(yield* resolve(value, "c.example.com/x", ask), "own:p")
      assert.strictEqual(yield* resolve(value, "d.example.com/x", ask), "many:p")
    }))

  it.effect("believes the entry of a registry whose helper knows nobody", () =>
    Effect.gen(function*() {
      const nobody = () => Effect.succeed(Credential.anonymous)
      const value = { auths: { "gcr.io": auth("u:p") }, credHelpers: { "gcr.io": "own" }, credsStore: "all" }
      assert.strictEqual(yield* resolve(value, "gcr.io/x", nobody), "u:p")
    }))

  it("A19 refuses a config larger than 8 MiB", () => {
    const error = Result.getOrThrow(Result.flip(DockerConfig.parse(new Uint8Array(8 * 1024 * 1024 + 1).fill(32), "x")))
    assert.strictEqual(error.reason, "Malformed")
  })

  it.prop("A19 never throws", [Schema.fromJsonString(Schema.Json)], ([json]) => {
    DockerConfig.parse(bytes(JSON.stringify({ auths: json, credHelpers: json })), "x")
  })
})
