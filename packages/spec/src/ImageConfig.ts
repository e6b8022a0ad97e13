/**
 * Image configs: what runs, where, and of which uncompressed layers it is made.
 *
 * OCI image specification 1.1, "Image Configuration".
 *
 * @since 1.0.0
 */
import * as Digest from "@effect-oci/name/Digest"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Codec from "./internal/codec.ts"
import * as Shape from "./internal/shape.ts"
import { type JsonObject, parse as parseJson } from "./Json.ts"
import * as Platform from "./Platform.ts"
import type { SpecError } from "./SpecError.ts"

/**
 * How one layer came to be, or a step that made none.
 *
 * @category models
 * @since 1.0.0
 */
export interface History {
  readonly created: string | undefined
  readonly createdBy: string | undefined
  readonly author: string | undefined
  readonly comment: string | undefined
  /**
   * The step made no layer.
   */
  readonly emptyLayer: boolean
}

/**
 * An image config, with the bytes it came as.
 *
 * @category models
 * @since 1.0.0
 */
export interface ImageConfig {
  readonly bytes: Uint8Array
  readonly platform: Platform.Platform
  readonly created: string | undefined
  readonly author: string | undefined
  readonly env: ReadonlyArray<string>
  readonly entrypoint: ReadonlyArray<string>
  readonly cmd: ReadonlyArray<string>
  readonly workingDir: string | undefined
  readonly user: string | undefined
  readonly labels: Readonly<Record<string, string>>
  /**
   * The digests of the uncompressed layers, lowest first.
   */
  readonly diffIds: ReadonlyArray<Digest.Digest>
  /**
   * Lowest first; also of steps that made no layer.
   */
  readonly history: ReadonlyArray<History>
  /**
   * All of the document.
   */
  readonly json: JsonObject
}

/**
 * Reads an image config.
 *
 * **Details**
 *
 * `null` is read as absent, and a command that is one text as a list of it, as old builders wrote it.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (bytes: Uint8Array): Result.Result<ImageConfig, SpecError> =>
  Result.flatMap(parseJson(bytes, "image config"), (json) =>
    Shape.run("image config", (shape): ImageConfig => {
      const root = shape.object(json, "")
      const config = shape.optional(root["config"], "config", shape.object) ?? {}
      const rootfs = shape.optional(root["rootfs"], "rootfs", shape.object) ?? {}
      const text = (key: string) => shape.optional(root[key], key, shape.string)
      const list = (key: string, read = shape.strings) => shape.optional(config[key], `config.${key}`, read) ?? []
      return {
        bytes,
        platform: Platform.read(shape, root, ""),
        created: text("created"),
        author: text("author"),
        env: list("Env"),
        entrypoint: list("Entrypoint", command),
        cmd: list("Cmd", command),
        workingDir: shape.optional(config["WorkingDir"], "config.WorkingDir", shape.string),
        user: shape.optional(config["User"], "config.User", shape.string),
        labels: shape.optional(config["Labels"], "config.Labels", shape.stringMap) ?? {},
        diffIds: shape.optional(rootfs["diff_ids"], "rootfs.diff_ids", (value, path) =>
          shape.array(value, path, digest)) ?? [],
        history: shape.optional(root["history"], "history", (value, path) =>
          shape.array(value, path, history)) ?? [],
        json: root
      }

      function command(value: unknown, path: string): ReadonlyArray<string> {
        return typeof value === "string" ? value === "" ? [] : [value] : shape.strings(value, path)
      }

      function digest(value: unknown, path: string): Digest.Digest {
        const digest = Digest.parse(shape.string(value, path))
        if (Result.isFailure(digest)) throw shape.wrong(path, digest.failure.detail)
        return digest.success
      }

      function history(value: unknown, path: string): History {
        const step = shape.object(value, path)
        const text = (key: string) => shape.optional(step[key], `${path}.${key}`, shape.string)
        return {
          created: text("created"),
          createdBy: text("created_by"),
          author: text("author"),
          comment: text("comment"),
          emptyLayer: shape.optional(step["empty_layer"], `${path}.empty_layer`, shape.boolean) ?? false
        }
      }
    }))

/**
 * Whether a value is an image config that was read.
 *
 * @category guards
 * @since 1.0.0
 */
export const isImageConfig = (u: unknown): u is ImageConfig =>
  hasProperty(u, "bytes") && u.bytes instanceof Uint8Array && hasProperty(u, "diffIds") && Array.isArray(u.diffIds)

/**
 * An image config that was read.
 *
 * @category schemas
 * @since 1.0.0
 */
export const ImageConfig = Schema.declare(isImageConfig, { identifier: "ImageConfig" })

/**
 * An image config and its bytes: decoding is `parse`, encoding gives back the bytes as they were.
 *
 * @category schemas
 * @since 1.0.0
 */
export const ImageConfigFromBytes = Schema.Uint8Array.pipe(
  Schema.decodeTo(ImageConfig, Codec.fromResult(parse, (config: ImageConfig) => config.bytes))
)
