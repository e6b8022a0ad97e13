import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Mirror from "../src/Mirror.ts"

const names = (rules: ReadonlyArray<Mirror.Rule>, repository: string, by: "tag" | "digest" = "tag") =>
  Mirror.fromRules(rules)(Repository.parseUnsafe(repository), by).map((mirror) => mirror.repository.name)

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

  it("is no mirror of itself, nor where no repository can be", () => {
    assert.deepStrictEqual(
      names([{ of: "ghcr.io", at: "ghcr.io" }, { of: "ghcr.io", at: "no host" }], "ghcr.io/a/b"),
      []
    )
  })
})
