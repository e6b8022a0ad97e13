/**
 * Hashing by `node:crypto`, which is about ten times as fast as the portable default.
 *
 * @since 1.0.0
 */
import * as Hasher from "@effect-oci/content/Hasher"
import * as Digest from "@effect-oci/name/Digest"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"

/**
 * Starts a hasher of `node:crypto`.
 *
 * @category constructors
 * @since 1.0.0
 */
export const start: Hasher.Start = (algorithm) => {
  const hash = createHash(algorithm)
  return {
    update(bytes) {
      hash.update(bytes)
    },
    digest: () => Digest.parseUnsafe(`${algorithm}:${hash.digest("hex")}`)
  }
}

/**
 * Hashes by `node:crypto` from here on.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<never> = Layer.succeed(Hasher.Hashing, start)
