/**
 * Deleting manifests, and what has to be put in order after.
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import * as Document from "@effect-oci/spec/Document"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Manifests from "../Manifests.ts"
import * as Referrers from "../Referrers.ts"
import * as Request from "./request.ts"

interface Options {
  readonly referrers?: boolean | undefined
}

/** Deletes a manifest and takes it out of its subject's list; with what refers to it if told, farthest first. */
export const manifest = (
  repository: Repository.Repository,
  digest: Digest.Digest,
  options: Options = {},
  above: ReadonlySet<Digest.Digest> = new Set()
): Effect.Effect<void, RegistryError, Transport> =>
  Effect.gen(function*() {
    const { bytes, descriptor } = yield* Manifests.get(repository, digest)
    if (options.referrers === true && !above.has(digest)) {
      const referrers = yield* Stream.runCollect(Referrers.list(repository, digest))
      yield* Effect.forEach(
        referrers,
        (referrer) =>
          Effect.catchIf(
            manifest(repository, referrer.digest, options, new Set([...above, digest])),
            // A list may name what is gone.
            Request.isNotFound,
            () => Referrers.remove(repository, digest, referrer.digest)
          ),
        { concurrency: 8, discard: true }
      )
    }
    yield* Manifests.remove(repository, digest)
    const document = Result.getOrUndefined(Document.parse(bytes, descriptor.mediaType))
    if (document === undefined || document._tag === "Opaque" || document.subject === undefined) return
    yield* Referrers.remove(repository, document.subject.digest, digest)
  })
