/**
 * Incremental hashing, so that a blob can be hashed while it flows.
 *
 * effect's own `crypto/Digest` hashes whole values only; a layer of 20 GB never is one.
 *
 * @since 1.0.0
 */
import * as Digest from "@effect-oci/name/Digest"
import { sha256, sha512 } from "@noble/hashes/sha2.js"
import { bytesToHex } from "@noble/hashes/utils.js"
import * as Context from "effect/Context"

/**
 * A running hash. It is mutable and belongs to one pass over the bytes.
 *
 * @category models
 * @since 1.0.0
 */
export interface Hasher {
  /**
   * Adds bytes. They are read before the call returns and may be reused by the caller afterwards.
   */
  update(bytes: Uint8Array): void
  /**
   * Ends the hash. A hasher cannot be used after this.
   */
  digest(): Digest.Digest
}

/**
 * Starts a hasher for an algorithm.
 *
 * @category models
 * @since 1.0.0
 */
export type Start = (algorithm: Digest.Algorithm) => Hasher

const startPortable: Start = (algorithm) => {
  const hash = algorithm === "sha256" ? sha256.create() : sha512.create()
  return {
    update(bytes) {
      hash.update(bytes)
    },
    digest: () => Digest.parseUnsafe(`${algorithm}:${bytesToHex(hash.digest())}`)
  }
}

/**
 * How hashers are started.
 *
 * **Details**
 *
 * The default is written in JavaScript and runs anywhere; `NodeHasher.layer` of `@effect-oci/node` is about ten
 * times as fast.
 *
 * @category references
 * @since 1.0.0
 */
export const Hashing = Context.Reference<Start>("@effect-oci/content/Hasher/Hashing", {
  defaultValue: () => startPortable
})

/**
 * The digest of bytes that are all at hand.
 *
 * @category hashing
 * @since 1.0.0
 */
export const digestOf = (start: Start, bytes: Uint8Array, algorithm: Digest.Algorithm = "sha256"): Digest.Digest => {
  const hasher = start(algorithm)
  hasher.update(bytes)
  return hasher.digest()
}
