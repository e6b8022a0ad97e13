/**
 * A `Map` that is a source and a target.
 *
 * @since 1.0.0
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Tag from "@effect-oci/name/Tag"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Bytes from "./Bytes.ts"
import { ContentError, NotFound } from "./ContentError.ts"
import * as Hasher from "./Hasher.ts"
import type { Store } from "./Store.ts"
import * as Successors from "./Successors.ts"
import * as Verify from "./Verify.ts"

/**
 * A store in memory.
 *
 * @category models
 * @since 1.0.0
 */
export interface MemoryStore extends Store {
  /**
   * Keeps bytes under their own digest.
   */
  readonly add: (mediaType: string, bytes: Uint8Array) => Effect.Effect<Descriptor.Descriptor>
  /**
   * Everything it holds, by digest.
   */
  readonly contents: ReadonlyMap<Digest.Digest, { readonly mediaType: string; readonly bytes: Uint8Array }>
  /**
   * The tags, and what they stand for.
   */
  readonly tags: ReadonlyMap<Tag.Tag, Descriptor.Descriptor>
}

/**
 * Makes an empty store.
 *
 * **When to use**
 *
 * For images of a size that memory holds: tests, small artifacts, documents on their way somewhere.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = (location = "memory"): MemoryStore => {
  const contents = new Map<Digest.Digest, { readonly mediaType: string; readonly bytes: Uint8Array }>()
  const tags = new Map<Tag.Tag, Descriptor.Descriptor>()

  const keep = (mediaType: string, bytes: Uint8Array) =>
    Effect.map(Hasher.Hashing, (start) => {
      const digest = Hasher.digestOf(start, bytes)
      contents.set(digest, { mediaType, bytes })
      return Descriptor.make({ mediaType, digest, size: bytes.length })
    })

  const missing = (operation: ContentError["operation"], what: string) =>
    new ContentError({ operation, location, reason: new NotFound({ what }) })

  const resolve = (identifier: Tag.Tag | Digest.Digest) =>
    Effect.suspend(() => {
      // A tag has no colon and a digest always has, so neither is found as the other.
      const tagged = tags.get(identifier as Tag.Tag)
      if (tagged !== undefined) return Effect.succeed(tagged)
      const digest = identifier as Digest.Digest
      const found = contents.get(digest)
      return found === undefined
        ? Effect.fail(missing("resolve", identifier))
        : Effect.succeed(Descriptor.make({ mediaType: found.mediaType, digest, size: found.bytes.length }))
    })

  return {
    location,
    repository: Option.none(),
    contents,
    tags,
    add: keep,
    resolve,
    fetch: (descriptor, offset = 0) =>
      Stream.suspend(() => {
        const found = contents.get(descriptor.digest)
        return found === undefined
          ? Stream.fail(missing("read", descriptor.digest))
          : Bytes.body(found.bytes)(offset)
      }).pipe(Verify.stream(descriptor, { location, offset })),
    exists: (descriptor) => Effect.sync(() => contents.has(descriptor.digest)),
    push: (descriptor, body) =>
      body(0).pipe(
        Verify.stream(descriptor, { location }),
        Bytes.collect({ location, limit: descriptor.size }),
        Effect.map((bytes) => {
          contents.set(descriptor.digest, { mediaType: descriptor.mediaType, bytes })
          return "sent" as const
        })
      ),
    pushStream: (body) =>
      body.pipe(
        Bytes.collect({ location, limit: Number.MAX_SAFE_INTEGER }),
        Effect.flatMap((bytes) => keep("application/octet-stream", bytes)),
        Effect.map(({ digest, size }) => ({ digest, size }))
      ),
    referrers: (subject) =>
      Stream.suspend(() =>
        Stream.fromIterable(
          [...contents].flatMap(([digest, { bytes, mediaType }]) =>
            Option.match(Successors.referrer({ mediaType, digest, size: bytes.length }, bytes), {
              onNone: () => [],
              onSome: (referrer) => referrer.subject === subject ? [referrer.descriptor] : []
            })
          )
        )
      ),
    tag: (descriptor, tag) =>
      contents.has(descriptor.digest)
        ? Effect.sync(() => void tags.set(tag, descriptor))
        : Effect.fail(missing("tag", descriptor.digest))
  }
}
