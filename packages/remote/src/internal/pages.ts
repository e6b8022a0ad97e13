/**
 * Lists that come in pages, each naming the next by a `Link` header (RFC 8288).
 */
import type { SpecError } from "@effect-oci/spec/SpecError"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Request from "./request.ts"

const pageLimit = 8 * 1024 * 1024
const maxPages = 1000

/** The target of the first link whose relation is `next`. */
export const nextOf = (header: string | undefined): string | undefined => {
  if (header === undefined) return undefined
  const link = /<([^<>]*)>((?:[^,"<]|"[^"]*")*)/g
  for (const [, target, parameters] of header.matchAll(link)) {
    if (/;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=[\s;]|$))/i.test(parameters!)) {
      return target || undefined
    }
  }
  return undefined
}

export interface Options<A> {
  readonly client: HttpClient.HttpClient.With<RegistryError>
  readonly first: string
  readonly headers?: Record<string, string> | undefined
  readonly read: (bytes: Uint8Array) => Result.Result<ReadonlyArray<A>, SpecError>
}

/**
 * All entries of all pages. A link to another origin, one that was followed before, and more than 1,000 pages are
 * failures: a list would end silently, or never.
 */
export const stream = <A>({ client, first, headers, read }: Options<A>): Stream.Stream<A, RegistryError> =>
  Stream.suspend(() => {
    const seen = new Set<string>()
    return Stream.paginate(first, (url) =>
      Effect.gen(function*() {
        const response = yield* client.get(url, headers === undefined ? {} : { headers })
        const entries = read(yield* ResponseBody.bytes(response, pageLimit))
        if (Result.isFailure(entries)) return yield* Request.violation(response, entries.failure.message)
        seen.add(response.request.url)
        const next = yield* following(response, seen)
        return [entries.success, next] as const
      }))
  })

const following = (
  response: HttpClientResponse.HttpClientResponse,
  seen: ReadonlySet<string>
): Effect.Effect<Option.Option<string>, RegistryError> => {
  const link = nextOf(response.headers["link"])
  if (link === undefined) return Effect.succeedNone
  const here = new URL(response.request.url)
  const next = URL.parse(link, here)
  if (next === null || next.origin !== here.origin) {
    return Effect.fail(Request.violation(response, "the next page is at another origin"))
  }
  if (seen.has(next.href)) return Effect.fail(Request.violation(response, "the next page was read before"))
  if (seen.size >= maxPages) return Effect.fail(Request.violation(response, `more than ${maxPages} pages`))
  return Effect.succeedSome(next.href)
}
