import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import * as Credential from "../src/Credential.ts"

const secret = "canary-secret"
const makers = [
  ["Basic", (value: string | Redacted.Redacted) => Credential.basic("ann", value)],
  ["Bearer", Credential.bearer],
  ["IdentityToken", (value: string | Redacted.Redacted) => Credential.identityToken(value, "ann")]
] as const

const valueOf = (credential: Credential.Credential): string | undefined =>
  credential._tag === "Anonymous"
    ? undefined
    : Redacted.value(credential._tag === "Basic" ? credential.password : credential.token)

describe("Credential", () => {
  it.each(makers)("%s keeps its secret, and shows it nowhere", (tag, make) => {
    const credential = make(secret)
    assert.strictEqual(credential._tag, tag)
    assert.strictEqual(valueOf(credential), secret)
    const shown = [JSON.stringify(credential), inspect(credential, { depth: 9, showHidden: true }), `${credential}`]
    for (const text of shown) assert.notInclude(text, secret)
    assert.include(shown[0]!, "<redacted")
  })

  it.each(makers)("%s takes a secret that is redacted as it is", (_, make) => {
    const redacted = Redacted.make(secret)
    const credential = make(redacted)
    assert.strictEqual(
      "password" in credential ? credential.password : "token" in credential && credential.token,
      redacted
    )
  })

  describe("identity", () => {
    const { anonymous, basic, bearer, identity, identityToken } = Credential

    it("is equal for equal credentials, made apart", () => {
      for (const [, make] of makers) {
        assert.strictEqual(identity(make(secret)), identity(make(Redacted.make(secret))))
      }
      assert.strictEqual(identity(anonymous), identity({ _tag: "Anonymous" }))
    })

    it("differs by user, by secret and by kind", () => {
      const all = [
        anonymous,
        basic("ann", "1"),
        basic("ann", "2"),
        basic("bob", "1"),
        basic("", "1"),
        bearer("1"),
        bearer("2"),
        identityToken("1"),
        identityToken("1", "ann")
      ].map(identity)
      assert.strictEqual(new Set(all).size, all.length)
    })

    it.prop("never shows a secret", [Schema.String.check(Schema.isMinLength(4))], ([text]) => {
      const [, number] = /^[A-Za-z]+:.*:(\d+)$/.exec(identity(basic("ann", `${text} ${secret}`)))!
      assert.isAtLeast(Number(number), 1)
      for (const [, make] of makers) assert.notInclude(identity(make(`${text} ${secret}`)), text)
    })
  })
})
