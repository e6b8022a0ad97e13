import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
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
    ["linux/amd64/v1", "linux/amd64"],
    ["linux/amd64/v3", "linux/amd64/v3"],
    ["linux/arm64/v9", "linux/arm64/v9"],
    ["linux/armhf/v6", "linux/arm/v6"],
    ["macos/aarch64", "darwin/arm64"],
    ["win32/x64", "windows/amd64"],
    ["linux/ia32", "linux/386"],
    ["linux/ppc64el", "linux/ppc64le"],
    ["linux/s390x", "linux/s390x"],
    ["linux/arm/v7:1.2", "linux/arm/v7:1.2"],
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
    ["linux/amd64/v3", ["linux/amd64/v2", "linux/amd64/v3", "linux/amd64"], "linux/amd64/v3"],
    ["linux/amd64/v4", ["linux/amd64"], "linux/amd64"],
    ["linux/amd64", ["linux/amd64/v2"], undefined],
    ["linux/amd64", ["linux/amd64", "linux/amd64/v1"], "linux/amd64"],
    ["linux/arm64/v9", ["linux/arm64/v8.2", "linux/arm64/v8.10", "linux/arm64"], "linux/arm64/v8.10"],
    ["linux/arm64", ["linux/arm64/v8.1", "linux/arm64/v9"], undefined],
    ["linux/arm/v8", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"],
    ["linux/ppc64le/power9", ["linux/ppc64le/power8", "linux/ppc64le/power9"], "linux/ppc64le/power9"],
    ["linux/ppc64le", ["linux/ppc64le/power9"], undefined],
    ["linux/arm/v99", ["linux/arm/v5"], "linux/arm/v5"],
    ["linux/arm/v999999999999", ["linux/arm/v5"], undefined],
    ["linux/amd64", ["linux/amd64:5.1", "linux/amd64"], "linux/amd64"],
    ["windows/amd64:10.0", ["windows/amd64:10.0.1", "windows/amd64:10.0"], "windows/amd64:10.0"],
    ["windows/amd64:10.0.1", ["windows/amd64:10.0.17763", "windows/amd64"], undefined],
    ["linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], "linux/arm64/v8"],
    ["linux/arm64", ["windows/arm64", "linux/amd64"], undefined],
    ["windows/amd64:10.0", ["windows/amd64:10.0.17763.1", "windows/amd64:10.1"], "windows/amd64:10.0.17763.1"]
  ])("picks for %s of %j %s", (wish, offers, expected) => {
    assert.strictEqual(best(wish, offers), expected)
  })

  it("passes over attestations and what has no platform", () => {
    const unknown = { os: "unknown", architecture: "unknown" }
    assert.strictEqual(Platform.best(unknown, [unknown, undefined]), undefined)
    assert.isFalse(Platform.matches(unknown, unknown))
    assert.strictEqual(Platform.best(platform("linux/amd64"), [unknown, undefined, platform("linux/amd64")]), 2)
    assert.strictEqual(Platform.best(platform("linux/amd64"), []), undefined)
  })

  it("wants every feature that was asked for", () => {
    const wish = { ...platform("windows/amd64"), "os.features": ["win32k"] }
    assert.isFalse(Platform.matches(wish, platform("windows/amd64")))
    assert.isTrue(Platform.matches(wish, { ...platform("windows/amd64"), "os.features": ["other", "win32k"] }))
    assert.isTrue(Platform.matches(platform("windows/amd64"), wish))
  })

  it("fits offers as they were written", () => {
    assert.isTrue(Platform.matches(
      { os: "Linux", architecture: "aarch64" },
      { os: "linux", architecture: "arm64", variant: "v8", "os.version": "" }
    ))
    assert.isTrue(Platform.matches(platform("linux/arm64"), { os: "linux", architecture: "arm64", variant: "" }))
  })

  const Text = Arbitrary.map(
    Arbitrary.all([
      Arbitrary.schema(Schema.Literals(["linux/", "Windows/", "macos/", "freebsd/"])),
      Arbitrary.schema(Schema.Literals(["amd64", "x86_64", "arm", "armhf", "ARM64", "386", "s390x", "unheard_of"])),
      Arbitrary.schema(Schema.Literals(["", "/v1", "/v5", "/V7", "/8", "/v8.2", "/sse2"])),
      Arbitrary.schema(Schema.Literals(["", ":10.0", ":10.0.17763"]))
    ]),
    (parts) => parts.join("")
  )

  it.prop("reads what it writes, and normalises once and for all", [Text], ([text]) => {
    const read = platform(text)
    assert.deepStrictEqual(platform(Platform.format(read)), read)
    assert.deepStrictEqual(Platform.normalize(read), read)
  })

  it.prop("fits itself, and picks nothing that does not fit", [Text, Arbitrary.array(Text)], ([text, texts]) => {
    const wish = platform(text)
    assert.isTrue(Platform.matches(wish, wish))
    const offers = texts.map(platform)
    const found = Platform.best(wish, offers)
    if (found === undefined) assert.isFalse(offers.some((offer) => Platform.matches(wish, offer)))
    else assert.isTrue(Platform.matches(wish, offers[found]!))
  })

  it.prop("never throws", [Schema.String], ([input]) => {
    Platform.parse(input)
  })
})
