/**
 * `index.json`, the list of what is in a layout: read once while it stays as it is, and written once for all who change it at
 * the same time.
 */
import { ContentError, Invalid } from "@effect-oci/content/ContentError"
import * as Document from "@effect-oci/spec/Document"
import * as Json from "@effect-oci/spec/Json"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Semaphore from "effect/Semaphore"
import * as Failure from "./failure.ts"
import type * as Files from "./files.ts"
import * as Lock from "./lock.ts"

export const refName = "org.opencontainers.image.ref.name"

/** What is listed, while it is changed. */
export interface Draft {
  /** Adds content without a name, unless it is listed already. */
  readonly list: (digest: string, entry: object) => void
  /** Adds content under a name, which nothing else has then. */
  readonly name: (name: string, digest: string, entry: object) => void
}

export interface Listing {
  readonly index: Effect.Effect<Document.ImageIndex, ContentError>
  /** Changes the list, one writer at a time, in this process and among all. */
  readonly update: (change: (draft: Draft) => void) => Effect.Effect<void, ContentError>
}

interface Batch {
  readonly changes: Array<(draft: Draft) => void>
  exit: Exit.Exit<void, ContentError> | undefined
}

const nameOf = (entry: unknown): string | undefined => {
  const annotations = Json.isObject(entry) ? entry["annotations"] : undefined
  const name = Json.isObject(annotations) ? annotations[refName] : undefined
  return typeof name === "string" ? name : undefined
}

const drafted = (manifests: ReadonlyArray<unknown>) => {
  const entries = new Set(manifests)
  const digests = new Set<unknown>()
  const names = new Map<string, Array<unknown>>()
  for (const entry of manifests) {
    if (Json.isObject(entry)) digests.add(entry["digest"])
    const name = nameOf(entry)
    if (name !== undefined) names.set(name, [...(names.get(name) ?? []), entry])
  }
  const draft: Draft = {
    list: (digest, entry) => {
      if (digests.has(digest)) return
      digests.add(digest)
      entries.add(entry)
    },
    name: (name, digest, entry) => {
      digests.add(digest)
      for (const before of names.get(name) ?? []) entries.delete(before)
      names.set(name, [entry])
      entries.add(entry)
    }
  }
  return { draft, entries }
}

export const make = (
  fs: FileSystem.FileSystem,
  path: Path.Path,
  files: Files.Files,
  folder: string
): Listing => {
  const file = path.join(folder, "index.json")
  const invalid = (detail: string) =>
    new ContentError({ operation: "read", location: folder, reason: new Invalid({ detail }) })
  const failed = Effect.mapError(Failure.from("read", folder, "index.json"))
  let last: { readonly state: string; readonly index: Document.ImageIndex } | undefined

  const read = failed(fs.readFile(file)).pipe(
    Effect.flatMap((bytes) => Effect.fromResult(Document.parse(bytes))),
    Effect.filterOrFail((document) => document._tag === "ImageIndex", () => invalid("index.json is not an index")),
    Effect.mapError((error) => error._tag === "ContentError" ? error : invalid(`index.json: ${error.message}`))
  )

  /** A file that was moved to its place is another one, though it had the same size and time. */
  const index = Effect.gen(function*() {
    const { ino, mtime, size } = yield* failed(fs.stat(file))
    const time = Option.match(mtime, { onNone: () => "", onSome: (time) => String(time.getTime()) })
    const state = `${Option.getOrElse(ino, () => 0)} ${time} ${size}`
    if (last?.state === state) return last.index
    const index = yield* read
    last = { state, index }
    return index
  })

  const writers = Semaphore.makeUnsafe(1)
  const lock = Lock.locked(fs, path.join(folder, Lock.name), folder)
  let open: Batch | undefined

  const commit = ({ changes }: Batch) =>
    Effect.gen(function*() {
      const { json } = yield* read
      const { draft, entries } = drafted(Array.isArray(json["manifests"]) ? json["manifests"] : [])
      for (const change of changes) change(draft)
      const bytes = Json.format({ ...json, manifests: [...entries] })
      yield* files.write("index.json", (append) => append(bytes), () => file)
    }).pipe(lock)

  return {
    index,
    update: (change) =>
      Effect.suspend(() => {
        const batch: Batch = open ??= { changes: [], exit: undefined }
        batch.changes.push(change)
        // The first of them whose turn it is writes for all; whoever gives up before that wants nothing changed.
        return writers.withPermit(Effect.suspend(() => {
          if (batch.exit !== undefined) return batch.exit
          open = undefined
          return Effect.uninterruptible(
            Effect.tap(Effect.exit(commit(batch)), (exit) => Effect.sync(() => batch.exit = exit))
          ).pipe(Effect.flatten)
        })).pipe(
          Effect.onInterrupt(() => Effect.sync(() => batch.changes.splice(batch.changes.indexOf(change), 1)))
        )
      })
  }
}
