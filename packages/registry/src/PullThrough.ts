/**
 * A storage that gets what it lacks from elsewhere, and keeps it once it is known to be right.
 *
 * @since 1.0.0
 */
import * as Budget from "@effect-oci/content/Budget"
import * as Bytes from "@effect-oci/content/Bytes"
import type { ContentError } from "@effect-oci/content/ContentError"
import * as Hasher from "@effect-oci/content/Hasher"
import type { Source } from "@effect-oci/content/Store"
import * as Digest from "@effect-oci/name/Digest"
import type * as Tag from "@effect-oci/name/Tag"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as Json from "@effect-oci/spec/Json"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Cache from "effect/Cache"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Lead from "./internal/lead.ts"
import { subjectOf } from "./internal/manifests.ts"
import * as Named from "./internal/named.ts"
import { remember } from "./internal/remember.ts"
import { type Storage, StorageError, type Stored } from "./Storage.ts"

/**
 * Options for `make`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * Where a repository's content is had. Nothing for what is kept here only: whoever decides this decides what can be
   * reached through the registry.
   */
  readonly sourceOf: (repository: string) => Effect.Effect<Option.Option<Source>>
  /**
   * The tags of a repository that has a source, where that has a way to list them.
   *
   * @default none has
   */
  readonly tagsOf?: ((repository: string) => Option.Option<Stream.Stream<string, ContentError>>) | undefined
  /**
   * How long something that was not there is not asked for again, nor a list of tags or referrers. Other failures are never
   * remembered.
   *
   * @default "5 seconds"
   */
  readonly missingFor?: Duration.Input | undefined
  /**
   * How long a source may take to say what a tag or digest stands for, to give a manifest, or for a page of a list. A client
   * that waits for the one and then the other has an answer before the half minute that it may wait itself; at once where the
   * source asks for a longer wait, which its clients hear of.
   *
   * @default "10 seconds"
   */
  readonly patience?: Duration.Input | undefined
}

/** How much all clients may be behind, in bytes; who would be more waits for the end, and reads what was kept. */
const lead = 64 * 1024 * 1024

/** How much of a blob a source has to show to be believed that it has it, in bytes. */
const shown = 64 * 1024

interface Download {
  readonly done: Deferred.Deferred<void, StorageError>
  /** What there is for whoever began it, once there is any. */
  readonly first: Effect.Effect<Stream.Stream<Uint8Array>, StorageError>
}

/** How long a list may be, as text: longer than any registry has one, lest it goes on for ever. */
const mostListed = 16 * 1024 * 1024

/** Who is asked to wait by a source has its own clients wait as well. */
const upstream = ({ message: detail, retryAfter }: ContentError) =>
  new StorageError(retryAfter === undefined ? { reason: "Upstream", detail } : { reason: "Busy", detail, retryAfter })

/** What a blob's failure is to whoever asked: a blob that a manifest names may be gone, and none of it is the client's fault. */
const unread = (error: ContentError | StorageError): StorageError =>
  error.reason === "DigestMismatch"
    ? new StorageError({ reason: "Upstream", detail: error.detail })
    : error._tag === "StorageError"
    ? error
    : error.reason._tag === "NotFound"
    ? new StorageError({ reason: "NoBlob", detail: error.message })
    : upstream(error)

