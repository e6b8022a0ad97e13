/**
 * Unlinks blobs that no manifest of their repository names and that nobody has asked for since long, as those of images that
 * were deleted.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Blobs } from "./blobs.ts"
import type { Files } from "./files.ts"
import type { Manifests } from "./manifests.ts"
import * as Names from "./names.ts"

export const make = (
  files: Files,
  blobs: Blobs,
  manifests: Manifests,
  options: { readonly after: number }
): Effect.Effect<void, Effect.Error<ReturnType<Manifests["named"]>>> => {
  const { path, root } = files
  let last = -Infinity

  const prune = Effect.fnUntraced(function*(repository: string, before: number) {
    const folder = blobs.linksOf(repository)
    const isIdle = (name: string) =>
      Effect.map(files.info(path.join(folder, name)), (info) => info !== undefined && info.modified <= before)
    const idle = yield* Effect.filter((yield* files.list(folder)) ?? [], isIdle, { concurrency: 8 })
    if (idle.length === 0) return
    /** Those of the names that no manifest has. What cannot be read may name anything. */
    const unnamed = Effect.fnUntraced(function*(names: ReadonlyArray<string>) {
      const named = yield* manifests.named(repository)
      return Option.isNone(named) ? [] : names.filter((name) => {
        const digest = Names.fromLink(name)
        return Option.isSome(digest) && !named.value.has(digest.value)
      })
    })
    const gone = yield* Effect.filter(yield* unnamed(idle), (name) =>
      // Somebody may have asked for it meanwhile.
      Effect.flatMap(isIdle(name), (still) => still ? files.remove(path.join(folder, name)) : Effect.succeed(false)))
    // A manifest may have come meanwhile; its content is there as long as anything else is collected.
    const forGood = new Set(yield* unnamed(gone))
    for (const name of gone) if (!forGood.has(name)) yield* files.create(path.join(folder, name))
    if (gone.length > 0) yield* files.sync(folder)
  }, Effect.uninterruptible)

  return Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    // It reads all manifests there are.
    if (now - last < options.after / 4) return
    last = now
    const names = (yield* files.list(path.join(root, "repositories"))) ?? []
    yield* Effect.forEach(
      names.flatMap((name) => Option.toArray(Names.decode(name))),
      (repository) => prune(repository, now - options.after),
      { concurrency: 4, discard: true }
    )
  })
}
