/**
 * AWS' signature version 4 of a request, by the platform's own cryptography.
 *
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Redacted from "effect/Redacted"

export interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: Redacted.Redacted
  readonly sessionToken: Redacted.Redacted | undefined
}

export interface Input {
  readonly method: string
  /** Without a query. */
  readonly url: URL
  /** In lower case; `host` and the date are added. */
  readonly headers: Record<string, string>
  readonly body: string
  readonly service: string
  readonly region: string
  readonly at: Date
}

const bytes = (text: string) => new TextEncoder().encode(text)

const hmac = async (key: Uint8Array<ArrayBuffer>, text: string) => {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"])
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, bytes(text)))
}

const sha256 = async (text: string) => Hex.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes(text))))

/** The headers to send a request with, but for `host`, which a client knows itself. */
export const sign = (keys: Keys, input: Input): Effect.Effect<Record<string, string>> =>
  Effect.promise(async () => {
    const date = input.at.toISOString().replaceAll(/[:-]|\.\d{3}/g, "")
    const headers: Record<string, string> = {
      ...input.headers,
      host: input.url.host,
      "x-amz-date": date,
      ...(keys.sessionToken === undefined ? {} : { "x-amz-security-token": Redacted.value(keys.sessionToken) })
    }
    const names = Object.keys(headers).sort()
    const canonical = [
      input.method,
      input.url.pathname,
      "",
      ...names.map((name) => `${name}:${headers[name]!.trim()}`),
      "",
      names.join(";"),
      await sha256(input.body)
    ]
    const scope = [date.slice(0, 8), input.region, input.service, "aws4_request"]
    const key = await scope.reduce(
      async (key, part) => hmac(await key, part),
      Promise.resolve(bytes(`AWS4${Redacted.value(keys.secretAccessKey)}`))
    )
    const toSign = ["AWS4-HMAC-SHA256", date, scope.join("/"), await sha256(canonical.join("\n"))]
    const signature = Hex.encode(await hmac(key, toSign.join("\n")))
    const { host: _, ...sent } = headers
    return {
      ...sent,
      authorization: `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope.join("/")}, ` +
        `SignedHeaders=${names.join(";")}, Signature=${signature}`
    }
  })
