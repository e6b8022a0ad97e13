import * as Registry from "@effect-oci/name/Registry"
import { assert, describe, it } from "@effect/vitest"
import * as Toml from "effect/encoding/Toml"
import * as Result from "effect/Result"
import * as Origin from "../src/Origin.ts"
import * as RegistriesConf from "../src/RegistriesConf.ts"

const parse = (text: string) => Result.getOrThrow(RegistriesConf.parse(text))

describe("RegistriesConf", () => {
  it("goes on speaking plain http to this machine where that is insecure", () => {
    const places = ["localhost:5000", "127.0.0.1/team", "[::1]:5000", "lab.test"]
    const { origins } = parse(places.map((place) => `[[registry]]\nlocation = "${place}"\ninsecure = true\n`).join(""))
    const lookup = Origin.fromEntries(origins)
    const plain = (host: string) => Origin.isPlain(lookup, Registry.parseUnsafe(host))
    assert.deepStrictEqual(["localhost:5000", "127.0.0.1", "[::1]:5000", "lab.test"].map(plain), [
      true,
      true,
      true,
      false
    ])
  })

  it("reads mirrors, other locations, and what is insecure", () => {
    const { entries, origins, wrong } = parse(`
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

[[registry]]
prefix = "*.example.com"
insecure = true

[[registry.mirror]]
location = "mirror.test:5000"

[[registry]]
prefix = "*.moved.test"
location = "new.test/moved"

[[registry]]
prefix = "evil.test/app"
location = "elsewhere.test"
blocked = true

[aliases]
"app" = "docker.io/acme/app"
`)
    const acme = "docker.io/acme"
    assert.deepStrictEqual(entries, [
      {
        of: acme,
        rules: [
          { of: acme },
          { of: acme, at: "mirror.test/acme" },
          { of: acme, at: "other.test", only: "digest" },
          { of: acme, at: "internal.test:5000/acme", isInstead: true }
        ]
      },
      { of: "quay.io", rules: [{ of: "quay.io" }, { of: "quay.io", at: "mirror.test/quay", only: "digest" }] },
      { of: "*.example.com", rules: [{ of: "*.example.com" }, { of: "*.example.com", at: "mirror.test:5000" }] },
      {
        of: "*.moved.test",
        rules: [{ of: "*.moved.test" }, { of: "*.moved.test", at: "new.test/moved", isInstead: true }]
      },
      { of: "evil.test/app", rules: [{ of: "evil.test/app", blocked: `[[registry]] "evil.test/app"` }] }
    ])
    const skipVerify = { tls: { skipVerify: true } }
    assert.deepStrictEqual(origins, [
      ["internal.test:5000", skipVerify],
      ["other.test", skipVerify],
      ["*.example.com", skipVerify]
    ])
    assert.deepStrictEqual(wrong, [`[[registry]] "quay.io": a mirror's location "" is not host[:port][/path]`])
  })

  it.each([
    [`prefix = "example.*.com"`, `[[registry]] "example.*.com": the prefix is neither`],
    [`prefix = "*.example.com/foo"`, `[[registry]] "*.example.com/foo": the prefix is neither`],
    [`prefix = "*.example.com:5000"`, `[[registry]] "*.example.com:5000": the prefix is neither`],
    [`prefix = "https://a.test"`, `[[registry]] "https://a.test": the prefix is neither`],
    [`prefix = "a.test/app:1"`, `[[registry]] "a.test/app:1": the prefix is neither`],
    [`prefix = "a.test"\nlocation = "b test"`, `[[registry]] "a.test": the location "b test" is not`],
    [`location = 5`, "a [[registry]] with neither prefix nor location"]
  ])("says of %s what is wrong with it, and leaves it out", (entry, said) => {
    const { entries, wrong } = parse(`[[registry]]\n${entry}\nblocked = true`)
    assert.deepStrictEqual([entries.length, wrong.length], [0, 1])
    assert.include(wrong[0], said)
  })

  it.each([
    "",
    "[registry]\nlocation = \"a.test\"",
    "registry = 5",
    "unqualified-search-registries = []"
  ])("reads nothing from %j", (text) => {
    assert.deepStrictEqual(parse(text), { origins: [], entries: [], wrong: [] })
  })

  it.each([
    "# a\r\n\t# b\n[[registry]]\n# [[registry]]\nlocation = \"a#b.test\" # c\n# the end",
    "note = \"\"\"\n# not a comment: \\q is none\n\"\"\"",
    "note = '''\n# text\n'''\n[[registry]]\nlocation = \"a#b.test\"",
    "# a\u2028b\n[[registry]]\nlocation = 5",
    "note = \"half\n# of a string\""
  ])("takes comments for what they are in %j", (text) => {
    const whole = Result.map(Toml.parse(text), (table) => JSON.stringify(table["registry"]))
    const read = RegistriesConf.parse(text)
    assert.strictEqual(read._tag, whole._tag)
    if (Result.isSuccess(read) && Result.isSuccess(whole)) {
      assert.strictEqual(read.success.wrong.length, whole.success === undefined ? 0 : 1)
    }
  })

  it("says what is wrong", () => {
    assert.isTrue(Result.isFailure(RegistriesConf.parse("[[registry")))
    assert.isTrue(Result.isFailure(RegistriesConf.parse("#".repeat(2 * 1024 * 1024))))
  })
})
