import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Tokens from "../../src/internal/tokens.ts"

describe("tokens", () => {
  it("are good as long as they last", () => {
    const tokens = Tokens.make(Duration.minutes(5))
    const value = tokens.issue(
      0,
      "ann",
      Tokens.scopes(["repository:a/b:push,pull,other registry:catalog:* repository:A:pull"])
    )
    const found = tokens.find(299_999, value)
    assert.strictEqual(found?.name, "ann")
    assert.deepStrictEqual(
      [...found!.grants].sort(),
      ["registry:catalog:*", "repository:a/b:pull", "repository:a/b:push"]
    )
    assert.isUndefined(tokens.find(300_000, value))
  })

  it("are a hundred thousand, as clients ask for them", () => {
    const tokens = Tokens.make(Duration.minutes(5))
    const values = Array.from(
      { length: 100_000 },
      (_, i) => tokens.issue(0, undefined, Tokens.scopes([`repository:library/app-${i}:pull,push`]))
    )
    assert.isTrue(values.every((value) => tokens.find(1, value) !== undefined))
  })

  it("are as many fewer as they are good for more", () => {
    const tokens = Tokens.make(Duration.minutes(5))
    const many = Array.from({ length: 100 }, (_, i) => `repository:${"a".repeat(100)}/${i}:*`)
    const grants = Tokens.scopes(many)
    assert.strictEqual(grants.size, 300)
    const values = Array.from({ length: 2000 }, () => tokens.issue(0, undefined, grants))
    assert.isUndefined(tokens.find(1, values[0]))
    assert.isDefined(tokens.find(1, values[1999]))
    assert.isBelow(values.filter((value) => tokens.find(1, value) !== undefined).length, 1000)
    const later = tokens.issue(300_000, undefined, grants)
    assert.isDefined(tokens.find(300_001, later))
  })
})
