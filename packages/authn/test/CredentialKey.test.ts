import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Credential from "../src/Credential.ts"
import * as CredentialKey from "../src/CredentialKey.ts"
import * as Keychain from "../src/Keychain.ts"

const Label = Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9]{0,7}$/))
const Host = Schema.TemplateLiteral([Label, ".", Label, ".", Schema.Literals(["io", "example", "io:5000"])])
const Path = Schema.TemplateLiteral([Label, "/", Label])

const userOf = (credential: Credential.Credential) => credential._tag === "Basic" ? credential.username : undefined

describe("CredentialKey", () => {
  it.each([
    ["ghcr.io", "ghcr.io"],
    ["https://ghcr.io/v2/", "ghcr.io"],
    ["http://ghcr.io/v1", "ghcr.io"],
    ["ghcr.io/v1x", "ghcr.io/v1x"],
    ["ghcr.io/v2/", "ghcr.io"],
    // A folder of that name, and no version.
    ["ghcr.io/v1", "ghcr.io/v1"],
    ["ghcr.io/v2/team", "ghcr.io/v2/team"],
    ["quay.io/ns/", "quay.io/ns"],
    ["docker.io", "docker.io"],
    ["index.docker.io", "docker.io"],
    ["registry-1.docker.io", "docker.io"],
    ["https://index.docker.io/v1/", "docker.io"],
    ["https://index.docker.io/v2/", "docker.io"],
    ["https://registry-1.docker.io/v2", "docker.io"],
    ["docker.io/library/ubuntu", "docker.io/library/ubuntu"],
    ["[::1]:5000", "[::1]:5000"],
    ["ftp://ghcr.io", undefined],
    ["user@ghcr.io", undefined],
    ["*.io", undefined],
    ["", undefined],
    ["a".repeat(2000), undefined]
  ])("spells %.40j as %j", (key, expected) => assert.strictEqual(CredentialKey.normalize(key), expected))

  it.each([
    ["*.GCR.io", "*.gcr.io"],
    ["https://*.gcr.io/v2/x", "*.gcr.io/x"],
    ["*..io", undefined],
    ["*.io/@", "*.io/@"],
    ["a b*", undefined],
    ["*@gcr.io", undefined]
  ])(
    "spells %j with wildcards as %j",
    (key, expected) => assert.strictEqual(CredentialKey.normalize(key, { wildcards: true }), expected)
  )

  it("takes no longer for many wildcards", () => {
    const host = "a".repeat(63)
    const keys = CredentialKey.keyring([[`${"*a".repeat(60)}b`, 1]])
    const before = performance.now()
    for (let i = 0; i < 1000; i++) assert.deepStrictEqual(keys.find(Registry.parseUnsafe(host)), [])
    assert.isBelow(performance.now() - before, 2000)
  })

  it.effect.prop(
    "A16: gives no host's credential to another",
    { a: Host, b: Host, path: Path },
    ({ a, b, path }) =>
      Effect.gen(function*() {
        const ask = (key: string, host: string) =>
          Effect.map(
            Keychain.fromEntries([[key, Credential.basic("u", "p")]])(Repository.parseUnsafe(`${host}/${path}`)),
            userOf
          )
        for (const key of [a, `https://${a}/v2/`, `${a}/${path}`]) {
          assert.strictEqual(yield* ask(key, a), "u")
          if (a !== b) assert.isUndefined(yield* ask(key, b))
          const [host] = a.split(":")
          for (const other of [`x.${a}`, `x${a}`, `${host}.x`, `${host}x.io`, `${host}:1`]) {
            assert.isUndefined(yield* ask(key, other), `${key} for ${other}`)
          }
        }
      })
  )

  it.effect.prop(
    "A16: gives no folder's credential to its sibling",
    { host: Host, a: Label, b: Label },
    ({ a, b, host }) =>
      Effect.gen(function*() {
        const resolve = Keychain.fromEntries([[`${host}/${a}`, Credential.basic("u", "p")]])
        assert.strictEqual(userOf(yield* resolve(Repository.parseUnsafe(`${host}/${a}/${b}`))), "u")
        for (const path of [...(a === b ? [] : [b]), `${a}x`, `0/${a}`]) {
          assert.isUndefined(userOf(yield* resolve(Repository.parseUnsafe(`${host}/${path}`))), path)
        }
        assert.isUndefined(userOf(yield* resolve(Registry.parseUnsafe(host))))
      })
  )

  it.prop("a wildcard never crosses a dot", { a: Label, b: Label }, ({ a, b }) => {
    const keys = CredentialKey.keyring([[`*.${a}.io`, 1]])
    const find = (host: string) => keys.find(Registry.parseUnsafe(host)).length
    assert.strictEqual(find(`${b}.${a}.io`), 1)
    for (const host of [`${a}.io`, `${b}.x.${a}.io`, `${b}.${a}.io.${b}`, `${b}.${a}.io:81`]) {
      assert.strictEqual(find(host), 0, host)
    }
  })
})
