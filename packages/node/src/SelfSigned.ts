/**
 * A certificate for names of this machine, signed by nobody but itself: for tests, and for a registry beside them.
 *
 * X.509 (RFC 5280), with a key on P-256.
 *
 * @since 1.0.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { generateKeyPair, randomBytes, sign } from "node:crypto"
import { isIP, isIPv4 } from "node:net"
import { promisify } from "node:util"

/**
 * A certificate and its key, as PEM.
 *
 * @category models
 * @since 1.0.0
 */
export interface Pair {
  readonly cert: string
  readonly key: string
}

/** A value of the Distinguished Encoding Rules: its tag, its length, its content. */
const der = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Uint8Array.of(tag, ...size), content])
}

const sequence = (...parts: ReadonlyArray<Uint8Array>) => der(0x30, ...parts)
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"))
const yes = der(0x01, Uint8Array.of(0xff))

const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"))

const nameOf = (common: string) => sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(common)))))

/** `GeneralizedTime`, or the older form that dates before 2050 have to have. */
const time = (millis: number): Uint8Array => {
  const text = new Date(millis).toISOString().replaceAll(/[-:T]|\.\d+/g, "")
  return text < "2050" ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text))
}

const extension = (id: string, critical: boolean, value: Uint8Array) =>
  sequence(oid(id), ...(critical ? [yes] : []), der(0x04, value))

const addressOf = (ip: string): Uint8Array => {
  if (isIPv4(ip)) return Uint8Array.from(ip.split("."), Number)
  const [head = "", tail] = ip.split("::")
  const groups = (text: string) => text === "" ? [] : text.split(":")
  const before = groups(head)
  const after = groups(tail ?? "")
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => "0"), ...after]
  return Uint8Array.from(all.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]))
}

const alternative = (name: string): Uint8Array =>
  isIP(name) === 0 ? der(0x82, Buffer.from(name)) : der(0x87, addressOf(name))

const extensions = (names: ReadonlyArray<string>) =>
  sequence(
    // Whoever is told to trust it trusts it as the root that it is.
    extension("551d13", true, sequence(yes)),
    // To sign handshakes and certificates.
    extension("551d0f", true, der(0x03, Uint8Array.of(2, 0b1000_0100))),
    extension("551d25", false, sequence(oid("2b06010505070301"))),
    extension("551d11", false, sequence(...names.map(alternative)))
  )

const pem = (bytes: Uint8Array) =>
  `-----BEGIN CERTIFICATE-----\n${
    Buffer.from(bytes).toString("base64").replaceAll(/.{64}/g, "$&\n").trimEnd()
  }\n-----END CERTIFICATE-----\n`

const day = 24 * 60 * 60 * 1000

/**
 * Makes a new pair, good for a year from yesterday on.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = Effect.fnUntraced(function*(
  names: ReadonlyArray<string> = ["localhost", "127.0.0.1", "::1"]
): Effect.fn.Return<Pair> {
  const now = yield* Clock.currentTimeMillis
  const keys = yield* Effect.promise(() => promisify(generateKeyPair)("ec", { namedCurve: "P-256" }))
  const serial = randomBytes(16)
  // Positive, and as long as it is.
  serial[0] = serial[0]! & 0x7f | 0x40
  const name = nameOf(names[0] ?? "localhost")
  const body = sequence(
    der(0xa0, der(0x02, Uint8Array.of(2))),
    der(0x02, serial),
    ecdsaWithSha256,
    name,
    sequence(time(now - day), time(now + 365 * day)),
    name,
    keys.publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, extensions(names))
  )
  const signature = sign("sha256", body, keys.privateKey)
  return {
    cert: pem(sequence(body, ecdsaWithSha256, der(0x03, Uint8Array.of(0), signature))),
    key: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  }
})
