/**
 * Deleting manifests, and what has to be put in order after.
 */
import * as Successors from "@effect-oci/content/Successors"
import type * as Digest from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Manifests from "../Manifests.ts"
import * as Referrers from "../Referrers.ts"
import * as Request from "./request.ts"

interface Options {
  readonly referrers?: boolean | undefined
}

/**
 * Deletes a manifest and takes it out of its subject's list; with what refers to it if told, farthest first. Anybody who may
 * push a tag may write a list: what it names is left alone unless it says itself what it refers to.
 */
export const manifest = (
  repository: Repository.Repository,
  digest: Digest.Digest,
  options: Options = {},
  above: ReadonlySet<Digest.Digest> = new Set(),
  subject?: Digest.Digest | undefined
): Effect.Effect<void, RegistryError, Transport> =>
  Effect.gen(function*() {
    const { bytes, descriptor } = yield* Manifests.get(repository, digest)
    const about = Option.getOrUndefined(Successors.referrer(descriptor, bytes))?.subject
    if (subject !== undefined && about !== subject) return
    if (options.referrers === true && !above.has(digest)) {
      const referrers = yield* Stream.runCollect(Referrers.list(repository, digest))
      yield* Effect.forEach(
        referrers,
        (referrer) =>
          Effect.catchIf(
            manifest(repository, referrer.digest, options, new Set([...above, digest]), digest),
            // A list may name what is gone.
            Request.isNotFound,
            () => Referrers.remove(repository, digest, referrer.digest)
          ),
        { concurrency: 8, discard: true }
      )
    }
    yield* Manifests.remove(repository, digest)
    if (about !== undefined) yield* Referrers.remove(repository, about, digest)
  })
