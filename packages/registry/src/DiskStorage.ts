/**
 * A registry's content in a folder, where it outlives the process.
 *
 * @since 1.0.0
 */
import * as Hasher from "@effect-oci/content/Hasher"
import * as Json from "@effect-oci/spec/Json"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Blobs from "./internal/disk/blobs.ts"
import * as Collect from "./internal/disk/collect.ts"
import * as Files from "./internal/disk/files.ts"
import * as Manifests from "./internal/disk/manifests.ts"
import * as Names from "./internal/disk/names.ts"
import * as Prune from "./internal/disk/prune.ts"
import * as Reading from "./internal/disk/reading.ts"
import * as Uploads from "./internal/disk/uploads.ts"
import { Storage, StorageError, UploadLifetime } from "./Storage.ts"

/**
 * Options for `make` and `layer`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * Whether what has been acknowledged survives a loss of power, for which files and folders are brought to the disk before
   * each reply. Without it, all still survives the end of the process, however sudden; after a loss of power, what had not
   * reached the disk is missing, and what was cut short by it is not taken for whole.
   *
   * @default true
   */
  readonly durable?: boolean | undefined
  /**
   * After how long `collect` removes blobs that no manifest of their repository names and nobody has asked for, as those of
   * images that were deleted. Where one manifest of a repository is of a kind that is not understood, all its blobs stay.
   *
   * @default never
   */
  readonly pruneAfter?: Duration.Input | undefined
}

const marker = "effect-oci-registry.json"
const version = 1

/**
 * Opens a folder, or makes one where there is nothing yet. A folder that holds something else is refused.
 *
 * **Details**
 *
 * Several processes may have the folder open at once, one after another or none at all: every change is one step of the
 * file system, so there is no lock that could be left behind.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = Effect.fn("DiskStorage.make")(function*(
  folder: string,
  options?: Options | undefined
): Effect.fn.Return<Storage["Service"], StorageError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const start = yield* Hasher.Hashing
  const lifetime = Duration.toMillis(Duration.fromInputUnsafe(yield* UploadLifetime))
  const root = path.resolve(folder)
  const files = Files.make(fs, path, root, { durable: options?.durable ?? true })
  yield* prepare(files)

  const pruneAfter = options?.pruneAfter === undefined
    ? Infinity
    : Duration.toMillis(Duration.fromInputUnsafe(options.pruneAfter))
  const room = Reading.room()
  const blobs = Blobs.make(files, { pruneAfter, room })
  const uploads = Uploads.make(files, blobs, { start, lifetime })
  const manifests = Manifests.make(files, start, room)
  const prune = pruneAfter === Infinity ? Effect.void : Prune.make(files, blobs, manifests, { after: pruneAfter })
  const collect = Collect.make(files, blobs, { lifetime })

  return Storage.of({
    repositories: Effect.map(
      files.list(path.join(root, "repositories")),
      (names) => (names ?? []).flatMap((name) => Option.toArray(Names.decode(name))).sort()
    ),
    blobs: blobs.list,
    blobSize: blobs.size,
    findBlob: blobs.find,
    readBlob: blobs.read,
    linkBlob: blobs.link,
    deleteBlob: blobs.remove,
    createUpload: uploads.create,
    upload: uploads.find,
    append: uploads.append,
    commit: uploads.commit,
    cancel: uploads.cancel,
    manifest: manifests.get,
    manifests: manifests.all,
    putManifest: manifests.put,
    deleteManifest: manifests.remove,
    tags: manifests.tags,
    referrers: manifests.referrers,
    collect: Effect.all([uploads.expire, prune, collect], { discard: true })
  })
})

const prepare = Effect.fnUntraced(function*(files: Files.Files) {
  const { path, root } = files
  const refused = (detail: string) => new StorageError({ reason: "Failed", detail: `${root}: ${detail}` })
  yield* files.makeFolder(root)
  // Another process may begin here now, and then all that is more than its marker comes after that.
  const all = (yield* files.list(root)) ?? []
  const said = yield* files.read(path.join(root, marker))
  if (said === undefined) {
    // What a run that was killed at its first step has left is no reason to refuse the next one.
    const others = all.filter((name) => name !== "temporary" && name !== "uploads")
    if (others.length > 0) return yield* refused("the folder is not empty and not a registry's")
  } else {
    const json = Result.getOrElse(Json.parse(said, marker), () => undefined)
    if (!Json.isObject(json) || json["version"] !== version) {
      return yield* refused(`its ${marker} does not say version ${version}`)
    }
  }
  yield* files.makeFolder(path.join(root, "temporary"))
  yield* files.makeFolder(path.join(root, "uploads"))
  if (said === undefined) {
    yield* files.put([[path.join(root, marker), new TextEncoder().encode(`${JSON.stringify({ version })}\n`)]])
  }
})

/**
 * The storage of a folder.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer = (
  folder: string,
  options?: Options | undefined
): Layer.Layer<Storage, StorageError, FileSystem.FileSystem | Path.Path> => Layer.effect(Storage, make(folder, options))
