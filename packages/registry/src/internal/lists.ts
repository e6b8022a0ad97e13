/**
 * Tags, repositories and referrers, page by page.
 */
import type * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as Json from "@effect-oci/spec/Json"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { Access } from "../Access.ts"
import { Settings } from "../Settings.ts"
import { Storage, type StorageError } from "../Storage.ts"
import * as Reply from "./reply.ts"

type Return = Effect.fn.Return<Reply.Reply, StorageError, Storage>

interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly headers: Record<string, string>
}

/** How many entries are wanted, and after which; nothing where that is no number. */
const wantedOf = Effect.fnUntraced(function*(
  query: URLSearchParams
): Effect.fn.Return<{ readonly n: number; readonly last: string | null } | undefined> {
  const { pageSize } = yield* Settings
  const text = query.get("n")
  if (text !== null && !/^\d{1,9}$/.test(text)) return undefined
  return { n: Math.min(text === null ? pageSize : Number(text), pageSize), last: query.get("last") }
})

/** The entries after `last`, `n` of them at most and as many as fit in `room`, and a link to the rest. */
const page = Effect.fnUntraced(function*<A>(
  path: string,
  all: ReadonlyArray<A>,
  query: URLSearchParams,
  key: (item: A) => string,
  size: (item: A) => number = () => 0,
  room = 0
): Effect.fn.Return<Page<A> | undefined> {
  const wanted = yield* wantedOf(query)
  if (wanted === undefined) return undefined
  const { last, n } = wanted
  const rest = last === null ? all : all.filter((item) => key(item) > last)
  let left = room
  const items = rest.slice(0, n).filter((item, at) => (left -= size(item)) >= 0 || at === 0)
  if (items.length === rest.length || n === 0) return { items, headers: {} }
  const next = new URLSearchParams(query)
  next.set("n", String(n))
  next.set("last", key(items.at(-1)!))
  return { items, headers: { link: `<${path}?${next}>; rel="next"` } }
})

const badCount = Reply.failure(400, "UNSUPPORTED", "n must be a whole number")

export const tags = Effect.fnUntraced(function*(
  repository: string,
  query: URLSearchParams
): Return {
  const storage = yield* Storage
  const all = yield* storage.tags(repository)
  if (Option.isNone(all)) return Reply.failure(404, "NAME_UNKNOWN", "no such repository")
  const found = yield* page(`/v2/${repository}/tags/list`, all.value, query, (tag) => tag)
  return found === undefined
    ? badCount
    : Reply.json({ name: repository, tags: found.items }, found.headers)
})

export const catalog = Effect.fnUntraced(function*(
  query: URLSearchParams
): Return {
  const storage = yield* Storage
  const may = yield* Access
  const seen = (yield* storage.repositories).filter((name) => may(name, "pull"))
  const found = yield* page("/v2/_catalog", seen, query, (name) => name)
  return found === undefined
    ? badCount
    : Reply.json({ repositories: found.items }, found.headers)
})

interface Referrer {
  readonly descriptor: Descriptor.Descriptor
  readonly size: number
}

const referrerOf = (descriptor: Descriptor.Descriptor): Referrer => ({
  descriptor,
  size: Json.format(Descriptor.toJson(descriptor)).length + 1
})

/** Until there are more than fit on a page. Of two at least, the page has one, whatever its size. */
const isBeyond = (n: number, room: number) => {
  let count = 0
  let left = room
  return ({ size }: Referrer) => {
    count++
    left -= size
    return count > n || (left < 0 && count > 1)
  }
}

export const referrers = Effect.fnUntraced(function*(
  repository: string,
  subject: Digest.Digest,
  query: URLSearchParams
): Return {
  const storage = yield* Storage
  const { manifestLimit } = yield* Settings
  const wanted = yield* wantedOf(query)
  if (wanted === undefined) return badCount
  const artifactType = query.get("artifactType")
  // The list is a manifest and no larger than one may be; what is around the descriptors has room in the rest.
  const room = manifestLimit - 256
  const isAsked = (referrer: Descriptor.Descriptor) => artifactType === null || referrer.artifactType === artifactType
  const old = new Map((yield* tagged(repository, subject)).map((descriptor) => [descriptor.digest, descriptor]))
  const stored = yield* storage.referrers(repository, subject, wanted.last ?? undefined).pipe(
    Stream.filter((descriptor) => {
      old.delete(descriptor.digest)
      return isAsked(descriptor)
    }),
    Stream.map(referrerOf),
    Stream.takeUntil(isBeyond(wanted.n, room)),
    Stream.runCollect
  )
  const all = [...stored, ...[...old.values()].filter(isAsked).map(referrerOf)]
    .sort((a, b) => a.descriptor.digest < b.descriptor.digest ? -1 : 1)
  const path = `/v2/${repository}/referrers/${subject}`
  const found = yield* page(path, all, query, ({ descriptor }) => descriptor.digest, ({ size }) => size, room)
  if (found === undefined) return badCount
  const index = {
    schemaVersion: 2,
    mediaType: MediaType.ociIndex,
    manifests: found.items.map(({ descriptor }) => Descriptor.toJson(descriptor))
  }
  return Reply.bytes(Json.format(index), MediaType.ociIndex, {
    ...found.headers,
    ...(artifactType === null ? {} : { "oci-filters-applied": "artifactType" })
  })
})

/** What clients listed under the fallback tag, as they do at registries without this endpoint. */
const tagged = Effect.fnUntraced(function*(
  repository: string,
  subject: Digest.Digest
): Effect.fn.Return<ReadonlyArray<Descriptor.Descriptor>, StorageError, Storage> {
  const storage = yield* Storage
  if (storage.hasTaggedReferrers !== undefined && (yield* storage.hasTaggedReferrers(repository))) return []
  const tag = Tag.parse(`${subject.replace(":", "-").slice(0, 71)}`)
  const stored = Result.isFailure(tag) ? Option.none() : yield* storage.manifest(repository, tag.success)
  if (Option.isNone(stored)) return []
  const document = Result.getOrElse(Document.parse(stored.value.bytes, stored.value.mediaType), () => undefined)
  return document?._tag === "ImageIndex" ? document.manifests : []
})
