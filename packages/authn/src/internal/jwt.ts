/** JSON Web Tokens signed with RS256, by the platform's own cryptography. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"

const encode = (value: unknown) => Base64Url.encode(JSON.stringify(value))

/** The bytes of a key in PKCS #8, as `-----BEGIN PRIVATE KEY-----` holds them. */
const pkcs8Of = (pem: string): Uint8Array<ArrayBuffer> | undefined => {
  const body = /-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----/.exec(pem)?.[1]
  return body === undefined
    ? undefined
    : Result.match(Base64.decode(body.replaceAll(/\s/g, "")), {
      onFailure: () => undefined,
      onSuccess: (bytes) => new Uint8Array(bytes)
    })
}

/** A token with these claims that lasts for an hour; `undefined` when the key is none. */
export const sign = (
  claims: Record<string, string>,
  pem: Redacted.Redacted
): Effect.Effect<Redacted.Redacted | undefined> =>
  Effect.gen(function*() {
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const body = `${encode({ alg: "RS256", typ: "JWT" })}.${encode({ ...claims, iat: now, exp: now + 3600 })}`
    const pkcs8 = pkcs8Of(Redacted.value(pem))
    if (pkcs8 === undefined) return undefined
    const signature = yield* Effect.tryPromise(async () => {
      const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
      const key = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"])
      return new Uint8Array(await crypto.subtle.sign(algorithm, key, new TextEncoder().encode(body)))
    }).pipe(Effect.orElseSucceed(() => undefined))
    return signature === undefined
      ? undefined
      : Redacted.make(`${body}.${Base64Url.encode(signature)}`, { label: "assertion" })
  })
