import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as AccessScope from "../src/AccessScope.ts"

const formatted = (text: string) => AccessScope.parseAll(text).map(AccessScope.format)

describe("AccessScope", () => {
  const repository = Repository.parseUnsafe("docker.io/library/ubuntu")

  it("is written as token servers read it", () => {
    assert.deepStrictEqual(
      [
        AccessScope.pull(repository),
        AccessScope.push(repository),
        AccessScope.remove(repository),
        AccessScope.catalog,
        AccessScope.make("repository", "a/b", ["push", "pull", "push"])
      ].map(AccessScope.format),
      [
        "repository:library/ubuntu:pull",
        "repository:library/ubuntu:pull,push",
        "repository:library/ubuntu:delete,pull,push",
        "registry:catalog:*",
        "repository:a/b:pull,push"
      ]
    )
  })

  it.each([
    ["repository:a/b:pull", ["repository:a/b:pull"]],
    ["repository:a/b:push,pull", ["repository:a/b:pull,push"]],
    ["repository:host:5000/a/b:pull", ["repository:host:5000/a/b:pull"]],
    ["repository(plugin):a/b:pull registry:catalog:*", ["repository(plugin):a/b:pull", "registry:catalog:*"]],
    ["repository:a:pull  repository:b:pull", ["repository:a:pull", "repository:b:pull"]],
    ["repository:a:", ["repository:a:"]],
    ["", []],
    ["admin", []],
    [":", []],
    ["a:b", []],
    [":a:b", []]
  ])("reads %j", (text, expected) => {
    assert.deepStrictEqual(formatted(text), expected)
  })

  it.prop("reads what it wrote", [Schema.String], ([text]) => {
    const once = formatted(text)
    assert.deepStrictEqual(formatted(once.join(" ")), once)
  })

  it("joins to one for each resource, in order", () => {
    const scopes = AccessScope.parseAll("repository:a:pull repository:b:pull repository:a:push repository:b:pull")
    assert.deepStrictEqual(
      AccessScope.join(scopes, AccessScope.parseAll("repository:c:pull")).map(AccessScope.format),
      [
        "repository:a:pull,push",
        "repository:b:pull",
        "repository:c:pull"
      ]
    )
  })
})
