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
import { RegistryError, Unreachable } from "@effect-oci/transport/RegistryError"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import * as Request from "./internal/request.ts"
import * as Retry from "./internal/retry.ts"

const at = (repository: Repository.Repository, digest: Digest.Digest) => Request.path(repository, `blobs/${digest}`)

/** What a registry says of a blob; one that knows no HEAD is asked for the first byte. */
const head = (
  client: HttpClient.HttpClient.With<RegistryError>,
  repository: Repository.Repository,
  digest: Digest.Digest
) =>
  client.head(at(repository, digest)).pipe(
    Effect.catchIf(Request.isNoHead, () =>
      Effect.tap(client.get(at(repository, digest), { headers: { range: "bytes=0-0" } }), ResponseBody.discard))
  )

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
  return yield* head(client, repository, digest).pipe(
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
  const response = yield* head(client, repository, digest)
  const [, total] = /^bytes 0-0\/(\d{1,16})$/.exec(response.headers["content-range"] ?? "") ?? []
  return total !== undefined
    ? Number(total)
    : Request.lengthOf(response) ?? (yield* Request.violation(response, "the reply does not say the blob's size"))
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
          // Not every end of a body says how long it was to be.
          Stream.concat(
            Stream.suspend(() =>
              received < descriptor.size ? Stream.fail(endedEarly(repository, descriptor)) : Stream.empty
            )
          ),
          Stream.retry(policy),
          Stream.provideService(RetryPolicy.Answer, Retry.answered)
        )
    ))
  })

const endedEarly = (repository: Repository.Repository, { digest }: Descriptor.Descriptor) =>
  new RegistryError({
    method: "GET",
    url: at(repository, digest),
    reason: new Unreachable({ detail: "the body ended early", code: undefined, transient: true })
  })

const open = (repository: Repository.Repository, descriptor: Descriptor.Descriptor, offset: number) =>
  Stream.unwrap(Effect.gen(function*() {
    const client = yield* Request.client(repository, "pull")
    const get = (headers: Record<string, string>) =>
      Retry.once(client.get(at(repository, descriptor.digest), { headers }))
    let response = yield* get(offset === 0 ? {} : { range: `bytes=${offset}-${descriptor.size - 1}` })
    if (response.status === 206) {
      if (isRange(response, offset, descriptor.size)) return ResponseBody.stream(response)
      // A part, but not the one that was asked for: nothing that this registry says of ranges can be believed.
      yield* ResponseBody.discard(response)
      response = yield* get({})
    }
    const length = Request.lengthOf(response)
    if (length !== undefined && length !== descriptor.size && response.status === 200) {
      return yield* Request.mismatch(response, `the blob has ${length} bytes, not ${descriptor.size}`)
    }
    const body = ResponseBody.stream(response)
    return offset === 0 ? body : skip(body, offset)
  }))

const isRange = (response: HttpClientResponse.HttpClientResponse, offset: number, size: number): boolean => {
  const range = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/.exec(response.headers["content-range"] ?? "")
  return range !== null && Number(range[1]) === offset && Number(range[2]) === size - 1 &&
    (range[3] === "*" || Number(range[3]) === size)
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
