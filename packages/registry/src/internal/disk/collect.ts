/**
 * Removes content that no repository links.
 *
 * Nobody is stopped for it: other fibers and processes may link what is about to be removed. So content is first put aside,
 * and goes only if no repository links it even then; a link that was made before finds it, or finds that it is not there.
 */
import type * as Digest from "@effect-oci/name/Digest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Blobs } from "./blobs.ts"
import type { Files } from "./files.ts"
import * as Names from "./names.ts"

export const make = (files: Files, blobs: Blobs, options: { readonly lifetime: number }) => {
  const { path, root } = files

  const list = (...parts: ReadonlyArray<string>) =>
    Effect.map(files.list(path.join(root, ...parts)), (names) => names ?? [])

  /** What is linked, as its files are named. */
  const linked = Effect.gen(function*() {
    const all = new Set<string>()
    yield* Effect.forEach(
      yield* list("repositories"),
      (repository) =>
        Effect.map(list("repositories", repository, "blobs"), (names) => {
          for (const name of names) all.add(name.replace(/\.\d+$/, ""))
        }),
      { concurrency: 8, discard: true }
    )
    return all
  })

  const isOld = Effect.fnUntraced(function*(file: string) {
    const info = yield* files.info(file)
    return info !== undefined && (yield* Clock.currentTimeMillis) - info.modified >= options.lifetime
  })

  const putAside = Effect.fnUntraced(function*(digest: Digest.Digest) {
    const content = blobs.contentOf(digest)
    if (!(yield* isOld(content))) return
    yield* files.tryMove(content, blobs.asideOf(digest))
    // It was linked just now, and is as new as its link.
    if (!(yield* isOld(blobs.asideOf(digest)))) yield* files.tryMove(blobs.asideOf(digest), content)
  })

  /** Also what a process has put aside that was killed before it came here. */
  const settle = Effect.gen(function*() {
    const names = yield* list("aside")
    if (names.length === 0) return
    const live = yield* linked
    yield* Effect.forEach(names, (name) =>
      Effect.gen(function*() {
        const digest = Names.toDigest(name)
        const file = path.join(root, "aside", name)
        return live.has(name) && Option.isSome(digest) &&
            (yield* files.info(blobs.contentOf(digest.value))) === undefined
          ? yield* files.tryMove(file, blobs.contentOf(digest.value))
          : yield* files.remove(file)
      }), { concurrency: 8, discard: true })
  })

  return Effect.gen(function*() {
    for (const name of yield* list("temporary")) {
      const file = path.join(root, "temporary", name)
      if (yield* isOld(file)) yield* files.remove(file)
    }
    yield* settle
    const live = yield* linked
    for (const algorithm of yield* list("blobs")) {
      const dead = (yield* list("blobs", algorithm)).flatMap((hex) =>
        live.has(`${algorithm}-${hex}`) ? [] : Option.toArray(Names.toDigest(`${algorithm}-${hex}`))
      )
      yield* Effect.forEach(dead, putAside, { concurrency: 8, discard: true })
    }
    yield* settle
  })
}
