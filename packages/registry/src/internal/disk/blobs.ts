/**
 * Content by its digest, and which repositories it belongs to.
 *
 * A link is an empty file whose name says how many bytes the content has. A blob is there when both are, and agree: so the
 * link may come first, and content that is torn is no repository's.
 */
import * as Digest from "@effect-oci/name/Digest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { StorageError } from "../../Storage.ts"
import type * as Files from "./files.ts"
import * as Hints from "./hints.ts"
import * as Names from "./names.ts"
import * as Reading from "./reading.ts"

export type Blobs = ReturnType<typeof make>

export const make = (
  files: Files.Files,
  { pruneAfter, room }: { readonly pruneAfter: number; readonly room: Reading.Room }
) => {
  const { fs, path, root } = files
  const hints = Hints.make()

  const linksOf = (repository: string) => path.join(root, "repositories", Names.encode(repository), "blobs")
  const linkOf = (repository: string, digest: Digest.Digest, size: number) =>
    path.join(linksOf(repository), Names.ofLink(digest, size))
  const contentOf = (digest: Digest.Digest) => path.join(root, "blobs", Digest.algorithm(digest), Digest.hex(digest))

  /** Where content is before it is removed for good. */
  const asideOf = (digest: Digest.Digest) => path.join(root, "aside", Names.ofDigest(digest))

  const size = Effect.fnUntraced(function*(repository: string, digest: Digest.Digest) {
    const there = yield* files.info(contentOf(digest))
    const info = there ?? (yield* files.info(asideOf(digest)))
    if (info === undefined) return Option.none<number>()
    const link = linkOf(repository, digest, info.size)
    const linked = yield* files.info(link)
    if (linked === undefined) return Option.none<number>()
    // Whoever asks for it may be about to name it.
    if ((yield* Clock.currentTimeMillis) - linked.modified > pruneAfter / 2) yield* files.touch(link)
    // It was linked just when it was put aside.
    if (there === undefined) yield* files.tryMove(asideOf(digest), contentOf(digest))
    hints.add(digest, repository)
    return Option.some(info.size)
  })

  return {
    size,
    contentOf,
    asideOf,
    linksOf,

    list: Effect.fnUntraced(function*(repository: string) {
      const names = (yield* files.list(linksOf(repository))) ?? []
      const digests = new Set(names.flatMap((name) => Option.toArray(Names.fromLink(name))))
      const there = yield* Effect.filter(
        [...digests],
        (digest) => Effect.map(size(repository, digest), Option.isSome),
        { concurrency: 16 }
      )
      return there.sort(Digest.Order)
    }),

    find: (digest: Digest.Digest) =>
      Effect.filter(hints.get(digest), (repository) => Effect.map(size(repository, digest), Option.isSome)),

    read: (
      _: string,
      digest: Digest.Digest,
      start: number,
      end: number
    ): Effect.Effect<Stream.Stream<Uint8Array, StorageError>> =>
      Effect.succeed(
        end <= start ? Stream.empty : Reading.make(
          Effect.catchReason(
            fs.open(contentOf(digest), { flag: "r" }),
            "PlatformError",
            "NotFound",
            () => fs.open(asideOf(digest), { flag: "r" })
          ),
          start,
          end,
          room
        )
      ),

    /**
     * Makes a blob of a file with bytes of this digest. `take` is asked for it when all else is done: it makes the file
     * nobody else's, and gives its new name.
     */
    place: <E>(
      repository: string,
      digest: Digest.Digest,
      size: number,
      source: { readonly file: string; readonly take: Effect.Effect<string, E> }
    ): Effect.Effect<void, E | StorageError> =>
      Effect.gen(function*() {
        const content = contentOf(digest)
        const present = Effect.map(files.info(content), (info) => info?.size === size)
        const known = yield* present
        yield* Effect.all([
          files.create(linkOf(repository, digest, size)),
          // What is there already goes on being there: it is as new as the link.
          known ? files.touch(content) : files.flush(source.file)
        ], { concurrency: 2, discard: true })
        const file = yield* source.take
        yield* Effect.gen(function*() {
          if (known && (yield* present)) return yield* files.remove(file)
          if (known) yield* files.flush(file)
          yield* files.move(file, content)
        }).pipe(Effect.onError(() => Effect.ignore(files.remove(file))))
        yield* Effect.forEach(
          [linksOf(repository), path.dirname(content)],
          files.sync,
          { concurrency: 2, discard: true }
        )
        hints.add(digest, repository)
      }).pipe(Effect.uninterruptible),

    link: Effect.fnUntraced(function*(repository: string, digest: Digest.Digest, from: string) {
      const found = yield* size(from, digest)
      if (Option.isNone(found)) return false
      yield* files.create(linkOf(repository, digest, found.value))
      yield* files.sync(linksOf(repository))
      // It may have been collected meanwhile, and then the link says nothing.
      return Option.isSome(yield* size(repository, digest))
    }),

    remove: Effect.fnUntraced(function*(repository: string, digest: Digest.Digest) {
      hints.remove(digest, repository)
      const info = (yield* files.info(contentOf(digest))) ?? (yield* files.info(asideOf(digest)))
      const removed = info !== undefined && (yield* files.remove(linkOf(repository, digest, info.size)))
      if (removed) yield* files.sync(linksOf(repository))
      return removed
    })
  }
}
