import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Policy from "../src/Policy.ts"

describe("Policy", () => {
  it("matches * within a component, and ** beyond", () => {
    const cases: ReadonlyArray<readonly [pattern: string, repository: string, matches: boolean]> = [
      ["a", "a", true],
      ["a", "a/b", false],
      ["a/*", "a/b", true],
      ["a/*", "a/b/c", false],
      ["a/*", "a", false],
      ["a/**", "a/b/c", true],
      ["**", "a/b/c", true],
      ["*", "a", true],
      ["*", "a/b", false],
      ["a.b", "axb", false],
      ["a.b", "a.b", true],
      ["*-x/y*", "a-x/yz", true],
      ["a|b", "a", false],
      ["***", "a/b", true],
      ["**/b*", "a/b/bc", true],
      ["", "a", false]
    ]
    for (const [pattern, repository, matches] of cases) {
      assert.strictEqual(Policy.anybody(pattern)("ann", repository, "pull"), matches, `${pattern} ${repository}`)
    }
  })

  // The expression that a pattern was once took for ever.
  it("ends however many stars there are", () => {
    assert.isFalse(Policy.anybody("**a".repeat(20))("ann", "b".repeat(255), "pull"))
    assert.isFalse(Policy.anybody(`${"*a".repeat(20)}c`)("ann", "a".repeat(255), "pull"))
  })

  it("lets those it names do what it names", () => {
    const policy = Policy.some(
      Policy.anybody("public/**"),
      Policy.users("**", ["pull"]),
      Policy.user("bob", "bob/*"),
      Policy.user("eve", "bob/*", ["push"])
    )
    const may = (name: string | undefined, repository: string) =>
      (["pull", "push", "delete"] as const).filter((action) => policy(name, repository, action)).join()
    assert.deepStrictEqual(
      [undefined, "ann", "bob", "eve"].map((name) => [may(name, "public/a"), may(name, "bob/a"), may(name, "a")]),
      [
        ["pull", "", ""],
        ["pull", "pull", "pull"],
        ["pull", "pull,push,delete", "pull"],
        ["pull", "pull,push", "pull"]
      ]
    )
  })

  it("lets nobody do anything where nothing is said", () => {
    assert.isFalse(Policy.some()("ann", "a", "pull"))
  })

  describe("parse", () => {
    it("reads a rule", () => {
      const may = (rule: string, name: string | undefined) => {
        const policy = Result.getOrThrow(Policy.parse(rule))
        return (["pull", "push", "delete"] as const).filter((action) => policy(name, "team/a", action)).join()
      }
      assert.deepStrictEqual([may("ann:team/*:pull,push", "ann"), may("ann:team/*:pull,push", "bob")], [
        "pull,push",
        ""
      ])
      assert.deepStrictEqual([may("*:**:pull", "bob"), may("*:**:pull", undefined)], ["pull", ""])
      assert.deepStrictEqual([may(":**:pull", "bob"), may(":**:pull", undefined)], ["pull", "pull"])
    })

    it("quotes what is no rule", () => {
      for (const text of ["", "ann", "ann:a", "ann:a:", "ann:a:read", "ann:a:pull,", "ann::pull", "ann:a:pull:x"]) {
        const parsed = Policy.parse(text)
        assert.include(Result.isFailure(parsed) ? parsed.failure.message : "", JSON.stringify(text))
      }
    })

    it("refuses a pattern that is of no name, and no other", () => {
      for (const pattern of ["[", "Team/*", "team/", "/team", "a//b", "te?m", "team/{a,b}", ".a", "a___*", "**/**/"]) {
        const parsed = Policy.parse(`ann:${pattern}:pull`)
        assert.strictEqual(
          Result.isFailure(parsed) ? parsed.failure.message : "",
          `Invalid rule "ann:${pattern}:pull": no repository can be called ${JSON.stringify(pattern)}`
        )
      }
      for (const pattern of ["a", "*", "**", "***", "a/*", "**/b*", "*-x/y*", "a.*", "a__*", "*a*b*"]) {
        assert.isTrue(Result.isSuccess(Policy.parse(`ann:${pattern}:pull`)), pattern)
      }
    })

    it.prop("never throws", [Schema.String], ([text]) => {
      Result.map(Policy.parse(text), (policy) => policy("ann", text, "pull"))
      Policy.anybody(text)("ann", text, "pull")
    })
  })
})
