import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Resource } from "../src/CredentialKey.ts"
import * as GitHubKeychain from "../src/GitHubKeychain.ts"
import { Keychain } from "../src/Keychain.ts"

const resolve = (env: Record<string, string>, resource: Resource = Repository.parseUnsafe("ghcr.io/acme/app")) =>
  Effect.gen(function*() {
    const credential = yield* (yield* Keychain).resolve(resource)
    return credential._tag === "Basic"
      ? `${credential.username}:${Redacted.value(credential.password)}`
      : credential._tag
  }).pipe(
    Effect.provide(
      Layer.provide(GitHubKeychain.layer, ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
    )
  )

describe("GitHubKeychain", () => {
  const env = { GITHUB_TOKEN: "s3cret", GITHUB_ACTOR: "ann" }

  it.effect("gives the workflow's token to ghcr.io, for the registry and for each repository of it", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* resolve(env), "ann:s3cret")
      assert.strictEqual(yield* resolve(env, Registry.parseUnsafe("GHCR.io")), "ann:s3cret")
    }))

  it.effect.each([
    "docker.io",
    "ghcr.io:444",
    "sub.ghcr.io",
    "ghcr.io.evil.test",
    "docker.pkg.github.com",
    "localhost:5000"
  ])("gives it to nobody else: not to %s", (host) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* resolve(env, Repository.parseUnsafe(`${host}/acme/ghcr.io`)), "Anonymous")
      assert.strictEqual(yield* resolve(env, Registry.parseUnsafe(host)), "Anonymous")
    }))

  it.effect("needs no name beside the token, and is nobody without a token", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* resolve({ GITHUB_TOKEN: "s3cret" }), "token:s3cret")
      assert.strictEqual(yield* resolve({ GITHUB_TOKEN: "s3cret", GITHUB_ACTOR: "" }), "token:s3cret")
      assert.strictEqual(yield* resolve({ GITHUB_ACTOR: "ann" }), "Anonymous")
      assert.strictEqual(yield* resolve({ GITHUB_ACTOR: "ann", GITHUB_TOKEN: "" }), "Anonymous")
    }))
})
