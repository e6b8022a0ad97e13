import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Registry from "../src/Registry.ts"

describe("Registry", () => {
  it("is reached at another host where its name is Docker Hub's", () => {
    assert.strictEqual(Registry.apiHost(Registry.parseUnsafe("index.docker.io")), "registry-1.docker.io")
    assert.strictEqual(Registry.apiHost(Registry.parseUnsafe("localhost:5000")), "localhost:5000")
  })

  it.each([
    "localhost",
    "localhost:5000",
    "a.localhost",
    "127.0.0.1",
    "127.255.0.1:80",
    "[::1]",
    "[0:0:0:0:0:0:0:1]:5000"
  ])(
    "finds %s on this machine",
    (name) => {
      assert.isTrue(Registry.isLoopback(Registry.parseUnsafe(name)))
    }
  )

  it.each([
    "docker.io",
    "10.0.0.1",
    "192.168.1.1:5000",
    "localhost.example",
    "127.0.0.1.example",
    "[::2]",
    "169.254.169.254",
    "host.docker.internal"
  ])(
    "does not take %s for this machine",
    (name) => {
      assert.isFalse(Registry.isLoopback(Registry.parseUnsafe(name)))
    }
  )

  it.prop("never throws", [Schema.String], ([input]) => {
    const result = Registry.parse(input)
    if (Result.isSuccess(result)) {
      assert.strictEqual(Registry.parseUnsafe(result.success.name).name, result.success.name)
    }
  })
})
