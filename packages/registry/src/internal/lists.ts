/**
 * Tags, repositories and referrers, page by page.
 */
import type * as Digest from "@effect-oci/name/Digest"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import { Storage, type StorageError } from "../Storage.ts"
import * as Reply from "./reply.ts"

type Return = Effect.fn.Return<Reply.Reply, StorageError, Storage>

const maxPage = 1000

interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly headers: Record<string, string>
}

/** The entries after `last`, `n` of them at most, and a link to the rest. */
const page = <A>(
  path: string,
  all: ReadonlyArray<A>,
  key: (item: A) => string,
  query: URLSearchParams
): Page<A> | undefined => {
  const text = query.get("n")
  if (text !== null && !/^\d{1,9}$/.test(text)) return undefined
  const n = Math.min(text === null ? maxPage : Number(text), maxPage)
  const last = query.get("last")
  const rest = last === null ? all : all.filter((item) => key(item) > last)
  const items = rest.slice(0, n)
  if (items.length === rest.length || n === 0) return { items, headers: {} }
  const next = new URLSearchParams(query)
  next.set("n", String(n))
  next.set("last", key(items.at(-1)!))
  return { items, headers: { link: `<${path}?${next}>; rel="next"` } }
}

const badCount = Reply.failure(400, "UNSUPPORTED", "n must be a whole number")

export const tags = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  query: URLSearchParams
): Return {
  if (request.method !== "GET") return Reply.notAllowed("GET")
  const storage = yield* Storage
  const all = yield* storage.tags(repository)
  if (Option.isNone(all)) return Reply.failure(404, "NAME_UNKNOWN", "no such repository")
  const found = page(`/v2/${repository}/tags/list`, all.value, (tag) => tag, query)
  return found === undefined
    ? badCount
    : HttpServerResponse.jsonUnsafe({ name: repository, tags: found.items }, { headers: found.headers })
})

export const catalog = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  query: URLSearchParams
): Return {
  if (request.method !== "GET") return Reply.notAllowed("GET")
  const storage = yield* Storage
  const found = page("/v2/_catalog", yield* storage.repositories, (name) => name, query)
  return found === undefined
    ? badCount
    : HttpServerResponse.jsonUnsafe({ repositories: found.items }, { headers: found.headers })
})

export const referrers = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  subject: Digest.Digest,
  query: URLSearchParams
): Return {
  if (request.method !== "GET") return Reply.notAllowed("GET")
  const storage = yield* Storage
  const artifactType = query.get("artifactType")
  const all = (yield* storage.referrers(repository, subject))
    .filter((referrer) => artifactType === null || referrer.artifactType === artifactType)
    .toSorted((a, b) => a.digest < b.digest ? -1 : 1)
  const found = page(`/v2/${repository}/referrers/${subject}`, all, (referrer) => referrer.digest, query)
  if (found === undefined) return badCount
  const index = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: found.items.map(Descriptor.toJson) }
  return HttpServerResponse.uint8Array(new TextEncoder().encode(JSON.stringify(index)), {
    contentType: MediaType.ociIndex,
    headers: { ...found.headers, ...(artifactType === null ? {} : { "oci-filters-applied": "artifactType" }) }
  })
})
