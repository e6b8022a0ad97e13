/**
 * Content to write, and targets that look how it is written.
 */
import * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Effect from "effect/Effect"
import { ContentError, Unavailable } from "../src/ContentError.ts"
import * as MemoryStore from "../src/MemoryStore.ts"
import type { Target } from "../src/Store.ts"
import * as Successors from "../src/Successors.ts"

export const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
export const v1 = Tag.parseUnsafe("v1")
export const nowhere = Digest.parseUnsafe(`sha256:${"0".repeat(64)}`)

export const manifest = Effect.fnUntraced(function*(
  store: MemoryStore.MemoryStore,
  config: Descriptor.Descriptor,
  layers: ReadonlyArray<Descriptor.Descriptor>
) {
  return yield* store.add(MediaType.ociManifest, json({ schemaVersion: 2, config, layers }))
})

export const index = Effect.fnUntraced(function*(
  store: MemoryStore.MemoryStore,
  manifests: ReadonlyArray<Descriptor.Descriptor>
) {
  return yield* store.add(MediaType.ociIndex, json({ schemaVersion: 2, manifests: manifests.map(Descriptor.toJson) }))
})

export const yields = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** An index of two images that share a layer. */
export const shared = Effect.gen(function*() {
  const store = MemoryStore.make("source")
  const layer = yield* store.add(MediaType.ociLayer, json("layer"))
  const images = yield* Effect.forEach(
    ["a", "b"],
    (name) =>
      Effect.flatMap(store.add(MediaType.ociConfig, json({ name })), (config) => manifest(store, config, [layer]))
  )
  return { store, root: yield* index(store, images), layer, images }
})

/** A target that refuses what is out of order, as a registry does, and can be told to fail. */
export const strict = (
  options: { readonly fail?: (what: string) => boolean; readonly delay?: Effect.Effect<void> } = {}
) => {
  const store = MemoryStore.make("target")
  const order: Array<string> = []
  const step = (what: string) =>
    Effect.gen(function*() {
      yield* options.delay ?? Effect.void
      if (options.fail?.(what) === true) {
        return yield* new ContentError({
          operation: "write",
          location: "target",
          reason: new Unavailable({ detail: "as told" })
        })
      }
      order.push(what)
    })
  const target: Target = {
    ...store,
    push: (descriptor, body) =>
      Effect.gen(function*() {
        const outcome = yield* store.push(descriptor, body)
        const { bytes } = store.contents.get(descriptor.digest)!
        const missing = (yield* Effect.fromResult(Successors.of(descriptor, bytes, "target"))).filter(({ digest }) =>
          !store.contents.has(digest)
        )
        if (missing.length > 0) return yield* Effect.die(new Error("a manifest before what it names"))
        yield* Effect.onError(step(descriptor.digest), () =>
          Effect.sync(() => (store.contents as Map<Digest.Digest, unknown>).delete(descriptor.digest)))
        return outcome
      }),
    tag: (descriptor, tag) =>
      Effect.andThen(
        step(tag),
        Effect.suspend(() =>
          store.contents.has(descriptor.digest)
            ? store.tag(descriptor, tag)
            : Effect.die(new Error("a tag before its manifest"))
        )
      )
  }
  return { store, target, order }
}
