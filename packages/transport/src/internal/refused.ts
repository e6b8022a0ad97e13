/**
 * The failure that a reply is.
 */
import * as ErrorBody from "@effect-oci/spec/ErrorBody"
import * as Effect from "effect/Effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import * as Challenge from "../Challenge.ts"
import {
  Denied,
  NotFound,
  RateLimited,
  type Reason,
  type RegistryError,
  Rejected,
  Unauthorized,
  Unavailable,
  Unsupported
} from "../RegistryError.ts"
import * as ResponseBody from "../ResponseBody.ts"
import { parseRetryAfter } from "../RetryPolicy.ts"
import * as Failure from "./failure.ts"
import * as Secrets from "./secrets.ts"

/** Collects a body as text, up to a limit, also where it breaks off. */
const collect = (response: HttpClientResponse.HttpClientResponse, limit: number) => {
  const decoder = new TextDecoder()
  const read = { text: "" }
  let size = 0
  const all = ResponseBody.stream(response).pipe(
    Stream.takeWhile(() => size < limit),
    Stream.runForEach((chunk) =>
      Effect.sync(() => {
        read.text += decoder.decode(chunk.subarray(0, limit - size), { stream: true })
        size += chunk.length
      })
    )
  )
  return { all, read }
}

/**
 * Reads a body as text, up to a limit; what is longer is cut.
 */
export const readText = (
  response: HttpClientResponse.HttpClientResponse,
  limit: number
): Effect.Effect<string, RegistryError> =>
  Effect.suspend(() => {
    const { all, read } = collect(response, limit)
    return Effect.map(all, () => read.text)
  })

const bodyLimit = 64 * 1024

/** What an error body says, as far as it comes in time: whatever is wrong with it, it never hides the status it came with. */
const said = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<string> =>
  Failure.isEmpty(response) ? Effect.succeed("") : Effect.flatMap(ResponseBody.IdleTimeout, (timeout) => {
    const { all, read } = collect(response, bodyLimit)
    return all.pipe(Effect.timeout(timeout), Effect.ignore, Effect.map(() => read.text))
  })

export const fromResponse = (
  method: string,
  url: string,
  response: HttpClientResponse.HttpClientResponse,
  options: { readonly identified: boolean; readonly withheld?: string | undefined }
): Effect.Effect<RegistryError> =>
  Effect.gen(function*() {
    const text = Secrets.hide(response.request, yield* said(response))
    const { status, headers } = response
    const diagnostics = text === "" ? [] : ErrorBody.parse(new TextEncoder().encode(text))
    const about = { status, diagnostics }
    const retryAfter = yield* parseRetryAfter(headers["retry-after"], headers["date"])
    const challenges = Challenge.parse(Secrets.hide(response.request, headers["www-authenticate"] ?? ""))
    return Failure.make(method, url, reasonFor())

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
