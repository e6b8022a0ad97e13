/**
 * Turns what an HttpClient says into a RegistryError.
 */
import type { HttpClientError } from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { hasProperty } from "effect/Predicate"
import * as Address from "../Address.ts"
import * as Redact from "../Redact.ts"
import { InternalAddress, type Reason, RegistryError, Unauthorized, Unreachable } from "../RegistryError.ts"

export const make = (method: string, url: string, reason: Reason, cause?: unknown): RegistryError =>
  new RegistryError({ method, url: Redact.url(url), reason, ...(cause === undefined ? {} : { cause }) })

// What time does not mend. Codes of Node's net, tls and dns, which Bun and Deno use as well.
const permanent =
  /^(?:ENOTFOUND|EPROTO|ERR_(?:TLS|SSL|OSSL|INVALID)_.*|CERT_.*|.*_CERT(?:_.*)?|UNABLE_TO_.*|HPE_.*|UND_ERR_(?:INVALID_ARG|NOT_SUPPORTED|HEADERS_OVERFLOW))$/

/** The code and words of the innermost cause that has any. */
const innermost = (error: unknown): { readonly code: string | undefined; readonly detail: string } => {
  let code: string | undefined
  let detail = ""
  for (let at = error, depth = 0; at !== undefined && depth < 8; depth++) {
    if (hasProperty(at, "code") && typeof at.code === "string") code = at.code
    if (hasProperty(at, "message") && typeof at.message === "string" && at.message !== "") detail = at.message
    at = hasProperty(at, "cause")
      ? at.cause
      : hasProperty(at, "errors") && Array.isArray(at.errors)
      ? at.errors[0]
      : undefined
  }
  return { code, detail }
}

export const internal = (
  method: string,
  url: string,
  { address, host }: Address.InternalAddressError
): RegistryError => make(method, url, new InternalAddress({ host, address }))

export const fromHttpClient = (method: string, url: string, error: HttpClientError): RegistryError => {
  const cause = "cause" in error.reason ? error.reason.cause : undefined
  const refusal = Address.refusalIn(cause)
  if (refusal !== undefined) return internal(method, url, refusal)
  const { code, detail } = innermost(cause)
  const wrong = error.reason._tag === "InvalidUrlError" || error.reason._tag === "EncodeError"
  return make(
    method,
    url,
    new Unreachable({
      detail: detail === "" ? ("description" in error.reason && error.reason.description) || "no reply" : detail,
      code,
      transient: !wrong && !(code !== undefined && permanent.test(code))
    })
  )
}

/** Whether a reply has nothing to read: to HEAD, and where it says so. */
export const isEmpty = ({ headers, request, status }: HttpClientResponse.HttpClientResponse): boolean =>
  request.method === "HEAD" || headers["content-length"] === "0" || status === 204

/** The failure of a request that somebody else was asked: what they challenge is not for the registry to be answered. */
export const withoutChallenges = (error: RegistryError): RegistryError =>
  error.reason._tag === "Unauthorized"
    ? new RegistryError({
      method: error.method,
      url: error.url,
      reason: new Unauthorized({ ...error.reason, challenges: [] })
    })
    : error
