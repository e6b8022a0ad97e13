/**
 * Content for tests: a multi-platform image in a memory store.
 */
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Effect from "effect/Effect"

export const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

export const image = Effect.fnUntraced(function*(
  store: MemoryStore.MemoryStore,
  options: { readonly layers: ReadonlyArray<Uint8Array>; readonly architecture?: string }
) {
  const layers: Array<Descriptor.Descriptor> = []
  for (const layer of options.layers) layers.push(yield* store.add(MediaType.ociLayer, layer))
  const config = yield* store.add(
    MediaType.ociConfig,
    json({
      os: "linux",
      architecture: options.architecture ?? "amd64",
      rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.digest) }
    })
  )
  return yield* store.add(
    MediaType.ociManifest,
    json({ schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers })
  )
})

export const index = Effect.fnUntraced(function*(
  store: MemoryStore.MemoryStore,
  members: ReadonlyArray<Descriptor.Descriptor>
) {
  return yield* store.add(
    MediaType.ociIndex,
    json({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: members.map(Descriptor.toJson) })
  )
})

export const bytes = (size: number, seed: number): Uint8Array => {
  const out = new Uint8Array(size)
  let state = seed * 2654435761 >>> 0
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    out[i] = state >>> 24
  }
  return out
}

/** Two platforms that share a layer, and a document that is no image at all. */
export const platforms = Effect.gen(function*() {
  const store = MemoryStore.make("test")
  const shared = bytes(100_000, 1)
  const amd64 = yield* image(store, { layers: [shared, bytes(5000, 2)], architecture: "amd64" })
  const arm64 = yield* image(store, { layers: [shared, bytes(6000, 3)], architecture: "arm64" })
  const xml = yield* store.add("application/xml", new TextEncoder().encode("<sbom/>"))
  const descriptor = yield* index(store, [
    { ...amd64, platform: { os: "linux", architecture: "amd64" } },
    { ...arm64, platform: { os: "linux", architecture: "arm64", variant: "v8" } },
    xml
  ])
  return { store, descriptor, amd64, arm64, xml }
})
