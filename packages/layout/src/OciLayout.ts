/**
 * OCI image layout folders: content on disk, read and written as that of a registry.
 *
 * OCI image specification 1.1, "OCI Image Layout".
 *
 * @since 1.0.0
 */
import * as Bytes from "@effect-oci/content/Bytes"
import { ContentError, Invalid, NotFound, SizeMismatch } from "@effect-oci/content/ContentError"
import * as Hasher from "@effect-oci/content/Hasher"
import type { Store } from "@effect-oci/content/Store"
import * as Successors from "@effect-oci/content/Successors"
import * as Verify from "@effect-oci/content/Verify"
import * as Digest from "@effect-oci/name/Digest"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as Json from "@effect-oci/spec/Json"
import * as MediaType from "@effect-oci/spec/MediaType"
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import type * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Failure from "./internal/failure.ts"
import * as Files from "./internal/files.ts"
import * as Listing from "./internal/listing.ts"
import * as Lock from "./internal/lock.ts"

/**
 * A layout folder that is open.
 *
 * @category models
 * @since 1.0.0
 */
export interface OciLayout extends Store {
  readonly path: string
  /**
   * What `index.json` lists now.
   */
  readonly index: Effect.Effect<Document.ImageIndex, ContentError>
  /**
   * Lists content in `index.json` without a name, so that it can be found again by its digest.
   */
  readonly list: (descriptor: Descriptor.Descriptor) => Effect.Effect<void, ContentError>
  /**
   * Whether content is about something else: a signature, an SBOM.
   */
  readonly isReferrer: (descriptor: Descriptor.Descriptor) => Effect.Effect<boolean, ContentError>
}

const chunkSize = 512 * 1024

/** What may be in a folder before it is a layout. */
const ours = new Set([".tmp", Lock.name, "blobs", "index.json"])

/**
 * Opens a layout folder, or makes one where there is nothing yet. A folder that holds something else is refused.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = Effect.fn("OciLayout.make")(function*(
  folder: string
): Effect.fn.Return<OciLayout, ContentError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const failed = Effect.mapError(Failure.from("write", folder, folder))
  yield* failed(fs.makeDirectory(folder, { recursive: true }))
  const entries = yield* failed(fs.readDirectory(folder))
  // What a run that was killed at its first step has left, or another one is about to make, is no reason to refuse.
  if (!entries.includes("oci-layout") && entries.some((entry) => !ours.has(entry))) {
    return yield* new ContentError({
      operation: "write",
      location: folder,
      reason: new Invalid({ detail: "the folder is not empty and not an OCI layout" })
    })
  }
  if (!entries.includes("oci-layout") || !entries.includes("index.json")) {
    const files = Files.make(fs, path, { location: folder, temporary: path.join(folder, ".tmp") })
    const put = (name: string, value: unknown) =>
      files.write(name, (append) => append(Json.format(value)), () => path.join(folder, name))
    const lacks = (name: string) => Effect.map(failed(fs.exists(path.join(folder, name))), (exists) => !exists)
    // Another one may have made and filled the list since.
    yield* Effect.gen(function*() {
      if (yield* lacks("index.json")) {
        yield* put("index.json", { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: [] })
      }
      if (yield* lacks("oci-layout")) yield* put("oci-layout", { imageLayoutVersion: "1.0.0" })
    }).pipe(Lock.locked(fs, path.join(folder, Lock.name), folder))
  }
  return yield* open(folder)
})

/**
 * Opens a layout folder that is there.
 *
 * @category constructors
 * @since 1.0.0
 */
