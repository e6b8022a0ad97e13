import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as RegistriesConf from "../src/RegistriesConf.ts"

const parse = (text: string) => Result.getOrThrow(RegistriesConf.parse(text))

describe("RegistriesConf", () => {
  it("reads mirrors, and what is insecure", () => {
    const { mirrors, origins } = parse(`
unqualified-search-registries = ["docker.io"]
short-name-mode = "enforcing"

[[registry]]
prefix = "docker.io/acme"
location = "internal.test:5000/acme"
insecure = true

[[registry.mirror]]
location = "mirror.test/acme" # the nearest

[[registry.mirror]]
location = "other.test"
insecure = true
pull-from-mirror = "digest-only"

[[registry]]
location = "quay.io"
mirror-by-digest-only = true

[[registry.mirror]]
location = "mirror.test/quay"

[[registry.mirror]]
pull-from-mirror = "tag-only"

[aliases]
"app" = "docker.io/acme/app"
`)
    assert.deepStrictEqual(mirrors, [
      { of: "docker.io/acme", at: "mirror.test/acme" },
      { of: "docker.io/acme", at: "other.test", only: "digest" },
      { of: "quay.io", at: "mirror.test/quay", only: "digest" }
    ])
    assert.deepStrictEqual(origins, [
      ["internal.test:5000", { tls: { skipVerify: true } }],
      ["other.test", { tls: { skipVerify: true } }]
    ])
  })

  it.each([
    "",
    "[registry]\nlocation = \"a.test\"",
    "registry = 5",
    "[[registry]]\nlocation = 5",
    "[[registry]]\nprefix = \"*.a.test\"\n[[registry.mirror]]\nlocation = \"b.test\"",
    "[[registry]]\nlocation = \"\"\n[[registry.mirror]]\nlocation = \"b.test\""
  ])("reads nothing from %j", (text) => {
    assert.deepStrictEqual(parse(text), { origins: [], mirrors: [] })
  })

  it("says what is wrong", () => {
    assert.isTrue(Result.isFailure(RegistriesConf.parse("[[registry")))
    assert.isTrue(Result.isFailure(RegistriesConf.parse("#".repeat(2 * 1024 * 1024))))
  })
})
