/**
 * The blobs of a repository, read and deleted. `Uploads` writes them.
 *
 * OCI distribution specification 1.1, "Pulling blobs", "Content Management".
 *
 * @since 1.0.0
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import * as Request from "./internal/request.ts"
import * as Retry from "./internal/retry.ts"

const at = (repository: Repository.Repository, digest: Digest.Digest) => Request.path(repository, `blobs/${digest}`)

/**
 * Whether the repository has a blob.
 *
 * @category reading
 * @since 1.0.0
 */
export const exists = Effect.fn("Blobs.exists")(function*(
  repository: Repository.Repository,
  digest: Digest.Digest
): Effect.fn.Return<boolean, RegistryError, Transport> {
  const client = yield* Request.client(repository, "pull")
  return yield* client.head(at(repository, digest)).pipe(
    Effect.as(true),
    Effect.catchIf(Request.isNotFound, () => Effect.succeed(false))
  )
})

/**
 * The size of a blob, in bytes.
 *
 * @category reading
 * @since 1.0.0
 */
export const size = Effect.fn("Blobs.size")(function*(
  repository: Repository.Repository,
  digest: Digest.Digest
): Effect.fn.Return<number, RegistryError, Transport> {
  const client = yield* Request.client(repository, "pull")
  const response = yield* client.head(at(repository, digest))
  return Request.lengthOf(response) ?? (yield* Request.violation(response, "the reply does not say the blob's size"))
})

/**
 * The bytes of a blob, from an offset on.
 *
 * **Details**
 *
 * Not verified: `Verify.stream`, or a repository as a `Source`, does that. A transfer that is cut goes on where it
 * stopped, by a closed range, as long as the retry policy allows; its budget begins anew with every byte that arrives.
 *
 * @category reading
 * @since 1.0.0
 */
export const get = (
  repository: Repository.Repository,
  descriptor: Descriptor.Descriptor,
  offset = 0
): Stream.Stream<Uint8Array, RegistryError, Transport> =>
  Stream.suspend(() => {
    let received = offset
    return Stream.unwrap(Effect.map(
      Retry.policy(() => received),
      (policy) =>
        Stream.suspend(() => open(repository, descriptor, received)).pipe(
          Stream.mapArray((chunks) => {
            for (const chunk of chunks) received += chunk.length
            return chunks
          }),
          Stream.retry(policy),
          Stream.provideService(RetryPolicy.Answer, Retry.answered)
        )
    ))
  })

const open = (repository: Repository.Repository, descriptor: Descriptor.Descriptor, offset: number) =>
  Stream.unwrap(Effect.gen(function*() {
    const client = yield* Request.client(repository, "pull")
    const response = yield* Retry.once(
      client.get(
        at(repository, descriptor.digest),
        offset === 0 ? {} : { headers: { range: `bytes=${offset}-${descriptor.size - 1}` } }
      )
    )
    const body = ResponseBody.stream(response)
    if (offset > 0 && response.status === 206) {
      yield* checkRange(response, offset, descriptor.size)
      return body
    }
    const length = Request.lengthOf(response)
    if (length !== undefined && length !== descriptor.size && response.status === 200) {
      return yield* Request.mismatch(response, `the blob has ${length} bytes, not ${descriptor.size}`)
    }
    return offset === 0 ? body : skip(body, offset)
  }))

const checkRange = (response: HttpClientResponse.HttpClientResponse, offset: number, size: number) => {
  const range = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/.exec(response.headers["content-range"] ?? "")
  const isRight = range !== null && Number(range[1]) === offset && Number(range[2]) === size - 1 &&
    (range[3] === "*" || Number(range[3]) === size)
  return isRight
    ? Effect.void
    : Effect.fail(Request.violation(response, `asked for bytes ${offset}-${size - 1}, got ${range?.[0] ?? "no range"}`))
}

/** For registries that answer a range with the whole. */
const skip = <E, R>(self: Stream.Stream<Uint8Array, E, R>, bytes: number): Stream.Stream<Uint8Array, E, R> =>
  Stream.suspend(() => {
    let left = bytes
    return self.pipe(
      Stream.map((chunk) => {
        const cut = Math.min(left, chunk.length)
        left -= cut
        return cut === 0 ? chunk : chunk.subarray(cut)
      }),
      Stream.filter((chunk) => chunk.length > 0)
    )
  })

/**
 * Deletes a blob.
 *
 * @category deleting
 * @since 1.0.0
 */
export const remove = Effect.fn("Blobs.remove")(function*(
  repository: Repository.Repository,
  digest: Digest.Digest
): Effect.fn.Return<void, RegistryError, Transport> {
  const client = yield* Request.client(repository, "remove")
  yield* ResponseBody.discard(yield* client.del(at(repository, digest)))
})
