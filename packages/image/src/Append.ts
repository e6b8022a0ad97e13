/**
 * Images with layers on top of what they had.
 *
 * @since 1.0.0
 */
import { ContentError, Invalid } from "@effect-oci/content/ContentError"
import * as WriteNode from "@effect-oci/content/WriteNode"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Json from "@effect-oci/spec/Json"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Base } from "./Base.ts"
import type { LayerStream } from "./LayerStream.ts"

/**
 * Options for `layers`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options extends WriteNode.ContentOptions {
  /**
   * When the image was made, as RFC 3339 has it. Without it the same layers make the same image at any time.
   */
  readonly created?: string | undefined
  /**
   * Changes the config before it is written: its command, its labels.
   */
  readonly config?: ((config: Json.JsonObject) => Json.JsonObject) | undefined
}

const arrayOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

/** Docker's manifests name layers of Docker's types; zstd is none of them. */
const typeOf = (base: Base, layer: LayerStream): string | undefined => {
  if (base.mediaType !== MediaType.dockerManifest) return layer.mediaType
  return new Map([
    [MediaType.ociLayer, MediaType.dockerLayer],
    [MediaType.ociLayerGzip, MediaType.dockerLayerGzip]
  ]).get(layer.mediaType)
}

/**
 * An image: that of a base, with more layers on top, lowest first.
 *
 * **Details**
 *
 * Its config waits for the streamed layers, of which it names what they expand to, and its manifest for all; the layers of
 * the base wait for nothing, and are mounted or left out where the target has them. What the base's documents say besides
 * is kept.
 *
 * @category appending
 * @since 1.0.0
 */
export const layers = Effect.fnUntraced(function*(
  base: Base,
  added: ReadonlyArray<LayerStream>,
  options?: Options | undefined
): Effect.fn.Return<WriteNode.WriteNode, ContentError> {
  const streams: Array<WriteNode.WriteNode> = []
  for (const layer of added) {
    const mediaType = typeOf(base, layer)
    if (mediaType === undefined) {
      return yield* new ContentError({
        operation: "write",
        location: layer.node.id,
        reason: new Invalid({ detail: `${layer.mediaType} cannot be a layer of a ${base.mediaType}` })
      })
    }
    streams.push(retyped(layer.node, mediaType))
  }
  const below = Option.match(base.source, {
    onNone: () => [],
    onSome: (source) =>
      base.layers
        .filter(({ mediaType }) => options?.foreign === true || !MediaType.isForeign(mediaType))
        .map((layer) => WriteNode.content(source, layer, options))
  })
  const config = WriteNode.computed(
    "config",
    base.configType,
    streams,
    (written) => Json.format(configOf(base, added, written, options))
  )
  return WriteNode.computed(
    "image",
    base.mediaType,
    [config, ...below, ...streams],
    ([config, ...written]) =>
      Json.format({
        ...base.manifest,
        config: Descriptor.toJson(config!.descriptor),
        // As the base has them, with their annotations and what else stands there.
        layers: [
          ...arrayOf(base.manifest["layers"]),
          ...written.slice(below.length).map(({ descriptor }) => Descriptor.toJson(descriptor))
        ]
      })
  )
})

const retyped = (node: WriteNode.WriteNode, mediaType: string): WriteNode.WriteNode =>
  node.label === mediaType ? node : {
    ...node,
    label: mediaType,
    write: (context) =>
      Effect.map(node.write(context), (written) => ({
        ...written,
        descriptor: { ...written.descriptor, mediaType }
      }))
  }

const configOf = (
  base: Base,
  added: ReadonlyArray<LayerStream>,
  written: ReadonlyArray<WriteNode.Written>,
  options: Options | undefined
): Json.JsonObject => {
  const created = options?.created === undefined ? {} : { created: options.created }
  const steps = added.map(({ createdBy }) => ({ ...created, created_by: createdBy ?? "effect-oci append" }))
  const config = {
    ...base.config,
    ...created,
    rootfs: { type: "layers", diff_ids: [...base.diffIds, ...written.map(({ diffId }) => diffId!)] },
    history: [...arrayOf(base.config["history"]), ...steps]
  }
  return options?.config?.(config) ?? config
}
