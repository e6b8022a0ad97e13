/**
 * Files that are whole or not there at all.
 */
import type { ContentError } from "@effect-oci/content/ContentError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Scope from "effect/Scope"
import * as FileWriter from "../FileWriter.ts"
import * as Failure from "./failure.ts"

const day = 24 * 3600 * 1000

export interface Files {
  /**
   * Writes a file under a name of its own, and moves it to its place once all bytes have reached the disk. A failure or an
   * interruption leaves nothing.
   */
  readonly write: <A, E, R>(
    what: string,
    fill: (append: (bytes: Uint8Array) => Effect.Effect<void, ContentError>) => Effect.Effect<A, E, R>,
    targetOf: (filled: A) => string
  ) => Effect.Effect<A, E | ContentError, R>
}

export const make = (
  fs: FileSystem.FileSystem,
  path: Path.Path,
  options: { readonly location: string; readonly temporary: string }
): Files => {
  const mapped = (what: string) => Effect.mapError(Failure.from("write", options.location, what))

  /** Lets a rename in a folder reach the disk. Not every file system can, and then there is nothing to be done. */
  const sync = (folder: string) =>
    Effect.ignore(Effect.scoped(Effect.flatMap(fs.open(folder, { flag: "r" }), (file) => file.sync)))

  let isTidy = false
  /** Removes what runs that were killed have left, with the first write: whoever still writes a file has done so today. */
  const tidy = Effect.suspend(() => {
    if (isTidy) return Effect.void
    isTidy = true
    return Effect.ignore(Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      for (const name of yield* fs.readDirectory(options.temporary)) {
        const file = path.join(options.temporary, name)
        const { mtime } = yield* fs.stat(file)
        const isOld = Option.exists(mtime, (time) => time.getTime() < now - day)
        if (isOld) yield* fs.remove(file, { force: true })
      }
    }))
  })

  return {
    write: (what, fill, targetOf) => {
      const temporary = path.join(options.temporary, crypto.randomUUID())
      // In a scope of its own, made by hand so that the caller's requirements stay as they are: the file has to be closed
      // before it is moved.
      const filled = Effect.acquireUseRelease(
        Scope.make(),
        (scope) =>
          Effect.gen(function*() {
            const file = yield* mapped(what)(
              Scope.provide(fs.open(temporary, { flag: "wx", mode: 0o644 }), scope)
            )
            const start = yield* FileWriter.FileWriting
            const { append, end } = yield* Scope.provide(start(file, temporary), scope)
            const result = yield* fill((bytes) => mapped(what)(append(bytes)))
            yield* mapped(what)(end)
            return result
          }),
        (scope, exit) => Scope.close(scope, exit)
      )
      return Effect.gen(function*() {
        yield* mapped(what)(fs.makeDirectory(options.temporary, { recursive: true }))
        yield* tidy
        const result = yield* filled
        const target = targetOf(result)
        yield* mapped(what)(fs.makeDirectory(path.dirname(target), { recursive: true }))
        yield* mapped(what)(fs.rename(temporary, target))
        yield* sync(path.dirname(target))
        return result
      }).pipe(Effect.onError(() => Effect.ignore(fs.remove(temporary, { force: true }))))
    }
  }
}
