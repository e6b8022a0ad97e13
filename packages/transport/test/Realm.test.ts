import * as Registry from "@effect-oci/name/Registry"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Realm from "../src/Realm.ts"

const isTrusted = (realm: string, name: string) =>
  Effect.map(Realm.TrustedRealms, (trusted) => {
    const registry = Registry.parseUnsafe(name)
    const origin = new URL(`https://${Registry.apiHost(registry)}`)
    return Result.map(Realm.parse(realm, registry, origin, trusted), (realm) => realm.isTrusted)
  })

describe("Realm", () => {
  it.effect.each(
    [
      ["https://auth.docker.io/token", "docker.io", true],
      ["https://auth.docker.io/token", "ghcr.io", false],
      ["https://auth.docker.io:8443/token", "docker.io", false],
      ["https://auth.docker.io.evil.test/token", "docker.io", false],
      ["https://docker.io/token", "docker.io", false],
      ["https://gitlab.com/jwt/auth", "registry.gitlab.com", true],
      ["https://gitlab.com/jwt/auth", "registry.gitlab.example", false],
      ["https://ghcr.io/token", "ghcr.io", true],
      ["https://GHCR.IO/token", "ghcr.io", true],
      ["https://ghcr.io:5001/token", "ghcr.io", true],
      ["https://ghcr.io/token", "ghcr.io:5000", true],
      ["https://pkg.ghcr.io/token", "ghcr.io", false],
      ["https://io/token", "ghcr.io", false]
    ] as const
  )("%s for %s", ([realm, name, expected]) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* isTrusted(realm, name), Result.succeed(expected))
    }))

  it.effect.each(["", "token", "/token", "ftp://ghcr.io/", "http://ghcr.io/token", "https://a@ghcr.io/", "https://"])(
    "is not %j",
    (realm) =>
      Effect.gen(function*() {
        assert.isTrue(Result.isFailure(yield* isTrusted(realm, "ghcr.io")))
      })
  )

  it("may be by http where the registry is", () => {
    const registry = Registry.parseUnsafe("localhost:5000")
    const parsed = Realm.parse("http://localhost:5001/token", registry, new URL("http://localhost:5000"), new Map())
    assert.isTrue(Result.getOrThrow(parsed).isTrusted)
  })

  it.prop("never throws, and trusts no other host", [Schema.String], ([text]) => {
    const registry = Registry.parseUnsafe("ghcr.io")
    for (const realm of [text, `https://${text}`, `https://ghcr.io${text}`, `https://${text}ghcr.io/`]) {
      const parsed = Realm.parse(realm, registry, new URL("https://ghcr.io"), new Map())
      if (Result.isSuccess(parsed) && parsed.success.isTrusted) {
        assert.strictEqual(parsed.success.url.hostname, "ghcr.io")
      }
    }
  })
})
