/**
 * Manifests, the tags that point to them, and what refers to what.
 *
 * A manifest is one file: a line of JSON that says what is to be known of it, and its bytes. It is believed when they have
 * its digest.
 */
import * as Hasher from "@effect-oci/content/Hasher"
import * as Digest from "@effect-oci/name/Digest"
import type * as Tag from "@effect-oci/name/Tag"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as Json from "@effect-oci/spec/Json"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Condition, Storage, StorageError, Stored } from "../../Storage.ts"
import * as Files from "./files.ts"
import * as Locks from "./locks.ts"
import * as Names from "./names.ts"
import * as Reading from "./reading.ts"

interface Record extends Stored {
  readonly subject: Option.Option<Digest.Digest>
}

/** Whether there was something. */
type Removal = Effect.Effect<boolean, StorageError>

const encode = (text: string) => new TextEncoder().encode(text)

const toBytes = ({ bytes, mediaType }: Stored, subject: Digest.Digest | undefined): Uint8Array => {
  const header = encode(`${JSON.stringify({ mediaType, subject })}\n`)
  const all = new Uint8Array(header.length + bytes.length)
  all.set(header)
  all.set(bytes, header.length)
  return all
}

const fromBytes = (start: Hasher.Start, digest: Digest.Digest, all: Uint8Array): Option.Option<Record> => {
  const end = all.indexOf(0x0a)
  const header = Result.getOrElse(Json.parse(all.subarray(0, Math.max(end, 0)), "header"), () => undefined)
  const bytes = all.subarray(end + 1)
  if (!Json.isObject(header) || typeof header["mediaType"] !== "string") return Option.none()
  if (Hasher.digestOf(start, bytes, Digest.algorithm(digest)) !== digest) return Option.none()
  return Option.some({
    digest,
    mediaType: header["mediaType"],
    bytes,
    subject: Result.getSuccess(Digest.parse(String(header["subject"])))
  })
}

export type Manifests = ReturnType<typeof make>

