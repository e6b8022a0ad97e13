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
import { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import * as Known from "./internal/known.ts"
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

/** What a reply to `head` says of the size. */
const sizeOf = (response: HttpClientResponse.HttpClientResponse): number | undefined => {
  const [, total] = /^bytes 0-0\/(\d{1,16})$/.exec(response.headers["content-range"] ?? "") ?? []
  return total === undefined ? Request.lengthOf(response) : Number(total)
}

/**
 * Whether the repository has a blob. Where it says that it has one of another `size`, it has not.
 *
 * @category reading
 * @since 1.0.0
 */
export const exists = Effect.fn("Blobs.exists")(function*(
  repository: Repository.Repository,
  digest: Digest.Digest,
  size?: number | undefined
): Effect.fn.Return<boolean, RegistryError, Transport> {
  const client = yield* Request.client(repository, "pull", { mayLack: true })
  return yield* head(client, repository, digest).pipe(
    // Some say 0 of whatever they have.
    Effect.map((response) =>
      response.status !== 404 && (size === undefined || [size, 0, undefined].includes(sizeOf(response)))
    ),
    // What stands for the registry has failed with it.
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
  return sizeOf(response) ?? (yield* Request.violation(response, "the reply does not say the blob's size"))
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
): Stream.Stream<Uint8Array, RegistryError, Transport> => part(repository, descriptor, offset, descriptor.size)

/**
 * All bytes of a blob that is small enough to be held. Not verified, and retried as `get` is.
 *
 * @category reading
 * @since 1.0.0
 */
export const read = (
  repository: Repository.Repository,
  descriptor: Descriptor.Descriptor
): Effect.Effect<Uint8Array, RegistryError, Transport> =>
  Effect.flatMap(
    Effect.exit(ask(repository, descriptor, {})),
    (first) => {
      const bytes = Exit.isSuccess(first) && first.value.status === 200 ? ResponseBody.whole(first.value) : undefined
      return bytes?.length === descriptor.size
        ? Effect.succeed(bytes)
        // Whatever else it is, a stream goes on with it.
        : collect(cut(part(repository, descriptor, 0, descriptor.size, first), 0, descriptor.size), descriptor.size)
    }
  )

const ask = (
  repository: Repository.Repository,
  { digest }: Descriptor.Descriptor,
  headers: Record<string, string>
): Effect.Effect<HttpClientResponse.HttpClientResponse, RegistryError, Transport> =>
  Effect.flatMap(
    Request.client(repository, "pull"),
    (client) => Retry.once(client.get(at(repository, digest), { headers }))
  )

/** The bytes from `from` to before `to`, of which the whole may have been asked for already. */
const part = (
  repository: Repository.Repository,
  descriptor: Descriptor.Descriptor,
  from: number,
  to: number,
  first?: Exit.Exit<HttpClientResponse.HttpClientResponse, RegistryError> | undefined
): Stream.Stream<Uint8Array, RegistryError, Transport> =>
  Stream.suspend(() => {
    let received = from
    let asked = first
    // There is no range of nothing: where all had come before it broke off, or is there already, nobody is asked.
    return Stream.suspend(() => {
      const reply = asked
      asked = undefined
      return received === to && to > 0
        ? Stream.empty
        : Stream.unwrap(open(repository, descriptor, received, to, reply))
    })
      .pipe(
        Stream.mapArray((chunks) => {
          for (const chunk of chunks) received += chunk.length
          return chunks
        }),
        // Not every end of a body says how long it was to be.
        Stream.concat(
          Stream.suspend(() => received < to ? Stream.fail(endedEarly(repository, descriptor)) : Stream.empty)
        ),
        // A mirror that broke off is not asked for the rest.
        Stream.tapError(() =>
          Effect.flatMap(Transport, (transport) => transport.distrust(repository, descriptor.digest))
        ),
        Stream.retry(Retry.policy(() => received)),
        Stream.provideService(RetryPolicy.Answer, Retry.answered)
      )
  })

const endedEarly = (repository: Repository.Repository, { digest }: Descriptor.Descriptor) =>
  new RegistryError({
    method: "GET",
    url: at(repository, digest),
    reason: new Unreachable({ detail: "the body ended early", code: undefined, transient: true })
  })

const open = Effect.fnUntraced(function*(
  repository: Repository.Repository,
  descriptor: Descriptor.Descriptor,
  from: number,
  to: number,
  reply: Effect.Effect<HttpClientResponse.HttpClientResponse, RegistryError> | undefined
): Effect.fn.Return<Stream.Stream<Uint8Array, RegistryError>, RegistryError, Transport> {
  const isWhole = from === 0 && to === descriptor.size
  let response = yield* reply ??
    ask(repository, descriptor, isWhole ? {} : { range: `bytes=${from}-${to - 1}` })
  if (response.status === 206) {
    if (isRange(response, from, to, descriptor.size)) return ResponseBody.stream(response)
    // A part, but not the one that was asked for: nothing that this registry says of ranges can be believed.
    yield* ResponseBody.discard(response)
    response = yield* ask(repository, descriptor, {})
  }
  const length = Request.lengthOf(response)
  if (length !== undefined && length !== descriptor.size && response.status === 200) {
    yield* ResponseBody.discard(response)
    return yield* Request.mismatch(response, `the blob has ${length} bytes, not ${descriptor.size}`)
  }
  const body = ResponseBody.stream(response)
  return isWhole ? body : cut(body, from, to)
})

const isRange = (
  response: HttpClientResponse.HttpClientResponse,
  from: number,
  to: number,
  size: number
): boolean => {
  const range = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/.exec(response.headers["content-range"] ?? "")
  return range !== null && Number(range[1]) === from && Number(range[2]) === to - 1 &&
    (range[3] === "*" || Number(range[3]) === size)
}

/**
 * The part of a body that is longer, for who answers a range with the whole.
 *
 * @internal
 */
export const cut = <E, R>(
  self: Stream.Stream<Uint8Array, E, R>,
  from: number,
  to: number
): Stream.Stream<Uint8Array, E, R> =>
  Stream.suspend(() => {
    let at = 0
    return self.pipe(
      Stream.map((chunk) => {
        const wanted = chunk.subarray(Math.max(0, from - at), Math.max(0, to - at))
        at += chunk.length
        return wanted
      }),
      Stream.takeUntil(() => at >= to),
      Stream.filter((chunk) => chunk.length > 0)
    )
  })

/**
 * Options for `getParallel`.
 *
 * @category options
 * @since 1.0.0
 */
export interface ParallelOptions {
  /**
   * How many parts are under way at once.
   *
   * @default 4
   */
  readonly concurrency?: number | undefined
  /**
   * How large a part is, in bytes. So much of each that is under way is held in memory.
   *
   * @default 8388608
   */
  readonly chunkSize?: number | undefined
  /**
   * @default 0
   */
  readonly offset?: number | undefined
}

/**
 * The bytes of a blob in order, fetched in several parts at once: faster where one connection is not all that there is.
 *
 * **Details**
 *
 * Not verified, as `get`. Each part is resumed by itself. A registry that sends no parts is asked for the whole; whether it
 * does is asked once.
 *
 * @category reading
 * @since 1.0.0
 */
export const getParallel = (
  repository: Repository.Repository,
  descriptor: Descriptor.Descriptor,
  options?: ParallelOptions | undefined
): Stream.Stream<Uint8Array, RegistryError, Transport> =>
  Stream.unwrap(Effect.gen(function*() {
    const { chunkSize = 8 * 1024 * 1024, concurrency = 4, offset = 0 } = options ?? {}
    const { size } = descriptor
    if (size - offset <= chunkSize || !(yield* sendsRanges(repository, descriptor))) {
      return get(repository, descriptor, offset)
    }
    // Counted as they are asked for: the size is anybody's word.
    return Stream.mapEffect(
      Stream.range(0, Math.ceil((size - offset) / chunkSize) - 1),
      (n) => {
        const from = offset + n * chunkSize
        return collect(part(repository, descriptor, from, Math.min(from + chunkSize, size)), chunkSize)
      },
      { concurrency }
    )
  }))

/** The bytes of a part, which has no more than `most`. */
const collect = <E, R>(self: Stream.Stream<Uint8Array, E, R>, most: number): Effect.Effect<Uint8Array, E, R> =>
  Effect.suspend(() => {
    const all = new Uint8Array(most)
    let at = 0
    return Effect.map(
      Stream.runForEachArray(self, (chunks) =>
        Effect.sync(() => {
          for (const chunk of chunks) {
            const room = chunk.subarray(0, most - at)
            all.set(room, at)
            at += room.length
          }
        })),
      () => at === most ? all : all.subarray(0, at)
    )
  })

const sendsRanges = Effect.fnUntraced(function*(
  repository: Repository.Repository,
  { digest }: Descriptor.Descriptor
): Effect.fn.Return<boolean, RegistryError, Transport> {
  const known = yield* Known.of(repository)
  if (known.sendsRanges === undefined) {
    const client = yield* Request.client(repository, "pull")
    const response = yield* client.get(at(repository, digest), { headers: { range: "bytes=0-0" } })
    known.sendsRanges = response.status === 206
    yield* ResponseBody.discard(response)
  }
  return known.sendsRanges
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
