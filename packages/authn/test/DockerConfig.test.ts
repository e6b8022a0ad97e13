import type * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { AuthnError } from "../src/AuthnError.ts"
import * as Credential from "../src/Credential.ts"
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

const resolve = (value: unknown, repository: string, ask: Parameters<typeof DockerConfig.keychain>[1] = noHelper) =>
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
      ["", "gcr.io/x", "anonymous"],
      [{}, "gcr.io/x", "anonymous"],
      ["{\"auths\":{\"__proto__\":{\"auth\":\"eA==\"}}}", "gcr.io/x", "anonymous"]
    ] as const
  )("in %j finds for %s: %s", ([value, repository, expected]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* resolve(value, repository), expected)
    }))

  it.each([
    ["{", "the file is not JSON"],
    ["[]", "the file is not a JSON object"],
    ["null", "the file is not a JSON object"]
  ])("refuses %j", (text, detail) => {
    const error = Result.getOrThrow(Result.flip(DockerConfig.parse(bytes(text), "config.json")))
    assert.strictEqual(error.message, `credentials from config.json: ${detail}`)
  })

  it.effect.each(["!!!", base64("no colon"), base64(":p")])(
    "fails for the key of a broken entry, and for it alone",
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

  it.prop("never throws", [Schema.fromJsonString(Schema.Json)], ([json]) => {
    DockerConfig.parse(bytes(JSON.stringify({ auths: json, credHelpers: json })), "x")
  })

  const Label = Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9]{0,7}$/))

  it.effect.prop("gives no host's credential to another", [Label, Label], ([a, b]) =>
    Effect.gen(function*() {
      if (a === b) return
      for (
        const [key, host] of [[`${a}.example`, `${b}.example`], [`${a}.example`, `${b}.${a}.example`], [
          `${a}.example`,
          `${a}.example.${b}`
        ]]
      ) {
        assert.strictEqual(yield* resolve({ auths: { [key!]: auth("u:p") } }, `${host}/x`), "anonymous")
      }
    }))

  it("prints no secret, however a credential is printed", () => {
    const printed = [Credential.basic("u", "s3cret"), Credential.bearer("s3cret"), Credential.identityToken("s3cret")]
      .map((
        credential
      ) => [JSON.stringify(credential), String(credential), Credential.identity(credential)])
    assert.notInclude(JSON.stringify(printed), "s3cret")
    assert.strictEqual(Credential.identity(Credential.basic("u", "a")), Credential.identity(Credential.basic("u", "a")))
    assert.notStrictEqual(
      Credential.identity(Credential.basic("u", "a")),
      Credential.identity(Credential.basic("u", "b"))
    )
  })
})
