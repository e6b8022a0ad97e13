/**
 * A storage on disk in a test: pushes to it, and the files behind it.
 */
import * as Digest from "@effect-oci/name/Digest"
import type * as Tag from "@effect-oci/name/Tag"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Storage } from "../src/Storage.ts"
import { digestOf, encode } from "./registry.ts"

export const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "registry-" }))

export type Service = Storage["Service"]

export const text = "hello world"
export const digest = digestOf(text)
export const latest = "Latest" as Tag.Tag
export const stored = (text: string) => ({ digest: digestOf(text), mediaType: "application/json", bytes: encode(text) })

export const push = Effect.fnUntraced(function*(storage: Service, repository: string, text: string) {
  const { id } = yield* storage.createUpload(repository)
  yield* storage.append(repository, id, 0, Stream.make(encode(text)))
  yield* storage.commit(repository, id, digestOf(text))
})

export const read = (storage: Service, text: string) =>
  Effect.map(
    Effect.flatMap(storage.readBlob("a", digestOf(text), 0, encode(text).length), Stream.mkUint8Array),
    (bytes) => new TextDecoder().decode(bytes)
  )

export const putTagged = (storage: Service, text: string) =>
  storage.putManifest("a", stored(text), {
    tags: [latest],
    subject: Option.some({
      digest: digestOf("subject"),
      referrer: { mediaType: "application/json", digest: digestOf(text), size: text.length }
    })
  })

export const referrersOf = (storage: Service, repository: string, subject: Digest.Digest) =>
  Stream.runCollect(storage.referrers(repository, subject))

export const contentOf = (root: string, digest: Digest.Digest) =>
  `${root}/blobs/${Digest.algorithm(digest)}/${Digest.hex(digest)}`

export const reasonOf = <A, E extends { readonly reason: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

/** The files below a folder, but for the marker. */
export const files = Effect.fnUntraced(function*(root: string) {
  const fs = yield* FileSystem.FileSystem
  const all = yield* fs.readDirectory(root, { recursive: true })
  const found = yield* Effect.filter(
    all,
    (name) => Effect.map(fs.stat(`${root}/${name}`), ({ type }) => type === "File")
  )
  return found.filter((name) => name !== "effect-oci-registry.json").toSorted()
})

export const run = <A, E>(effect: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>) =>
  Effect.provide(effect, NodeServices.layer)

/** Now, by the clock of the file system. */
export const realNow = Effect.sync(() => Date.now())
