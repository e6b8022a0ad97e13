/**
 * Lists that come in pages, each naming the next by a `Link` header (RFC 8288).
 */
import type * as Registry from "@effect-oci/name/Registry"
import type { SpecError } from "@effect-oci/spec/SpecError"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { PageSize } from "../PageSize.ts"
import * as Request from "./request.ts"

const pageLimit = 8 * 1024 * 1024
const maxPages = 1000
const maxEmpty = 3

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
  readonly read: (
    bytes: Uint8Array,
    response: HttpClientResponse.HttpClientResponse
  ) => Result.Result<ReadonlyArray<A>, SpecError>
  /** What is handed on of a page, all unless told: one that has only what nobody asked for is not empty. */
  readonly pick?:
    | ((entries: ReadonlyArray<A>, response: HttpClientResponse.HttpClientResponse) => ReadonlyArray<A>)
    | undefined
}

type Page<A> = readonly [ReadonlyArray<A>, Option.Option<string>]

/**
 * All entries of all pages. A link to another origin, one that was followed before, more than 1,000 pages, and three in a row
 * with nothing in them are failures: a list would end silently, or never.
 */
export const stream = <A>(options: Options<A>): Stream.Stream<A, RegistryError> => Stream.unwrap(open(options))

/** The same, and a failure of the first page before there is a stream. */
export const open = <A>(
  { client, first, headers, pick, read }: Options<A>
): Effect.Effect<Stream.Stream<A, RegistryError>, RegistryError> =>
  Effect.suspend(() => {
    const seen = new Set<string>()
    let empty = 0
    const page = Effect.fnUntraced(function*(url: string): Effect.fn.Return<Page<A>, RegistryError> {
      const response = yield* client.get(url, headers === undefined ? {} : { headers })
      const entries = read(yield* ResponseBody.bytes(response, pageLimit), response)
      if (Result.isFailure(entries)) return yield* Request.violation(response, entries.failure.message)
      seen.add(response.request.url)
      empty = entries.success.length === 0 ? empty + 1 : 0
      const next = yield* following(response, seen)
      if (Option.isSome(next) && empty >= maxEmpty) {
        return yield* Request.violation(response, `${maxEmpty} pages in a row with nothing in them`)
      }
      return [pick === undefined ? entries.success : pick(entries.success, response), next]
    })
    return Effect.map(page(first), ([entries, next]) =>
      Stream.concat(
        Stream.fromIterable(entries),
        Option.match(next, { onNone: () => Stream.empty, onSome: (url) => Stream.paginate(url, page) })
      ))
  })

/** How a list of names is asked for. */
export interface Asked {
  readonly pageSize?: number | undefined
  readonly last?: string | undefined
}

/** A list of names, in pages as large as wished; once more without the number where the registry does not take it. */
export const names = Effect.fnUntraced(function*<A>(
  registry: Registry.Registry,
  pages: Options<A>,
  asked: Asked | undefined
): Effect.fn.Return<Stream.Stream<A, RegistryError>, RegistryError> {
  const size = asked?.pageSize ?? (yield* PageSize)(registry)
  const at = (parameters: Record<string, string>) => {
    const query = new URLSearchParams(parameters).toString()
    return open({ ...pages, first: query === "" ? pages.first : `${pages.first}?${query}` })
  }
  const after = asked?.last === undefined ? {} : { last: asked.last }
  return yield* size === undefined
    ? at(after)
    : Effect.catchIf(at({ ...after, n: String(size) }), ({ status }) => status === 400, () => at(after))
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