export const open = Effect.fn("OciLayout.open")(function*(
  folder: string
): Effect.fn.Return<OciLayout, ContentError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const location = folder
  const files = Files.make(fs, path, { location, temporary: path.join(folder, ".tmp") })
  const invalid = (detail: string) => new ContentError({ operation: "read", location, reason: new Invalid({ detail }) })

  const marker = yield* Effect.mapError(
    fs.readFile(path.join(folder, "oci-layout")),
    Failure.from("read", location, `the OCI layout ${folder}`)
  )
  const version = Result.getOrElse(Json.parse(marker, "oci-layout"), () => undefined)
  if (!Json.isObject(version) || version["imageLayoutVersion"] !== "1.0.0") {
    return yield* invalid("its oci-layout file does not say version 1.0.0")
  }

  const fileOf = (digest: Digest.Digest) => path.join(folder, "blobs", Digest.algorithm(digest), Digest.hex(digest))

  /** The size of a blob's file. Only regular files count: a link or a pipe is not content. */
  const sizeOf = (digest: Digest.Digest) =>
    fs.lstat(fileOf(digest)).pipe(
      Effect.map((info) => info.type === "File" ? Option.some(Number(info.size)) : Option.none<number>()),
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone),
      Effect.mapError(Failure.from("read", location, digest))
    )

  const missing = (what: string) => new ContentError({ operation: "read", location, reason: new NotFound({ what }) })

  const { index, update } = Listing.make(fs, path, files, folder)

  /** The bytes of a file, read into one buffer again and again. */
  const read = (file: string, offset: number, size: number) =>
    fs.open(file, { flag: "r" }).pipe(
      Effect.tap((open) => open.seek(BigInt(offset), "start")),
      Effect.map((open): Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, PlatformError.PlatformError> => {
        const buffer = new Uint8Array(Math.max(1, Math.min(chunkSize, size - offset)))
        return Effect.flatMap(
          open.read(buffer),
          (size) => Number(size) === 0 ? Cause.done() : Effect.succeed([buffer.subarray(0, Number(size))] as const)
        )
      }),
      Stream.fromPull,
      Stream.scoped
    )

  const fetch: OciLayout["fetch"] = (descriptor, offset = 0) =>
    Stream.unwrap(Effect.gen(function*() {
      const size = yield* sizeOf(descriptor.digest)
      if (Option.isNone(size)) return yield* missing(descriptor.digest)
      if (size.value !== descriptor.size) {
        return yield* new ContentError({
          operation: "read",
          location,
          reason: new SizeMismatch({ digest: descriptor.digest, expected: descriptor.size, actual: size.value })
        })
      }
      return Stream.mapError(
        read(fileOf(descriptor.digest), offset, descriptor.size),
        Failure.from("read", location, descriptor.digest)
      )
    })).pipe(Verify.stream(descriptor, { location, offset }))

  /**
   * Whether content is there with all that it leads to. Children are written before their parents, but files are lost, and
   * whoever pulls once more wants them back. What nobody keeps is not missed, and what is named often is looked at once.
   */
  const isWhole = Effect.fnUntraced(function*(
    descriptor: Descriptor.Descriptor,
    seen: Set<string>
  ): Effect.fn.Return<boolean, ContentError> {
    const key = `${descriptor.digest} ${descriptor.size} ${descriptor.mediaType}`
    if (seen.has(key)) return true
    seen.add(key)
    if (!Option.contains(yield* sizeOf(descriptor.digest), descriptor.size)) return false
    if (!Successors.hasSuccessors(descriptor.mediaType)) return true
    const members = yield* Effect.option(
      Effect.flatMap(
        Bytes.collect({ location })(fetch(descriptor)),
        (bytes) => Effect.fromResult(Successors.of(descriptor, bytes, location))
      )
    )
    if (Option.isNone(members)) return false
    for (const member of members.value) {
      if (!MediaType.isForeign(member.mediaType) && !(yield* isWhole(member, seen))) return false
    }
    return true
  })

  const list: OciLayout["list"] = (descriptor) =>
    update((draft) => draft.list(descriptor.digest, Descriptor.toJson(plain(descriptor))))

  // A digest names the same document for ever.
  const known = new Map<Digest.Digest, Option.Option<Successors.Referrer>>()

  /** What an entry refers to. What is named and is not there refers to nothing. */
  const referrerAt = Effect.fnUntraced(function*(descriptor: Descriptor.Descriptor) {
    if (!Successors.hasSuccessors(descriptor.mediaType)) return Option.none<Successors.Referrer>()
    const before = known.get(descriptor.digest)
    if (before !== undefined) return before
    const bytes = yield* Effect.catchIf(
      Effect.asSome(Bytes.collect({ location })(fetch(descriptor))),
      (error) => error.reason._tag === "NotFound",
      () => Effect.succeedNone
    )
    const referrer = Option.flatMap(bytes, (bytes) => Successors.referrer(descriptor, bytes))
    if (Option.isSome(bytes)) known.set(descriptor.digest, referrer)
    return referrer
  })

  const readers = Semaphore.makeUnsafe(1)
  let referring: { readonly index: Document.ImageIndex; readonly bySubject: BySubject } | undefined

  /** All that is listed and refers to something. It is looked for once, as long as the list stays as it is. */
  const bySubject = readers.withPermit(Effect.gen(function*() {
    const now = yield* index
    if (referring?.index === now) return referring.bySubject
    const found = new Map<Digest.Digest, Array<Descriptor.Descriptor>>()
    // One that has several names is one all the same.
    for (const entry of new Map(now.manifests.map((entry) => [entry.digest, entry])).values()) {
      const referrer = Option.getOrUndefined(yield* referrerAt(plain(entry)))
      if (referrer === undefined) continue
      const others = found.get(referrer.subject)
      if (others === undefined) found.set(referrer.subject, [referrer.descriptor])
      else others.push(referrer.descriptor)
    }
    referring = { index: now, bySubject: found }
    return referring.bySubject
  }))

  return {
    path: folder,
    location,
    repository: Option.none(),
    index,
    resolve: Effect.fnUntraced(function*(identifier) {
      const { manifests } = yield* index
      const found = manifests.find((entry) =>
        entry.digest === identifier || entry.annotations?.[Listing.refName] === identifier
      )
      if (found !== undefined) return Descriptor.make({ ...plain(found) })
      const digest = Digest.parse(identifier)
      const size = Result.isSuccess(digest) ? yield* sizeOf(digest.success) : Option.none()
      if (Result.isFailure(digest) || Option.isNone(size)) return yield* missing(identifier)
      const descriptor = { mediaType: "application/octet-stream", digest: digest.success, size: size.value }
      if (size.value > Bytes.documentLimit) return descriptor
      const bytes = yield* Bytes.collect({ location })(fetch(descriptor))
      const document = Document.parse(bytes)
      return Result.isSuccess(document) ? { ...descriptor, mediaType: document.success.mediaType } : descriptor
    }),
    fetch,
    exists: (descriptor) => isWhole(descriptor, new Set()),
    push: (descriptor, body) =>
      Effect.as(
        files.write(
          descriptor.digest,
          (append) => Stream.runForEach(Verify.stream(descriptor, { location })(body(0)), append),
          () => fileOf(descriptor.digest)
        ),
        "sent" as const
      ),
    pushStream: (body) =>
      Effect.flatMap(Hasher.Hashing, (start) =>
        files.write("a streamed blob", (append) => {
          const hasher = start("sha256")
          let size = 0
          return Stream.runForEach(body, (bytes) => {
            hasher.update(bytes)
            size += bytes.length
            return append(bytes)
          }).pipe(Effect.map(() => ({ digest: hasher.digest(), size })))
        }, ({ digest }) => fileOf(digest))),
    isReferrer: (descriptor) => Effect.map(referrerAt(plain(descriptor)), Option.isSome),
    referrers: (subject) =>
      Stream.unwrap(Effect.map(bySubject, (found) => Stream.fromIterable(found.get(subject) ?? []))),
    // Without a name, for what it is about leads to it. Its annotations stay with it: one of them could be a name.
    refer: Effect.fnUntraced(function*(_, { annotations: _annotations, ...referrer }) {
      const { manifests } = yield* index
      if (manifests.some(({ digest }) => digest === referrer.digest)) return "present" as const
      yield* list(referrer)
      return "sent" as const
    }),
    list,
    tag: (descriptor, tag) =>
      update((draft) =>
        draft.name(tag, descriptor.digest, {
          ...Descriptor.toJson(plain(descriptor)),
          annotations: { ...descriptor.annotations, [Listing.refName]: tag }
        })
      )
  }
})

type BySubject = ReadonlyMap<Digest.Digest, ReadonlyArray<Descriptor.Descriptor>>

/** A descriptor without what it carries along for the reader. */
const plain = ({ data: _, ...descriptor }: Descriptor.Descriptor): Descriptor.Descriptor => descriptor

/**
 * The one thing a layout lists, for whoever was told a folder and no name.
 *
 * @category reading
 * @since 1.0.0
 */
export const sole = Effect.fnUntraced(function*(
  layout: OciLayout
): Effect.fn.Return<Descriptor.Descriptor, ContentError> {
  const { manifests } = yield* layout.index
  // What refers to something else is there because of that.
  const roots = yield* Effect.filter(
    manifests,
    (entry) => Effect.map(layout.isReferrer(entry), (isReferrer) => !isReferrer)
  )
  const listed = roots.length === 0 ? manifests : roots
  const digests = new Set(listed.map((entry) => entry.digest))
  if (digests.size === 1) return plain(listed[0]!)
  return yield* new ContentError({
    operation: "resolve",
    location: layout.location,
    reason: new Invalid({
      detail: digests.size === 0
        ? "the layout lists nothing"
        : `the layout lists ${digests.size} manifests: say which, by tag or digest`
    })
  })
})
