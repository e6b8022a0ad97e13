/**
 * Image configs: what runs, where, and of which uncompressed layers it is made.
 *
 * OCI image specification 1.1, "Image Configuration".
 *
 * @since 1.0.0
 */
import * as Digest from "@effect-oci/name/Digest"
import * as Result from "effect/Result"
import * as Shape from "./internal/shape.ts"
import { type JsonObject, parse as parseJson } from "./Json.ts"
import type { Platform } from "./Platform.ts"
import type { SpecError } from "./SpecError.ts"

/**
 * An image config, with the bytes it came as.
 *
 * @category models
 * @since 1.0.0
 */
export interface ImageConfig {
  readonly bytes: Uint8Array
  readonly platform: Platform
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
   * All of the document.
   */
  readonly json: JsonObject
}

/**
 * Reads an image config.
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
      const variant = text("variant")
      const version = text("os.version")
      const features = shape.optional(root["os.features"], "os.features", shape.strings)
      const list = (key: string) => shape.optional(config[key], `config.${key}`, shape.strings) ?? []
      return {
        bytes,
        platform: {
          os: text("os") ?? "",
          architecture: text("architecture") ?? "",
          ...(variant === undefined ? {} : { variant }),
          ...(version === undefined ? {} : { "os.version": version }),
          ...(features === undefined ? {} : { "os.features": features })
        },
        created: text("created"),
        author: text("author"),
        env: list("Env"),
        entrypoint: list("Entrypoint"),
        cmd: list("Cmd"),
        workingDir: shape.optional(config["WorkingDir"], "config.WorkingDir", shape.string),
        user: shape.optional(config["User"], "config.User", shape.string),
        labels: shape.optional(config["Labels"], "config.Labels", shape.stringMap) ?? {},
        diffIds: (shape.optional(rootfs["diff_ids"], "rootfs.diff_ids", shape.strings) ?? []).map((text, i) => {
          const digest = Digest.parse(text)
          if (Result.isFailure(digest)) throw shape.wrong(`rootfs.diff_ids[${i}]`, digest.failure.detail)
          return digest.success
        }),
        json: root
      }
    }))
