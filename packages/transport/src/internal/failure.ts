/**
 * Turns what an HttpClient says into a RegistryError.
 */
import * as ErrorBody from "@effect-oci/spec/ErrorBody"
import * as Effect from "effect/Effect"
import type { HttpClientError } from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { hasProperty } from "effect/Predicate"
import * as Stream from "effect/Stream"
import * as Address from "../Address.ts"
import * as Challenge from "../Challenge.ts"
import * as Redact from "../Redact.ts"
import {
  Denied,
  InternalAddress,
  NotFound,
  RateLimited,
  type Reason,
  RegistryError,
  Rejected,
  Unauthorized,
  Unavailable,
  Unreachable,
  Unsupported
} from "../RegistryError.ts"
import { parseRetryAfter } from "../RetryPolicy.ts"

export const make = (method: string, url: string, reason: Reason, cause?: unknown): RegistryError =>
  new RegistryError({ method, url: Redact.url(url), reason, ...(cause === undefined ? {} : { cause }) })

// What time does not mend. Codes of Node's net, tls and dns, which Bun and Deno use as well.
const permanent =
  /^(?:ENOTFOUND|EPROTO|ERR_(?:TLS|SSL|INVALID)_.*|CERT_.*|.*_CERT(?:_.*)?|UNABLE_TO_.*|HPE_.*|UND_ERR_(?:INVALID_ARG|NOT_SUPPORTED|HEADERS_OVERFLOW))$/

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

/**
 * Reads a body as text, up to a limit; what is longer is cut, so that it never hides the status it came with.
 */
export const readText = (
  method: string,
  url: string,
  response: HttpClientResponse.HttpClientResponse,
  limit: number
): Effect.Effect<string, RegistryError> =>
  Effect.suspend(() => {
    const decoder = new TextDecoder()
    let text = ""
    let size = 0
    return response.stream.pipe(
      Stream.takeWhile(() => size < limit),
      Stream.runForEach((chunk) =>
        Effect.sync(() => {
          text += decoder.decode(chunk.subarray(0, limit - size), { stream: true })
          size += chunk.length
        })
      ),
      Effect.mapError((error) => fromHttpClient(method, url, error)),
      Effect.map(() => text)
    )
  })

const bodyLimit = 64 * 1024

/** Whether a reply has nothing to read: to HEAD, and where it says so. */
export const isEmpty = ({ headers, request, status }: HttpClientResponse.HttpClientResponse): boolean =>
  request.method === "HEAD" || headers["content-length"] === "0" || status === 204

export const fromResponse = (
  method: string,
  url: string,
  response: HttpClientResponse.HttpClientResponse,
  options: { readonly identified: boolean; readonly withheld?: string | undefined }
): Effect.Effect<RegistryError> =>
  Effect.gen(function*() {
    const text = isEmpty(response)
      ? ""
      : yield* Effect.orElseSucceed(readText(method, url, response, bodyLimit), () => "")
    const { status, headers } = response
    const diagnostics = text === "" ? [] : ErrorBody.parse(new TextEncoder().encode(text))
    const about = { status, diagnostics }
    const retryAfter = yield* parseRetryAfter(headers["retry-after"], headers["date"])
    const challenges = Challenge.parse(headers["www-authenticate"] ?? "")
    return make(method, url, reasonFor())

    function unauthorized(): Reason {
      return new Unauthorized({
        ...about,
        challenges,
        identified: options.identified,
        ...(options.withheld === undefined ? {} : { withheld: options.withheld })
      })
    }

    function reasonFor(): Reason {
      switch (status) {
        case 401:
          return unauthorized()
        case 403:
          // RFC 6750 has it so: what was sent is good, but not for this.
          return Challenge.isInsufficientScope(challenges) ? unauthorized() : new Denied(about)
        case 404:
          return new NotFound(about)
        case 429:
          return new RateLimited({ ...about, retryAfter })
        case 408:
        case 425:
        case 499:
        case 500:
        case 502:
        case 503:
        case 504:
        case 520:
        case 521:
        case 522:
        case 523:
        case 524:
          return new Unavailable({ ...about, retryAfter })
        case 405:
        case 501:
          return new Unsupported(about)
        case 400:
          return diagnostics.some(({ code }) => code === "UNSUPPORTED") ? new Unsupported(about) : new Rejected(about)
        default:
          return new Rejected(about)
      }
    }
  })

/** The failure of a request that somebody else was asked: what they challenge is not for the registry to be answered. */
export const withoutChallenges = (error: RegistryError): RegistryError =>
  error.reason._tag === "Unauthorized"
    ? new RegistryError({
      method: error.method,
      url: error.url,
      reason: new Unauthorized({ ...error.reason, challenges: [] })
    })
    : error
