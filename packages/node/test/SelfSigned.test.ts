import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createPrivateKey, X509Certificate } from "node:crypto"
import * as SelfSigned from "../src/SelfSigned.ts"

describe("SelfSigned", () => {
  it.live("makes a certificate of the names it is given, that its key belongs to", () =>
    Effect.gen(function*() {
      const pair = yield* SelfSigned.make(["r.test", "localhost", "10.0.0.1", "::1", "fd00::12:3456"])
      const certificate = new X509Certificate(pair.cert)
      assert.isTrue(certificate.verify(certificate.publicKey))
      assert.isTrue(certificate.checkPrivateKey(createPrivateKey(pair.key)))
      assert.isTrue(certificate.ca)
      assert.strictEqual(certificate.subject, "CN=r.test")
      assert.strictEqual(certificate.issuer, "CN=r.test")
      for (const name of ["r.test", "localhost"]) assert.strictEqual(certificate.checkHost(name), name)
      for (const ip of ["10.0.0.1", "::1", "fd00::12:3456"]) assert.strictEqual(certificate.checkIP(ip), ip)
      assert.isUndefined(certificate.checkHost("evil.test"))
      assert.isUndefined(certificate.checkIP("10.0.0.2"))
    }))

  it.live("makes it good from yesterday on, for a year", () =>
    Effect.gen(function*() {
      const certificate = new X509Certificate((yield* SelfSigned.make()).cert)
      const now = Date.now()
      assert.isBelow(Date.parse(certificate.validFrom), now)
      assert.approximately((Date.parse(certificate.validTo) - now) / 86_400_000, 365, 1)
    }))

  it.live("makes no two alike", () =>
    Effect.gen(function*() {
      const [a, b] = yield* Effect.all([SelfSigned.make(), SelfSigned.make()])
      assert.notStrictEqual(new X509Certificate(a.cert).serialNumber, new X509Certificate(b.cert).serialNumber)
      assert.notStrictEqual(a.key, b.key)
    }))
})
