import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as EnvironmentKeychain from "../src/EnvironmentKeychain.ts"
import { Keychain } from "../src/Keychain.ts"

/** Who asks for a repository: a user and a password. */
const resolve = (env: Record<string, string>, repository: string) =>
  Effect.gen(function*() {
    const keychain = yield* Keychain
    const credential = yield* keychain.resolve(Repository.parseUnsafe(repository))
    return credential._tag === "Basic"
      ? `${credential.username}:${Redacted.value(credential.password)}`
      : credential._tag
  }).pipe(
    Effect.provide(
      Layer.provide(EnvironmentKeychain.layer, ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
    )
  )

const variables = (registry: string, user: string, prefix = "EFFECT_OCI_") => ({
  [`${prefix}REGISTRY`]: registry,
  [`${prefix}USERNAME`]: user,
  [`${prefix}PASSWORD`]: "s3cret"
})

describe("EnvironmentKeychain", () => {
  it.effect.each<readonly [string, string, string]>([
    ["ghcr.io", "ghcr.io/acme/app", "ann:s3cret"],
    ["ghcr.io", "quay.io/acme/app", "Anonymous"],
    ["ghcr.io", "ghcr.io.evil.test/app", "Anonymous"],
    ["ghcr.io", "ghcr.io:444/app", "Anonymous"],
    ["ghcr.io:444", "ghcr.io:444/app", "ann:s3cret"],
    ["ghcr.io/acme", "ghcr.io/acme/app", "ann:s3cret"],
    ["ghcr.io/acme", "ghcr.io/acme-evil/app", "Anonymous"],
    ["ghcr.io/acme", "ghcr.io/other", "Anonymous"],
    ["docker.io", "ubuntu", "ann:s3cret"],
    ["https://index.docker.io/v1/", "ubuntu", "ann:s3cret"]
  ])("with %s gives for %s: %s", ([registry, repository, who]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* resolve(variables(registry, "ann"), repository), who)
    }))

  it.effect("knows nobody where nothing is set, or set to nothing", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* resolve({}, "ghcr.io/app"), "Anonymous")
      const empty = { EFFECT_OCI_REGISTRY: "", EFFECT_OCI_USERNAME: "", EFFECT_OCI_PASSWORD: "" }
      assert.strictEqual(yield* resolve(empty, "ghcr.io/app"), "Anonymous")
    }))

  it.effect("knows a copy's source and target by names of their own", () =>
    Effect.gen(function*() {
      const env = {
        ...variables("a.test", "ann"),
        ...variables("b.test", "bob", "EFFECT_OCI_SOURCE_"),
        ...variables("c.test", "cid", "EFFECT_OCI_TARGET_")
      }
      const users = yield* Effect.forEach(["a", "b", "c", "d"], (host) => resolve(env, `${host}.test/app`))
      assert.deepStrictEqual(users, ["ann:s3cret", "bob:s3cret", "cid:s3cret", "Anonymous"])
    }))

  it.effect.each(["EFFECT_OCI_", "EFFECT_OCI_SOURCE_", "EFFECT_OCI_TARGET_"])(
    "fails where %s variables are incomplete or wrong, naming the variable and no secret",
    (prefix) =>
      Effect.gen(function*() {
        const all = variables("ghcr.io", "ann", prefix)
        const table = [
          [{ ...all, [`${prefix}REGISTRY`]: "" }, "REGISTRY"],
          [{ [`${prefix}PASSWORD`]: "s3cret" }, "REGISTRY"],
          [{ [`${prefix}USERNAME`]: "ann" }, "REGISTRY"],
          [{ ...all, [`${prefix}REGISTRY`]: "not a host" }, "REGISTRY"],
          [{ ...all, [`${prefix}USERNAME`]: "" }, "USERNAME"],
          [{ ...all, [`${prefix}PASSWORD`]: "" }, "PASSWORD"]
        ] as const
        for (const [env, name] of table) {
          const error = yield* Effect.flip(resolve(env, "ghcr.io/app"))
          assert.deepInclude(error, { _tag: "AuthnError", reason: "Malformed", source: prefix + name })
          assert.notInclude(error.message, "s3cret")
        }
      })
  )
})
