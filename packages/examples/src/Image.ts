/**
 * An image made of the files of this installation.
 */
import type * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Effect from "effect/Effect"
import * as Tar from "effect/encoding/Tar"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { gzipSync } from "node:zlib"

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

/** A tar of the TypeScript sources in a folder. */
const tarOf = Effect.fnUntraced(function*(folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = (yield* fs.readDirectory(folder)).filter((name) => name.endsWith(".ts")).toSorted()
  const entries = yield* Effect.forEach(
    names,
    (name) =>
      Effect.map(
        fs.readFile(path.join(folder, name)),
        (bytes) => Tar.file(`app/${name}`, bytes, { mtime: new Date(0) })
      )
  )
  const parts = yield* Stream.runCollect(Stream.pipeThroughChannel(Stream.fromIterable(entries), Tar.encode()))
  return Buffer.concat(parts)
})

const layerOf = Effect.fnUntraced(function*(store: MemoryStore.MemoryStore, tar: Buffer) {
  const descriptor = yield* store.add(MediaType.ociLayerGzip, gzipSync(tar))
  return { descriptor, diffId: `sha256:${createHash("sha256").update(tar).digest("hex")}` }
})

/** An index of one image for each platform, `os/architecture`. They share their largest layer. */
export const fromFiles = Effect.fnUntraced(function*(
  store: MemoryStore.MemoryStore,
  platforms: ReadonlyArray<string>
) {
  const path = yield* Path.Path
  const root = path.dirname(yield* path.fromFileUrl(new URL(import.meta.resolve("effect/Effect"))))
  const shared = yield* layerOf(store, yield* tarOf(path.join(root, "..", "src")))
  const own = ["http", "cli", "encoding", "process"]
  const members = yield* Effect.forEach(platforms, (platform, i) =>
    Effect.gen(function*() {
      const [os, architecture] = platform.split("/")
      const top = yield* layerOf(store, yield* tarOf(path.join(root, "..", "src", own[i % own.length]!)))
      const layers = [shared, top]
      const config = yield* store.add(
        MediaType.ociConfig,
        json({
          os,
          architecture,
          config: { Cmd: ["app"] },
          rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) }
        })
      )
      const manifest = yield* store.add(
        MediaType.ociManifest,
        json({
          schemaVersion: 2,
          mediaType: MediaType.ociManifest,
          config,
          layers: layers.map(({ descriptor }) => descriptor)
        })
      )
      return Descriptor.toJson({ ...manifest, platform: { os: os!, architecture: architecture! } })
    }))
  return yield* store.add(
    MediaType.ociIndex,
    json({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: members })
  )
})
