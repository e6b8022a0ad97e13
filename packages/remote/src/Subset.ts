/**
 * An index of some of its platforms: made anew, with only those in it, and written as any other.
 *
 * @since 1.0.0
 */
import * as Bytes from "@effect-oci/content/Bytes"
import { type ContentError, NotFound } from "@effect-oci/content/ContentError"
import * as Hasher from "@effect-oci/content/Hasher"
import type { Source } from "@effect-oci/content/Store"
import type * as Digest from "@effect-oci/name/Digest"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import type * as Document from "@effect-oci/spec/Document"
import * as ImageConfig from "@effect-oci/spec/ImageConfig"
import { format, isObject } from "@effect-oci/spec/Json"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Platform from "@effect-oci/spec/Platform"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Documents from "./Documents.ts"
import * as Image from "./Image.ts"

/**
 * Content, and the place that has it.
 *
 * @category models
 * @since 1.0.0
 */
export interface Placed {
  readonly store: Source
  readonly descriptor: Descriptor.Descriptor
}

/**
 * What is left of an index for some platforms.
 *
 * **Details**
 *
 * Each platform is answered by the member that fits it best, in nested indexes too, which are made anew as well. What is about
 * a member that stays (BuildKit's attestations) stays with it; all other members are left out, and the index names nothing
 * that is not there. So it has another digest: signatures of the whole are not signatures of it. Where nothing is left out it
 * is the index as it was. An image alone is left as it is, if it is for one of the platforms. The new documents are read from
 * the source that this gives, all else from where it was.
 *
 * @category constructors
 * @since 1.0.0
 */
export const of = Effect.fn("Subset.of")(function*(
  { descriptor, store }: Placed,
  platforms: ReadonlyArray<Platform.Platform>
): Effect.fn.Return<Placed, ContentError> {
  const documents = yield* Documents.make(store)
  const made = new Map<Digest.Digest, Uint8Array>()
  const root = yield* documents.read(descriptor)
  const missing = (platform: Platform.Platform) =>
    Documents.failure(
      store,
      new NotFound({ what: `an image for ${Platform.format(platform)} in ${descriptor.digest}` })
    )

  if (root.document._tag === "Manifest") {
    const config = yield* Documents.content(store, root.document.config)
    const offer = Result.map(ImageConfig.parse(config), ({ platform }) => platform)
    const fits = Result.isSuccess(offer) && platforms.some((platform) => Platform.matches(platform, offer.success))
    return fits || platforms.length === 0 ? { store, descriptor } : yield* missing(platforms[0]!)
  }
  if (root.document._tag === "Opaque") {
    return yield* Documents.unsupported(store, `${descriptor.mediaType} has no platforms`)
  }

  const { answered, descriptor: kept } = yield* keep(documents, made, descriptor, root.document, platforms, 0)
  const unanswered = platforms.find((platform) => !answered.has(platform))
  if (unanswered !== undefined || kept === undefined) return yield* missing(unanswered ?? platforms[0]!)
  const fetch: Source["fetch"] = (of, offset) => {
    const bytes = made.get(of.digest)
    return bytes === undefined ? store.fetch(of, offset) : Bytes.body(bytes)(offset ?? 0)
  }
  return { store: { ...store, fetch }, descriptor: kept }
})

interface Kept {
  readonly answered: ReadonlySet<Platform.Platform>
  /** Nothing where nothing of it stays. */
  readonly descriptor: Descriptor.Descriptor | undefined
}

const maxDepth = 8

const keep = (
  documents: Documents.Documents,
  made: Map<Digest.Digest, Uint8Array>,
  descriptor: Descriptor.Descriptor,
  index: Document.ImageIndex,
  platforms: ReadonlyArray<Platform.Platform>,
  depth: number
): Effect.Effect<Kept, ContentError> =>
  Effect.gen(function*() {
    const { manifests } = index
    const answered = new Set<Platform.Platform>()
    // What is put in the place of a member; members that are not in it are left out.
    const stays = new Map<number, Descriptor.Descriptor>()
    const offers = manifests.map((member) => Image.isAttestation(member) ? undefined : member.platform)
    for (const platform of platforms) {
      const best = Platform.best(platform, offers)
      if (best === undefined) continue
      answered.add(platform)
      stays.set(best, manifests[best]!)
    }
    for (const [at, member] of manifests.entries()) {
      const open = platforms.filter((platform) => !answered.has(platform))
      if (open.length === 0 || depth >= maxDepth) break
      if (!MediaType.isIndex(member.mediaType) || member.platform !== undefined) continue
      const { document } = yield* documents.read(member)
      if (document._tag !== "ImageIndex") continue
      const nested = yield* keep(documents, made, member, document, open, depth + 1)
      if (nested.descriptor !== undefined) stays.set(at, nested.descriptor)
      for (const platform of nested.answered) answered.add(platform)
    }
    const digests = new Set([...stays.keys()].map((at): string => manifests[at]!.digest))
    for (const [at, member] of manifests.entries()) {
      const about = member.annotations?.["vnd.docker.reference.digest"]
      if (about !== undefined && digests.has(about)) stays.set(at, member)
    }
    if (stays.size === 0) return { answered, descriptor: undefined }
    const isWhole = manifests.every((member, at) => stays.get(at) === member)
    return { answered, descriptor: isWhole ? descriptor : yield* remake(made, descriptor, index, stays) }
  })

/** The index with other members, and all else that stood in it. */
const remake = Effect.fnUntraced(function*(
  made: Map<Digest.Digest, Uint8Array>,
  descriptor: Descriptor.Descriptor,
  { json, manifests, mediaType }: Document.ImageIndex,
  stays: ReadonlyMap<number, Descriptor.Descriptor>
) {
  const entries = Array.isArray(json["manifests"]) ? json["manifests"] as ReadonlyArray<unknown> : []
  const members = entries.flatMap((entry, at) => {
    const member = stays.get(at)
    if (member === undefined || !isObject(entry)) return []
    if (member === manifests[at]) return [entry]
    // What is inline is what it was before.
    const { data: _, ...kept } = entry
    return [{ ...kept, digest: member.digest, size: member.size }]
  })
  const bytes = format({ ...json, manifests: members })
  const digest = Hasher.digestOf(yield* Hasher.Hashing, bytes)
  made.set(digest, bytes)
  const { data: _, ...rest } = descriptor
  return Descriptor.make({ ...rest, mediaType, digest, size: bytes.length })
})
