/**
 * Blobs that a registry has in another repository, linked instead of sent.
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import * as Request from "./request.ts"
import * as Session from "./session.ts"

const most = 3

/** The repositories that a mount is tried from. */
export const candidates = (
  repository: Repository.Repository,
  all: ReadonlyArray<Repository.Repository>
): Array<Repository.Repository> => {
  const found = new Map<string, Repository.Repository>()
  for (const other of all) {
    if (other.registry.name !== repository.registry.name || other.path === repository.path) continue
    if (found.size < most) found.set(other.path, other)
  }
  return [...found.values()]
}

// What waiting may mend is for the policy of the whole; anything else a registry has against a mount is no reason not to
// send the blob.
const mayPass = ({ reason }: RegistryError): boolean => reason._tag === "RateLimited" || reason._tag === "Unreachable"

/**
 * Asks for the blob of the first candidate that will do, with a token for both repositories; those that were tried are taken
 * out of the list. Whether it was mounted; if not, the last of them may have opened a session to send it by.
 */
export const first = Effect.fnUntraced(function*(
  repository: Repository.Repository,
  digest: Digest.Digest,
  candidates: Array<Repository.Repository>,
  chunkSize: number,
  keep: (session: Session.Session | undefined) => void
): Effect.fn.Return<boolean, RegistryError, Transport> {
  while (candidates.length > 0) {
    const from = candidates[0]!
    const client = yield* Request.client(repository, "push", { also: [from] })
    let session: Session.Session | undefined
    const params = { mount: digest, from: from.path, ...Session.algorithmOf(digest) }
    const response = yield* Session.start(client, repository, params, chunkSize, (opened) => {
      session = opened
      keep(opened)
    }).pipe(Effect.catchIf((error) => !mayPass(error), () => Effect.undefined))
    candidates.shift()
    if (response?.status === 201) {
      yield* Request.isWhatWasSent(response, digest)
      return true
    }
    if (session === undefined || candidates.length === 0) continue
    yield* Session.cancel(client, session)
    keep(undefined)
  }
  return false
})