export const make = (files: Files.Files, start: Hasher.Start, room: Reading.Room) => {
  const { fs, path, root } = files
  // By repository: what reads a tag before it changes something is done by one at a time.
  const locks = Locks.make()

  const folderOf = (repository: string, kind: "manifests" | "tags" | "referrers") =>
    path.join(root, "repositories", Names.encode(repository), kind)
  const manifestOf = (repository: string, digest: Digest.Digest) =>
    path.join(folderOf(repository, "manifests"), Names.ofDigest(digest))
  const tagOf = (repository: string, tag: string) => path.join(folderOf(repository, "tags"), Names.encode(tag))
  const referrersOf = (repository: string, subject: Digest.Digest) =>
    path.join(folderOf(repository, "referrers"), Names.ofDigest(subject))

  const targetIn = (file: string) =>
    Effect.map(files.read(file), (bytes) =>
      bytes === undefined
        ? Option.none()
        : Result.getSuccess(Digest.parse(new TextDecoder().decode(bytes))))
  const target = (repository: string, tag: string) => targetIn(tagOf(repository, tag))

  const record = (repository: string, digest: Digest.Digest): Effect.Effect<Option.Option<Record>, StorageError> =>
    Effect.map(
      files.read(manifestOf(repository, digest)),
      (bytes) => bytes === undefined ? Option.none() : fromBytes(start, digest, bytes)
    )

  const digests = (repository: string) =>
    Effect.map(
      files.list(folderOf(repository, "manifests")),
      (names = []) => names.flatMap((file) => Option.toArray(Names.toDigest(file)))
    )

  /** The last bytes of a file: what stands before them may be another's by now. It holds none of what was read before. */
  const again = (file: string, size: number): Stream.Stream<Uint8Array, StorageError> =>
    Stream.unwrap(
      Effect.map(Files.attempt(fs.stat(file)), (info) =>
        Reading.make(fs.open(file, { flag: "r" }), Number(info.size) - size, Number(info.size), room))
    )

  const byDigest = (repository: string, digest: Digest.Digest) =>
    Effect.map(
      record(repository, digest),
      Option.map(({ bytes, digest, mediaType }): Stored => ({
        digest,
        mediaType,
        bytes,
        ...(bytes.length > Reading.held ? { again: again(manifestOf(repository, digest), bytes.length) } : {})
      }))
    )

  /** What a tag points to. It may have moved while that was read, and what it pointed to may be gone since. */
  const byTag = (
    repository: string,
    tag: Tag.Tag,
    seen?: Digest.Digest | undefined
  ): Effect.Effect<Option.Option<Stored>, StorageError> =>
    Effect.flatMap(
      target(repository, tag),
      (digest) =>
        Option.isNone(digest) || digest.value === seen ? Effect.succeedNone : Effect.filterOrElse(
          byDigest(repository, digest.value),
          Option.isSome,
          () => byTag(repository, tag, digest.value)
        )
    )

  const get = (repository: string, identifier: Tag.Tag | Digest.Digest) =>
    Digest.isDigest(identifier) ? byDigest(repository, identifier) : byTag(repository, identifier)

  /** Does what changes a repository when nobody else does, if what it depends on holds then. */
  const changing = (
    repository: string,
    change: Effect.Effect<boolean, StorageError>,
    identifier: Tag.Tag | Digest.Digest | undefined,
    holds: Condition["holds"] | undefined
  ): Effect.Effect<boolean, StorageError> =>
    locks.hold(repository)(
      identifier === undefined || holds === undefined ? change : Effect.flatMap(
        get(repository, identifier),
        (now) => holds(Option.map(now, ({ digest }) => digest)) ? change : Effect.succeed(false)
      )
    )

  const tags = Effect.fnUntraced(function*(repository: string) {
    const all = yield* files.list(folderOf(repository, "tags"))
    if (all !== undefined) return Option.some(all.flatMap((file) => Option.toArray(Names.decode(file))).sort())
    const there = yield* files.list(path.join(root, "repositories", Names.encode(repository)))
    return Option.map(Option.fromUndefinedOr(there), (): ReadonlyArray<string> => [])
  })

  /** Removes a file that is there for good until then. */
  const remove = Effect.fnUntraced(function*(file: string, around: (removal: Removal) => Removal = identity) {
    const removed = yield* around(files.remove(file))
    if (removed) yield* files.sync(path.dirname(file))
    return removed
  })

  /**
   * Removes the tags of a manifest: before it goes, and those that came meanwhile after that.
   *
   * Another process may move a tag between the reading and the removing of it, and no file system removes a file only if it
   * says a certain thing. So it is put aside, where it shows what went, and put back if that is something else. For as long as
   * that takes others miss a tag that they should see, and it is lost if this process is killed then: two have to change one
   * tag at the same moment for that, and the kill to come in it. Any other kill leaves a deletion that nobody was told is done:
   * a manifest without some of its tags, or at worst a tag that came meanwhile and leads nowhere.
   *
   * Other orders cost more. Were the manifest to go first, and tags that lead nowhere taken for none, they would still have to
   * be removed later, with the same gap; until then, each list would have to read all tags, and they would all be back once the
   * same manifest is pushed again under another one. Were a tag that is aside still found, and put back after a kill, all that
   * moves or deletes tags would have to look there as well, or what was deleted meanwhile would be back.
   */
  const untag = Effect.fnUntraced(function*(
    repository: string,
    digest: Digest.Digest,
    goes: Effect.Effect<boolean, StorageError> = Effect.succeed(true)
  ) {
    const all = Option.getOrElse(yield* tags(repository), () => [])
    yield* Effect.forEach(
      all,
      Effect.fnUntraced(function*(tag) {
        const file = tagOf(repository, tag)
        if (!Option.contains(yield* targetIn(file), digest) || !(yield* goes)) return
        // Another process may move it now, and what it moves it to is not to be lost: what is read is what goes.
        const aside = files.temporary()
        // Where it goes, what is old is collected.
        yield* files.touch(file)
        if (!(yield* files.tryMove(file, aside))) return
        const back = files.restore(aside, file)
        yield* Effect.flatMap(targetIn(aside), (now) => Option.contains(now, digest) ? files.remove(aside) : back).pipe(
          Effect.onError(() => Effect.ignore(back))
        )
        yield* files.sync(path.dirname(file))
      }),
      { concurrency: 16, discard: true }
    )
  })

  const removeAll = Effect.fnUntraced(function*(repository: string, digest: Digest.Digest) {
    const file = manifestOf(repository, digest)
    const found = yield* record(repository, digest)
    yield* untag(repository, digest)
    if (Option.isSome(found) && Option.isSome(found.value.subject)) {
      yield* remove(path.join(referrersOf(repository, found.value.subject.value), Names.ofDigest(digest)))
    }
    const removed = yield* remove(file)
    // Another process may have tagged it meanwhile, or put it once more.
    if (removed) yield* untag(repository, digest, Effect.map(files.info(file), (info) => info === undefined))
    return removed
  })

  return {
    tags,

    get,

    all: (repository: string): Stream.Stream<Stored, StorageError> =>
      Stream.fromIterableEffect(digests(repository)).pipe(
        // One may be large: few are ahead of whoever pulls.
        Stream.mapEffect((digest) => byDigest(repository, digest), { concurrency: 4 }),
        Stream.flatMap((found) => Stream.fromIterable(Option.toArray(found)))
      ),

    /** All that the manifests of a repository name; nothing where one of them cannot be read or understood. */
    named: Effect.fnUntraced(function*(repository: string) {
      const all = new Set<Digest.Digest>()
      for (const digest of yield* digests(repository)) {
        const found = yield* record(repository, digest)
        const document = Option.map(
          found,
          ({ bytes, mediaType }) => Result.getOrUndefined(Document.parse(bytes, mediaType))
        )
        if (Option.isNone(document) || document.value === undefined || document.value._tag === "Opaque") {
          return Option.none<ReadonlySet<Digest.Digest>>()
        }
        for (const { digest } of Document.successors(document.value)) all.add(digest)
      }
      return Option.some<ReadonlySet<Digest.Digest>>(all)
    }),

    put: (
      repository: string,
      manifest: Stored,
      { condition, subject, tags }: Parameters<Storage["Service"]["putManifest"]>[2]
    ) => {
      const { digest } = manifest
      return files.put([
        [manifestOf(repository, digest), toBytes(manifest, Option.getOrUndefined(subject)?.digest)],
        ...Option.toArray(subject).map(({ digest: of, referrer }) =>
          [
            path.join(referrersOf(repository, of), Names.ofDigest(digest)),
            encode(JSON.stringify(Descriptor.toJson(referrer)))
          ] as const
        ),
        // Last, for they make all the rest known.
        ...tags.map((tag) => [tagOf(repository, tag), encode(digest)] as const)
      ], (moves) => changing(repository, moves, condition?.identifier, condition?.holds))
    },

    remove: (
      repository: string,
      identifier: Tag.Tag | Digest.Digest,
      holds?: Condition["holds"] | undefined
    ): Removal => {
      const inTurn = (removal: Removal) => changing(repository, removal, identifier, holds)
      return Effect.uninterruptible(
        Digest.isDigest(identifier)
          ? inTurn(removeAll(repository, identifier))
          : remove(tagOf(repository, identifier), inTurn)
      )
    },

    referrers: (repository: string, subject: Digest.Digest, after = "") => {
      const folder = referrersOf(repository, subject)
      const digests = Effect.map(
        files.list(folder),
        (names = []) =>
          names.flatMap((file) => Option.toArray(Names.toDigest(file))).filter((digest) => digest > after).sort(
            Digest.Order
          )
      )
      const read = Effect.fnUntraced(function*(digest: Digest.Digest) {
        const bytes = yield* files.read(path.join(folder, Names.ofDigest(digest)))
        if (bytes === undefined || (yield* files.info(manifestOf(repository, digest))) === undefined) return []
        const descriptor = Result.flatMap(Json.parse(bytes, "descriptor"), (json) => Descriptor.decode(json))
        return Result.isSuccess(descriptor) ? [descriptor.success] : []
      })
      return Stream.fromIterableEffect(digests).pipe(
        // One may be as large as a manifest: few are ahead of whoever pulls.
        Stream.mapEffect(read, { concurrency: 4 }),
        Stream.flattenIterable
      )
    }
  }
}
