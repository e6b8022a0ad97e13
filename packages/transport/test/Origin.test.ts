import * as Registry from "@effect-oci/name/Registry"
import { assert, describe, it } from "@effect/vitest"
import * as Origin from "../src/Origin.ts"

const registry = Registry.parseUnsafe

describe("Origin", () => {
  it("holds for one host and port, and for no other", () => {
    const lookup = Origin.fromEntries([["a.example:5000", { plainHttp: true }]])
    assert.isTrue(lookup("a.example:5000").plainHttp)
    for (const other of ["a.example", "a.example:5001", "b.a.example:5000", "example:5000", "xa.example:5000"]) {
      assert.deepStrictEqual(lookup(other), {})
    }
  })

  it.each([
    ["a.example", "A.example:443"],
    ["a.example:80", "a.example"],
    ["docker.io", "registry-1.docker.io"],
    ["index.docker.io", "registry-1.docker.io"],
    ["[::1]:5000", "[::1]:5000"]
  ])("finds what is set for %s at %s", (set, host) => {
    assert.isTrue(Origin.fromEntries([[set, { plainHttp: true }]])(host).plainHttp)
  })

  it("takes a host that is named for one that may be internal, unless told", () => {
    const lookup = Origin.fromEntries([["a.example", {}], ["b.example", { internal: false }]])
    assert.deepStrictEqual(
      ["a.example", "b.example", "c.example"].map((host) => lookup(host).internal),
      [true, false, undefined]
    )
  })

  it("has settings for all hosts below one, which yield to a host's own and make no host internal", () => {
    const lookup = Origin.fromEntries([
      ["*.example.com", { tls: { skipVerify: true } }],
      ["*.lab.example.com", { tls: {} }],
      ["own.example.com", {}]
    ])
    const skipped = [
      "a.example.com",
      "b.a.example.com:5000",
      "a.lab.example.com",
      "own.example.com",
      "example.com",
      "xexample.com",
      "a.example.com.evil.test"
    ].filter((host) => lookup(host).tls?.skipVerify === true)
    assert.deepStrictEqual(skipped, ["a.example.com", "b.a.example.com:5000"])
    assert.isUndefined(lookup("a.example.com").internal)
  })

  it("puts settings together", () => {
    const lookup = Origin.firstOf(
      Origin.fromEntries([["a.example", { plainHttp: true }]]),
      Origin.fromEntries([["a.example", { plainHttp: false, tls: { ca: ["x"] } }], ["b.example", {}]])
    )
    assert.deepStrictEqual(lookup("a.example"), { internal: true, plainHttp: true, tls: { ca: ["x"] } })
    assert.deepStrictEqual(lookup("b.example"), { internal: true })
  })

  it("speaks plain http to loopback, unless it was told of a certificate", () => {
    const lookup = Origin.fromEntries([
      ["localhost:5001", { tls: { ca: [] } }],
      ["localhost:5002", { plainHttp: false }],
      ["a.example", { plainHttp: true }]
    ])
    const plain = ["localhost:5000", "localhost:5001", "localhost:5002", "127.0.0.1", "a.example", "b.example"]
      .filter((name) => Origin.isPlain(lookup, registry(name)))
    assert.deepStrictEqual(plain, ["localhost:5000", "127.0.0.1", "a.example"])
  })
})
