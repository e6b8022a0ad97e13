import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Proxy from "../src/Proxy.ts"

const secure = Redacted.make("http://ann:s3cret@proxy.example:3128")
const plain = Redacted.make("http://plain.example:3128")

const via = (lookup: Proxy.Lookup, url: string): string | undefined => {
  const proxy = lookup(new URL(url))
  return proxy === undefined ? undefined : Redacted.value(proxy)
}

const isDirect = (except: string, url: string): boolean =>
  via(Proxy.make({ https: secure, http: plain, except }), url) === undefined

describe("Proxy", () => {
  it("has one for https and one for http, and none for loopback", () => {
    const lookup = Proxy.make({ https: secure, http: plain })
    assert.strictEqual(via(lookup, "https://a.example/"), Redacted.value(secure))
    assert.strictEqual(via(lookup, "http://a.example/"), Redacted.value(plain))
    assert.strictEqual(via(lookup, "http://localhost:5000/"), undefined)
    assert.strictEqual(via(lookup, "http://127.0.0.1:5000/"), undefined)
    assert.strictEqual(via(lookup, "https://[::1]:5000/"), undefined)
    assert.strictEqual(via(Proxy.make({ http: plain }), "https://a.example/"), undefined)
  })

  it.each([
    ["http://169.254.169.254/latest/api/token", true],
    ["http://169.254.170.2/v2/credentials", true],
    ["http://169.254.170.23/v1/credentials", true],
    ["http://2852039166/", true],
    ["http://[fd00:ec2::254]/latest/api/token", true],
    ["http://[fe80::a9fe:a9fe]/", true],
    ["http://[::ffff:169.254.169.254]/", true],
    ["http://metadata.google.internal/computeMetadata/v1/", true],
    ["http://metadata.google.internal./computeMetadata/v1/", true],
    ["http://127.1:40342/metadata/identity/oauth2/token", true],
    ["http://169.254.evil.example/", false],
    ["http://metadata.google.internal.evil.example/", false],
    ["http://169.255.169.254/", false],
    ["http://[fd00::1]/", false],
    ["http://10.0.0.1/", false]
  ])("A23 is told no secret of this machine: %s is direct: %s", (url, isDirect) => {
    assert.strictEqual(via(Proxy.make({ https: secure, http: plain }), url) === undefined, isDirect)
  })

  it.each([
    ["proxy.example:3128", "http://proxy.example:3128"],
    ["ann:s3cret@proxy.example", "http://ann:s3cret@proxy.example"],
    ["https://proxy.example", "https://proxy.example"],
    ["socks5://proxy.example", "socks5://proxy.example"]
  ])("reads %s", (text, expected) => {
    assert.strictEqual(via(Proxy.make({ https: Redacted.make(text) }), "https://a.example/"), expected)
  })

  it.each([
    ["*", "https://a.example/", true],
    ["a.example", "https://a.example/", true],
    ["a.example", "https://b.a.example/", true],
    ["a.example", "https://xa.example/", false],
    [".a.example", "https://a.example/", false],
    [".a.example", "https://b.a.example/", true],
    ["*.a.example", "https://b.a.example/", true],
    ["A.Example", "https://a.example/", true],
    ["x, a.example ,y", "https://a.example/", true],
    ["a.example:443", "https://a.example/", true],
    ["a.example:5000", "https://a.example/", false],
    ["a.example:5000", "https://a.example:5000/", true],
    ["10.1.2.3", "https://10.1.2.3/", true],
    ["10.0.0.0/8", "https://10.1.2.3:5000/", true],
    ["10.0.0.0/8", "https://11.1.2.3/", false],
    ["10.0.0.0/8", "https://a.example/", false],
    ["10.0.0.0/99", "https://10.1.2.3/", false],
    ["fd00::/8", "https://[fd00::1]/", true],
    ["fd00::1", "https://[fd00::1]:5000/", true],
    ["[fd00::1]:5000", "https://[fd00::1]:5000/", true],
    ["[fd00::1]:5000", "https://[fd00::1]/", false],
    ["", "https://a.example/", false],
    [",,", "https://a.example/", false]
  ])("reads NO_PROXY=%j for %s", (except, url, expected) => {
    assert.strictEqual(isDirect(except, url), expected)
  })

  const fromEnvironment = (env: Record<string, string>) =>
    Effect.provideService(Proxy.fromEnvironment, ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env))

  it.effect("reads the environment, lower case first", () =>
    Effect.gen(function*() {
      const lookup = yield* fromEnvironment({
        HTTPS_PROXY: "http://upper.example",
        https_proxy: "http://lower.example",
        HTTP_PROXY: "http://upper.example",
        no_proxy: "b.example"
      })
      assert.strictEqual(via(lookup, "https://a.example/"), "http://lower.example")
      assert.strictEqual(via(lookup, "http://a.example/"), "http://upper.example")
      assert.strictEqual(via(lookup, "https://b.example/"), undefined)
      const none = yield* fromEnvironment({ HTTPS_PROXY: "" })
      assert.strictEqual(via(none, "https://a.example/"), undefined)
      const error = yield* Effect.flip(fromEnvironment({ HTTPS_PROXY: "http://ann:s3cret@proxy example" }))
      assert.include(error.message, "HTTPS_PROXY is not")
      assert.notInclude(error.message, "s3cret")
    }))
})
