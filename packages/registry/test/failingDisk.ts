/**
 * A file system that fails at one of the steps that change something.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as PlatformError from "effect/PlatformError"

/**
 * - `full`: the step finds no space; what comes after works.
 * - `killed`: the step is done by half, and none after it at all, as when the process ends there.
 */
export type How = "full" | "killed"

export interface Failing {
  readonly fs: FileSystem.FileSystem
  /** The steps there were, by name. */
  readonly steps: Array<string>
}

export const make = (fs: FileSystem.FileSystem, at: number, how: How): Failing => {
  const steps: Array<string> = []

  const error = (method: string) =>
    PlatformError.systemError({
      _tag: "Unknown",
      module: "FileSystem",
      method,
      cause: Object.assign(new Error(method), { code: how === "full" ? "ENOSPC" : "EIO" })
    })

  const step = <A, R>(
    method: string,
    whole: Effect.Effect<A, PlatformError.PlatformError, R>,
    half: Effect.Effect<unknown, PlatformError.PlatformError, R> = Effect.void
  ): Effect.Effect<A, PlatformError.PlatformError, R> =>
    Effect.suspend(() => {
      steps.push(method)
      if (steps.length === at) return Effect.andThen(half, Effect.fail(error(method)))
      return steps.length > at && how === "killed" ? Effect.fail(error(method)) : whole
    })

  const wrap = (file: FileSystem.File): FileSystem.File => ({
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    stat: file.stat,
    seek: (offset, from) => file.seek(offset, from),
    sync: step("sync", file.sync),
    read: (buffer, options) => file.read(buffer, options),
    readAlloc: (size, options) => file.readAlloc(size, options),
    truncate: (length) => step("truncate", file.truncate(length)),
    write: (buffer) => step("write", file.write(buffer)),
    writeAll: (buffer) =>
      step("write", file.writeAll(buffer), file.writeAll(buffer.subarray(0, Math.floor(buffer.length / 2))))
  })

  return {
    steps,
    fs: {
      ...fs,
      open: (path, options) => {
        const opened = Effect.map(fs.open(path, options), wrap)
        return options?.flag === "r" || options?.flag === "r+" ? opened : step("create", opened)
      },
      rename: (from, to) => step("rename", fs.rename(from, to)),
      link: (from, to) => step("link", fs.link(from, to)),
      remove: (path, options) => step("remove", fs.remove(path, options)),
      makeDirectory: (path, options) => step("makeDirectory", fs.makeDirectory(path, options)),
      copyFile: (from, to) => step("copyFile", fs.copyFile(from, to), fs.writeFile(to, new Uint8Array(3))),
      utimes: (path, accessed, modified) => step("utimes", fs.utimes(path, accessed, modified))
    }
  }
}
