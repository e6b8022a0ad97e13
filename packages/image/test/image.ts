/**
 * Content for tests: a base image, and a target that tells what is done when.
 */
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import type { Target } from "@effect-oci/content/Store"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"

export const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

export const parse = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes))

export const sha256 = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`

/** An image of two layers, OCI's or Docker's. */
export const base = Effect.fnUntraced(function*(kind: "oci" | "docker" = "oci") {
  const store = MemoryStore.make("base")
  const isOci = kind === "oci"
  const layers = yield* Effect.forEach(
    ["one", "two"],
    (name) => store.add(isOci ? MediaType.ociLayerGzip : MediaType.dockerLayerGzip, json(name))
  )
  const config = yield* store.add(
    isOci ? MediaType.ociConfig : MediaType.dockerConfig,
    json({
      architecture: "arm64",
      os: "linux",
      variant: "v8",
      config: { Env: ["A=b"] },
      rootfs: { type: "layers", diff_ids: [sha256(json("diff one")), sha256(json("diff two"))] },
      history: [{ created_by: "one" }, { created_by: "two" }, { created_by: "env", empty_layer: true }],
      "x-unknown": 1
    })
  )
  const mediaType = isOci ? MediaType.ociManifest : MediaType.dockerManifest
  const image = yield* store.add(
    mediaType,
    json({
      schemaVersion: 2,
      mediaType,
      config,
      layers: layers.map((layer, i) => ({ ...Descriptor.toJson(layer), annotations: { place: String(i) } })),
      annotations: { kept: "yes" }
    })
  )
  return { store, image, layers, config }
})

export interface Step {
  readonly what: string
  readonly start: number
  readonly end: number
}

/** A target at which everything takes a second. */
export const slow = () => {
  const store = MemoryStore.make("target")
  const steps: Array<Step> = []
  const timed = <A, E, R>(what: string, self: Effect.Effect<A, E, R>) =>
    Effect.gen(function*() {
      const start = (yield* Clock.currentTimeMillis) / 1000
      yield* Effect.sleep("1 second")
      const result = yield* self
      steps.push({ what, start, end: (yield* Clock.currentTimeMillis) / 1000 })
      return result
    })
  const target: Target = {
    ...store,
    push: (descriptor, body) => timed(descriptor.mediaType, store.push(descriptor, body)),
    pushStream: (body) => timed("stream", store.pushStream(body)),
    tag: (descriptor, tag) => timed(`tag ${tag}`, store.tag(descriptor, tag))
  }
  return { store, target, steps }
}

/** The bytes of a tar, or of nothing in particular, a chunk a second. */
export const trickle = (seconds: number): Stream.Stream<Uint8Array> =>
  Stream.fromIterable(Array.from({ length: seconds }, (_, i) => json(["chunk", i]))).pipe(
    Stream.rechunk(1),
    Stream.tap(() => Effect.sleep("1 second"))
  )
