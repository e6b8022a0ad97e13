/**
 * A registry knows what it was sent, and may say it again: what it says is printed, so that is taken out.
 */
import * as Base64 from "effect/encoding/Base64"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Result from "effect/Result"

/** Too short to be told from other text, and to be a secret. */
const shortest = 4

/** The form fields of a token request that are secret. */
const fields = ["password", "refresh_token"]

const secretsOf = ({ body, headers }: HttpClientRequest.HttpClientRequest): ReadonlyArray<string> => {
  const found: Array<string> = []
  const [scheme = "", value = ""] = (headers["authorization"] ?? "").split(" ", 2)
  if (value !== "") found.push(value)
  if (scheme === "Basic") {
    const pair = Result.getOrElse(Base64.decodeString(value), () => "")
    found.push(pair.slice(pair.indexOf(":") + 1))
  }
  if (body._tag === "Uint8Array" && body.contentType.startsWith("application/x-www-form-urlencoded")) {
    const form = new URLSearchParams(new TextDecoder().decode(body.body))
    for (const field of fields) found.push(form.get(field) ?? "")
  }
  return found.filter(({ length }) => length >= shortest).toSorted((a, b) => b.length - a.length)
}

/** A text that came back, without what the request said of who made it. */
export const hide = (request: HttpClientRequest.HttpClientRequest, text: string): string => {
  let hidden = text
  for (const secret of text === "" ? [] : secretsOf(request)) {
    // As it is, and as URLs and JSON have it.
    for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) {
      hidden = hidden.replaceAll(form, "…")
    }
  }
  return hidden
}
