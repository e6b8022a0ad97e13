import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Mirror from "../src/Mirror.ts"

const names = (rules: ReadonlyArray<Mirror.Rule>, repository: string, by: "tag" | "digest" = "tag") =>
  Mirror.fromRules(rules)(Repository.parseUnsafe(repository), by).mirrors.map((mirror) => mirror.repository.name)

describe("Mirror", () => {
  it.each([
    ["docker.io", "m.test", "ubuntu", "m.test/library/ubuntu"],
    ["docker.io", "m.test/hub", "acme/app", "m.test/hub/acme/app"],
    ["docker.io/acme", "m.test", "acme/app", "m.test/app"],
    ["docker.io/acme", "m.test/a/b", "acme/app/c", "m.test/a/b/app/c"],
    ["ghcr.io/acme/app", "m.test/app", "ghcr.io/acme/app", "m.test/app"],
    ["ghcr.io", "[::1]:5000", "ghcr.io/acme/app", "[::1]:5000/acme/app"]
  ])("has what is at %s at %s", (of, at, repository, expected) => {
    assert.deepStrictEqual(names([{ of, at }], repository), [expected])
  })

  it.each([
    ["docker.io/acme", "acmes/app"],
    ["docker.io/acme/app", "acme"],
    ["ghcr.io", "ghcr.io.evil.test/acme/app"],
    ["ghcr.io", "ghcr.io:5000/acme/app"],
    ["ghcr", "ghcr.io/acme/app"]
  ])("of %s has nothing of %s", (of, repository) => {
    assert.deepStrictEqual(names([{ of, at: "m.test" }], repository), [])
  })

  it("is asked in order, by the rules that say the most", () => {
    const rules = [
      { of: "docker.io", at: "one.test" },
      { of: "docker.io/acme", at: "two.test" },
      { of: "docker.io/acme", at: "three.test" },
      { of: "docker.io/acme/app", at: "four.test/app", only: "digest" as const }
    ]
    assert.deepStrictEqual(names(rules, "ubuntu"), ["one.test/library/ubuntu"])
    assert.deepStrictEqual(names(rules, "acme/other"), ["two.test/other", "three.test/other"])
    assert.deepStrictEqual(names(rules, "acme/app", "digest"), ["four.test/app"])
    assert.deepStrictEqual(names(rules, "acme/app", "tag"), [])
  })

  it.each([
    ["*.example.com", "m.test", "bar.example.com/foo/app", "m.test/foo/app"],
    ["*.example.com", "m.test/all", "foo.bar.example.com/app", "m.test/all/app"],
    ["*.example.com", "m.test", "bar.example.com:5000/app", "m.test/app"],
    ["*.example.com", "m.test", "example.com/app", undefined],
    ["*.example.com", "m.test", "barexample.com/app", undefined],
    ["*.example.com", "m.test", "bar.example.com.evil.test/app", undefined],
    ["*.example.com", "m.test", "evil.test/bar.example.com/app", undefined]
  ])("with the wildcard %s has at %s what is at %s: %s", (of, at, repository, expected) => {
    assert.deepStrictEqual(names([{ of, at }], repository), expected === undefined ? [] : [expected])
  })

  it("goes by a host before the wildcard that says as much, and by a longer one before a shorter", () => {
    const rules = [
      { of: "*.example.com", at: "wild.test" },
      { of: "bar.example.com", at: "host.test" },
      { of: "bar.example.com/foo", at: "path.test" },
      { of: "x.example.com" }
    ]
    assert.deepStrictEqual(names(rules, "a.example.com/foo/app"), ["wild.test/foo/app"])
    assert.deepStrictEqual(names(rules, "bar.example.com/app"), ["host.test/app"])
    assert.deepStrictEqual(names(rules, "bar.example.com/foo/app"), ["path.test/app"])
    assert.deepStrictEqual(names(rules, "x.example.com/app"), [])
  })

  it("says what stands in the place of a registry, and what is blocked", () => {
    const lookup = Mirror.fromRules([
      { of: "a.test", at: "b.test/a", isInstead: true },
      { of: "a.test", at: "m.test" },
      { of: "a.test/secret", blocked: "the test" }
    ])
    const { blocked, instead, mirrors } = lookup(Repository.parseUnsafe("a.test/app"), "tag")
    assert.deepStrictEqual([mirrors.length, instead?.repository.name, blocked], [1, "b.test/a/app", undefined])
    const { blocked: by, ...rest } = lookup(Repository.parseUnsafe("a.test/secret/app"), "tag")
    assert.deepStrictEqual([by, rest], ["the test", { mirrors: [], instead: undefined }])
    assert.isUndefined(lookup(Registry.parseUnsafe("a.test"), "tag").blocked)
  })

  it("is no mirror of itself, nor where no repository can be", () => {
    assert.deepStrictEqual(
      names([{ of: "ghcr.io", at: "ghcr.io" }, { of: "ghcr.io", at: "no host" }], "ghcr.io/a/b"),
      []
    )
  })
})
