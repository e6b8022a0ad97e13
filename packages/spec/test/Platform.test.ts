import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Platform from "../src/Platform.ts"

const platform = (text: string) => Result.getOrThrow(Platform.parse(text))
const best = (wish: string, offers: ReadonlyArray<string>) => {
  const index = Platform.best(platform(wish), offers.map(platform))
  return index === undefined ? undefined : offers[index]
}

describe("Platform", () => {
  it.each([
    ["linux/amd64", "linux/amd64"],
    ["linux/x86_64", "linux/amd64"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm64/8", "linux/arm64"],
    ["linux/arm", "linux/arm/v7"],
    ["linux/armhf", "linux/arm/v7"],
    ["linux/armel", "linux/arm/v6"],
    ["Linux/ARM/V6", "linux/arm/v6"],
    ["windows/amd64:10.0.17763", "windows/amd64:10.0.17763"]
  ])("reads %s as %s", (input, expected) => {
    assert.strictEqual(Platform.format(platform(input)), expected)
  })

  it.each(["", "linux", "linux/", "a/b/c/d", "linux/amd64/", "l nux/amd64"])("refuses %j", (input) => {
    assert.isTrue(Result.isFailure(Platform.parse(input)))
  })

  it.each([
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"], "linux/arm/v7"],
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"],
    ["linux/arm/v6", ["linux/arm/v7"], undefined],
    ["linux/arm", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"],
    ["linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"],
    ["linux/amd64", ["linux/amd64/v2"], undefined],
    ["linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], "linux/arm64/v8"],
    ["linux/arm64", ["windows/arm64", "linux/amd64"], undefined],
    ["windows/amd64:10.0", ["windows/amd64:10.0.17763.1", "windows/amd64:10.1"], "windows/amd64:10.0.17763.1"]
  ])("picks for %s of %j %s", (wish, offers, expected) => {
    assert.strictEqual(best(wish, offers), expected)
  })

  it("passes over attestations and what has no platform", () => {
    const unknown = { os: "unknown", architecture: "unknown" }
    assert.strictEqual(Platform.best(unknown, [unknown, undefined]), undefined)
  })

  it.prop("never throws", [Schema.String], ([input]) => {
    Platform.parse(input)
  })
})
