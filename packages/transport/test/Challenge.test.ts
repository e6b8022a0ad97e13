import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Challenge from "../src/Challenge.ts"

const parse = (header: string) =>
  Challenge.parse(header).map(({ parameters, scheme }) => [scheme, Object.fromEntries(parameters)])

const realm = "https://auth.example/token"

describe("Challenge", () => {
  describe("parse", () => {
    it.each([
      ["Basic realm=\"x\"", [["basic", { realm: "x" }]]],
      [`Bearer realm="${realm}",service="r",scope="repository:a/b:pull,push"`, [
        ["bearer", { realm, service: "r", scope: "repository:a/b:pull,push" }]
      ]],
      [`BEARER REALM="${realm}"`, [["bearer", { realm }]]],
      [`Bearer realm=${realm},service=r`, [["bearer", { realm, service: "r" }]]],
      [`Bearer realm = "${realm}" , service = "r"`, [["bearer", { realm, service: "r" }]]],
      [`Negotiate, Basic realm="x", Bearer realm="${realm}"`, [
        ["negotiate", {}],
        ["basic", { realm: "x" }],
        ["bearer", { realm }]
      ]],
      ["Basic realm=\"a, Bearer b\"", [["basic", { realm: "a, Bearer b" }]]],
      ["Basic realm=\"a \\\"quoted\\\" b\"", [["basic", { realm: "a \"quoted\" b" }]]],
      ["Basic realm=\"first\", realm=\"second\"", [["basic", { realm: "first" }]]],
      ["Basic", [["basic", {}]]],
      ["", []],
      [",,,", []],
      ["=", []],
      ["Basic realm=\"never closed", [["basic", {}]]],
      ["\"junk\", Basic realm=\"x\"", [["basic", { realm: "x" }]]]
    ])("reads %s", (header, expected) => {
      assert.deepStrictEqual(parse(header), expected)
    })

    it.prop("never throws", [Schema.String], ([header]) => {
      Challenge.parse(header)
    })

    it.each(["a", ",", "=", "\"", "\\", "a=\"", "a=\"\\", "a=b,", "Basic ", " "])(
      "takes 64 KiB of %j in its stride",
      (unit) => {
        Challenge.parse(unit.repeat(65_536 / unit.length))
        Challenge.parse(`Bearer realm="${unit.repeat(65_536 / unit.length)}`)
      }
    )
  })

  it("prefers Bearer to Basic, and knows no others", () => {
    const choose = (header: string) => Challenge.choose(Challenge.parse(header))?.scheme
    assert.strictEqual(choose(`Basic realm="x", Bearer realm="${realm}"`), "bearer")
    assert.strictEqual(choose("Negotiate, Basic realm=\"x\""), "basic")
    assert.strictEqual(choose("Bearer service=\"no realm\""), undefined)
    assert.strictEqual(choose("Negotiate"), undefined)
  })
})