/**
 * Puts a storage before sources.
 *
 * **Details**
 *
 * A tag is asked for each time, and when the source cannot say, neither can this: nothing old is given in its place. A
 * manifest is kept by its digest. A blob is had only if a manifest of its repository names it: one that was asked for, or that
 * is kept since an earlier process. Its bytes go to the client while they are kept, all but the last of them, which wait until
 * the digest is known to hold. It comes from that repository's source, once, however many ask, as fast as the source gives it,
 * and to its end, even if the client goes away.
 * Where it is kept for another repository, no more of it is fetched than shows that this one's source has it as well.
 * An answer begins when there is something of the blob: until then, what the source fails with has a status of its own. Of a
 * blob that comes faster than its client takes it, a part is held for the client, who has the rest from what was kept.
 *
 * Tags and referrers are those that the source lists, and when it cannot say, neither can this: what was pulled would be taken
 * for all that there is.
 *
 * **Gotchas**
 *
 * Of a source that has no way to list tags at all, those that were pulled are listed. Of one that has none to list referrers
 * nothing is said: whoever looks for a signature would believe that there is none.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = Effect.fnUntraced(function*(
  storage: Storage["Service"],
  { missingFor = "5 seconds", patience = "10 seconds", sourceOf, tagsOf = Option.none }: Options
): Effect.fn.Return<Storage["Service"], never, Scope.Scope> {
  const scope = yield* Effect.scope
  const start = yield* Hasher.Hashing
  const forgotten = Duration.toMillis(Duration.fromInputUnsafe(missingFor))
  const missing = new Map<string, number>()
  const named = yield* Named.make(storage.manifests)
  const downloads = new Map<string, Download>()
  const room: Lead.Room = { free: lead }

  const keyOf = (repository: string, digest: Digest.Digest) => `${repository}@${digest}`

  /** Waits no longer than a client does: nor begins to, where a source is about to wait beyond that. */
  const inTime = ({ location }: Source) => <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E | StorageError> =>
    Effect.clockWith((clock) => {
      const end = clock.currentTimeMillisUnsafe() + Duration.toMillis(Duration.fromInputUnsafe(patience))
      const late = Deferred.makeUnsafe<never, StorageError>()
      const told = ({ detail, duration, isRateLimited }: Budget.Wait): Effect.Effect<void> =>
        Effect.sync(() => {
          if (clock.currentTimeMillisUnsafe() + Duration.toMillis(duration) < end) return
          Deferred.doneUnsafe(
            late,
            Effect.fail(
              new StorageError(
                isRateLimited ? { reason: "Busy", detail, retryAfter: duration } : { reason: "Upstream", detail }
              )
            )
          )
        })
      return self.pipe(
        Effect.provideService(Budget.Held, Option.some(told)),
        Effect.raceFirst(Deferred.await(late)),
        Effect.timeoutOrElse({
          duration: patience,
          orElse: () =>
            Effect.fail(new StorageError({ reason: "Upstream", detail: `${location} does not answer in time` }))
        })
      )
    })

  const resolve = Effect.fnUntraced(function*(source: Source, repository: string, identifier: Tag.Tag | Digest.Digest) {
    const key = `${repository}:${identifier}`
    const now = yield* Clock.currentTimeMillis
    if ((missing.get(key) ?? 0) > now) return Option.none()
    return yield* Effect.asSome(source.resolve(identifier)).pipe(
      Effect.catch((error) => {
        if (error.reason._tag !== "NotFound") return Effect.fail(upstream(error))
        remember(missing, key, now + forgotten)
        return Effect.succeedNone
      }),
      inTime(source)
    )
  })

  /** A manifest as the source has it: whole and of its digest, or not at all. */
  const fetch = Effect.fnUntraced(function*(source: Source, descriptor: Descriptor.Descriptor) {
    const { mediaType } = descriptor
    // What a tag stands for is a manifest, of whatever type; a source looks among the blobs for what has a type it does not know.
    const known = MediaType.isDocument(mediaType) ? descriptor : { ...descriptor, mediaType: MediaType.ociManifest }
    const bytes = yield* Bytes.collect({ location: source.location })(source.fetch(known)).pipe(
      Effect.mapError(upstream),
      inTime(source)
    )
    // A source has checked this; but what is kept is given to everybody, so it is not taken on trust.
    const actual = Hasher.digestOf(start, bytes, Digest.algorithm(descriptor.digest))
    if (actual !== descriptor.digest) {
      return yield* new StorageError({
        reason: "Upstream",
        detail: `${source.location}: ${actual}, not ${descriptor.digest}`
      })
    }
    const document = yield* Effect.fromResult(Document.parse(bytes, mediaType)).pipe(
      Effect.mapError(({ message }) => new StorageError({ reason: "Upstream", detail: message }))
    )
    const stored: Stored = { digest: descriptor.digest, mediaType: document.mediaType, bytes }
    return { stored, subject: subjectOf(document, descriptor.digest) }
  })

  const manifest: Storage["Service"]["manifest"] = Effect.fnUntraced(function*(repository, identifier) {
    const local = yield* storage.manifest(repository, identifier)
    const source = yield* sourceOf(repository)
    if (Option.isNone(source) || (Digest.isDigest(identifier) && Option.isSome(local))) {
      return Option.map(local, (stored) => named.note(repository, stored))
    }
    const found = yield* resolve(source.value, repository, identifier)
    if (Option.isNone(found)) return Option.none()
    const { digest } = found.value
    if (Option.isSome(local) && local.value.digest === digest) return Option.some(named.note(repository, local.value))
    const { stored, subject } = yield* fetch(source.value, found.value)
    yield* storage.putManifest(repository, stored, { tags: Digest.isDigest(identifier) ? [] : [identifier], subject })
    // As it is kept, it need not be held for whoever takes it slowly.
    const kept = yield* storage.manifest(repository, digest)
    return Option.some(named.note(repository, Option.getOrElse(kept, () => stored)))
  })

  const putManifest: Storage["Service"]["putManifest"] = Effect.fnUntraced(function*(repository, stored, options) {
    const { condition } = options
    if (condition === undefined || Option.isNone(yield* sourceOf(repository))) {
      return yield* storage.putManifest(repository, stored, options)
    }
    // The source says what is there, not what is kept of it.
    const now = yield* manifest(repository, condition.identifier)
    if (!condition.holds(Option.map(now, ({ digest }) => digest))) return false
    return yield* storage.putManifest(repository, stored, { ...options, condition: undefined })
  })

  /**
   * Links what is kept for another repository, once the source has shown the end of it: anybody may know the digest, and say
   * that they have the rest.
   */
  const share = Effect.fnUntraced(function*(repository: string, descriptor: Descriptor.Descriptor, source: Source) {
    const { digest, size } = descriptor
    const at = size - shown
    // A small one is as soon fetched.
    if (at <= 0) return false
    const others = yield* Effect.filter(
      yield* storage.findBlob(digest),
      (other) => Effect.map(storage.blobSize(other, digest), Option.contains(size))
    )
    if (others[0] === undefined) return false
    const collect = Bytes.collect({ location: source.location, limit: shown })
    const ours = yield* collect(yield* storage.readBlob(others[0], digest, at, size))
    const theirs = yield* collect(source.fetch(descriptor, at))
    const isShown = theirs.length === shown && theirs.every((byte, i) => byte === ours[i])
    return isShown && (yield* storage.linkBlob(repository, digest, others[0]))
  }, Effect.orElseSucceed(() => false))

  /** Keeps a blob; tells `hear` of each piece but the last as long as it wants any. */
  const download = Effect.fnUntraced(function*(
    repository: string,
    descriptor: Descriptor.Descriptor,
    hear: (chunk: Uint8Array) => boolean
  ) {
    const source = yield* sourceOf(repository)
    if (Option.isNone(source)) return yield* new StorageError({ reason: "Upstream", detail: "there is no such source" })
    if (yield* share(repository, descriptor, source.value)) return
    const upload = yield* storage.createUpload(repository, Digest.algorithm(descriptor.digest))
    let last: Uint8Array | undefined
    let isHeard = true
    const heard = Stream.mapArray(source.value.fetch(descriptor), (chunks) => {
      for (const chunk of chunks) {
        if (last !== undefined) isHeard = hear(last)
        // It belongs to the source once the next one is pulled. And `slice` of a Node buffer does not copy.
        last = isHeard ? new Uint8Array(chunk) : undefined
      }
      return chunks
    })
    yield* storage.append(repository, upload.id, 0, heard).pipe(
      Effect.andThen(storage.commit(repository, upload.id, descriptor.digest)),
      Effect.onError(() => Effect.ignore(storage.cancel(repository, upload.id))),
      Effect.mapError(unread)
    )
  })

  /** Begins to keep a blob, and gives as much of it meanwhile as the client is fast enough to take, once there is any. */
  const begin = Effect.fnUntraced(function*(repository: string, descriptor: Descriptor.Descriptor) {
    const key = keyOf(repository, descriptor.digest)
    const done = yield* Deferred.make<void, StorageError>()
    const begun = yield* Deferred.make<void, StorageError>()
    const ahead = Lead.make(room)
    const started: Download = { done, first: Effect.as(Deferred.await(begun), ahead.bytes) }
    downloads.set(key, started)
    const hear = (chunk: Uint8Array): boolean => {
      const isHeld = ahead.offer(chunk)
      if (isHeld) Deferred.doneUnsafe(begun, Exit.void)
      return isHeld
    }
    yield* download(repository, descriptor, hear).pipe(
      Effect.onExit((exit) => {
        downloads.delete(key)
        // What was not taken by now is where all else is.
        ahead.close()
        Deferred.doneUnsafe(begun, exit)
        return Deferred.done(done, exit)
      }),
      Effect.ignore,
      Effect.forkIn(scope)
    )
    return started
    // Nobody is to wait for what never began.
  }, Effect.uninterruptible)

  /** All of a list, in order, or why it is not to be had; nothing where the source has nothing to list. */
  const whole = <A>(
    source: Source,
    list: Stream.Stream<A, ContentError>,
    keyOf: (item: A) => string,
    sizeOf: (item: A) => number
  ): Effect.Effect<Option.Option<ReadonlyArray<A>>, StorageError> =>
    Effect.suspend(() => {
      let left = mostListed
      return Stream.transformPull(list, (pull) => Effect.succeed(inTime(source)(pull))).pipe(
        Stream.takeWhile((item) => (left -= sizeOf(item)) >= 0),
        Stream.runCollect,
        Effect.map((all) =>
          Option.some([...all].sort((a, b) => keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0))
        ),
        Effect.catchTag(
          "ContentError",
          (error) => error.reason._tag === "NotFound" ? Effect.succeedNone : Effect.fail(upstream(error))
        ),
        Effect.filterOrFail(
          () => left >= 0,
          () => new StorageError({ reason: "Upstream", detail: `${source.location}: a list has no end` })
        )
      )
    })

  /** A client asks for page after page, and they are all of one list. Nothing where it is listed here. */
  const listing = <Key, A>(
    lookup: (key: Key) => Effect.Effect<Option.Option<ReadonlyArray<A>> | undefined, StorageError>
  ) =>
    Cache.makeWith(lookup, {
      capacity: 16,
      timeToLive: (exit) => Exit.isSuccess(exit) && exit.value !== undefined ? missingFor : 0
    })

  const tagsThere = yield* listing(Effect.fnUntraced(function*(repository: string) {
    const source = yield* sourceOf(repository)
    const list = tagsOf(repository)
    if (Option.isNone(source) || Option.isNone(list)) return undefined
    return yield* whole(source.value, list.value, (tag) => tag, (tag) => tag.length)
  }))
  const tags: Storage["Service"]["tags"] = (repository) =>
    Effect.filterOrElse(
      Cache.get(tagsThere, repository),
      (found) => found !== undefined,
      () => storage.tags(repository)
    )

  const referrersThere = yield* listing(
    Effect.fnUntraced(function*([repository, subject]: readonly [string, Digest.Digest]) {
      const source = yield* sourceOf(repository)
      if (Option.isNone(source)) return undefined
      const { location, referrers } = source.value
      if (referrers === undefined) {
        return yield* new StorageError({ reason: "Upstream", detail: `${location} does not list referrers` })
      }
      return yield* whole(
        source.value,
        referrers(subject),
        ({ digest }) => digest,
        (referrer) => Json.format(Descriptor.toJson(referrer)).length
      )
    })
  )
  const referrers: Storage["Service"]["referrers"] = (repository, subject, after = "") =>
    Stream.unwrap(
      Effect.map(Cache.get(referrersThere, [repository, subject]), (found) =>
        found === undefined
          ? storage.referrers(repository, subject, after)
          : Stream.fromIterable(Option.getOrElse(found, () => []).filter(({ digest }) => digest > after)))
    )

  const readBlob: Storage["Service"]["readBlob"] = Effect.fnUntraced(function*(repository, digest, start, end) {
    const key = keyOf(repository, digest)
    // As `blobSize` has just found it.
    const descriptor = named.get(repository, digest)
    const kept = storage.readBlob(repository, digest, start, end)
    if (descriptor === undefined || Option.isSome(yield* storage.blobSize(repository, digest))) return yield* kept
    const running = downloads.get(key)
    const { done, first } = running ?? (yield* begin(repository, descriptor))
    // A range waits until all is there, and so does who comes later.
    if (running !== undefined || start > 0 || end < descriptor.size) {
      yield* Deferred.await(done)
      return yield* kept
    }
    let at = 0
    const counted = Stream.mapArray(yield* first, (chunks) => {
      for (const chunk of chunks) at += chunk.length
      return chunks
    })
    const rest = Effect.andThen(
      Deferred.await(done),
      Effect.suspend(() => at === end ? Effect.succeed(Stream.empty) : storage.readBlob(repository, digest, at, end))
    )
    return Stream.concat(counted, Stream.unwrap(rest))
  })

  return {
    ...storage,
    manifest,
    putManifest,
    tags,
    referrers,
    // A source knows the tag, and whether it is still to be read.
    hasTaggedReferrers: (repository) => Effect.map(sourceOf(repository), Option.isSome),
    readBlob,
    blobSize: Effect.fnUntraced(function*(repository, digest) {
      const local = yield* storage.blobSize(repository, digest)
      if (Option.isSome(local) || Option.isNone(yield* sourceOf(repository))) return local
      return Option.map(Option.fromUndefinedOr(yield* named.find(repository, digest)), ({ size }) => size)
    })
  }
})
