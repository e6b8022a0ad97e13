/**
 * Blobs on their way into a repository.
 *
 * OCI distribution specification 1.1, "Pushing blobs", "Mounting a blob from another repository", "Cancel a blob upload".
 *
 * @since 1.0.0
 */
import * as Hasher from "@effect-oci/content/Hasher"
import type { Body, Outcome, Sent } from "@effect-oci/content/Store"
import type * as Digest from "@effect-oci/name/Digest"
import * as DigestModule from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import { isRegistryError, type RegistryError } from "@effect-oci/transport/RegistryError"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import * as Blobs from "./Blobs.ts"
import * as Request from "./internal/request.ts"
import * as Retry from "./internal/retry.ts"

type Client = HttpClient.HttpClient.With<RegistryError>

/**
 * Options for `push`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * Repositories that have the blob. The first one at the same registry is named to it, so that it can link the blob
   * instead of having it sent.
   */
  readonly mountFrom?: ReadonlyArray<Repository.Repository> | undefined
}

/**
 * Sends a blob of a known digest: POST, then PUT with the body.
 *
 * **Details**
 *
 * Does not ask first whether the repository has it. When the reply to the PUT is lost, the registry is asked before
 * anything is sent again. The registry compares the digest; the session is cancelled when the push fails or is
 * interrupted. The body is run once for each time it is sent.
 *
 * @category writing
 * @since 1.0.0
 */
export const push = Effect.fn("Uploads.push")(function*<E, R>(
  repository: Repository.Repository,
  descriptor: Descriptor.Descriptor,
  body: Body<E, R>,
  options?: Options | undefined
): Effect.fn.Return<Outcome, E | RegistryError, R | Transport> {
  const from = options?.mountFrom?.find((other) =>
    other.registry.name === repository.registry.name && other.path !== repository.path
  )
  const client = yield* Request.client(repository, "push", from === undefined ? [] : [from])
  let attempts = 0
  const attempt = Effect.gen(function*() {
    if (attempts++ > 0 && (yield* Retry.once(Blobs.exists(repository, descriptor.digest)))) return "sent" as const
    const opened = yield* Retry.once(start(client, repository, {
      // What could not be mounted once is not mounted later.
      ...(from === undefined || attempts > 1 ? {} : { mount: descriptor.digest, from: from.path }),
      ...(DigestModule.algorithm(descriptor.digest) === "sha256" ? {} : { "digest-algorithm": "sha512" })
    }))
    if (opened === "mounted") return opened
    yield* cancelled(client, opened, send(client, opened, descriptor, body))
    return "sent" as const
  })
  return yield* Retry.operation(attempt, isRegistryErrorOf<E>)
})

const isRegistryErrorOf = <E>(error: E | RegistryError): error is RegistryError => isRegistryError(error)

/** Opens a session; gives its URL, or says that there is nothing left to send. */
const start = Effect.fnUntraced(function*(
  client: Client,
  repository: Repository.Repository,
  urlParams: Record<string, string>
): Effect.fn.Return<string | "mounted", RegistryError> {
  const response = yield* client.post(Request.path(repository, "blobs/uploads/"), { urlParams })
  yield* ResponseBody.discard(response)
  if (response.status === 201 && "mount" in urlParams) return "mounted"
  return yield* location(response)
})

/** The session's URL as it was given: relative to the request or absolute, its query untouched. */
const location = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<string, RegistryError> => {
  const header = response.headers["location"]
  const url = header === undefined ? null : URL.parse(header, response.request.url)
  if (url === null) return Effect.fail(Request.violation(response, "the reply names no upload session"))
  const from = new URL(response.request.url)
  return from.protocol === "https:" && url.protocol !== "https:"
    ? Effect.fail(Request.violation(response, "the upload session is not reached by https"))
    : Effect.succeed(url.href)
}

const withDigest = (session: string, digest: Digest.Digest): string =>
  `${session}${session.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`

/** A body that fails with an error of its own: the client only reports that it failed, so the error is kept aside. */
const tapped = <E, R>(body: Stream.Stream<Uint8Array, E, R>) =>
  Effect.map(Effect.context<R>(), (context) => {
    const failed: { error: E | undefined } = { error: undefined }
    const stream = body.pipe(
      Stream.tapError((error) => Effect.sync(() => void (failed.error = error))),
      Stream.provideContext(context)
    )
    const reveal = <A>(self: Effect.Effect<A, RegistryError>): Effect.Effect<A, E | RegistryError> =>
      Effect.mapError(self, (error) => failed.error ?? error)
    return { stream, reveal }
  })

const send = Effect.fnUntraced(function*<E, R>(
  client: Client,
  session: string,
  descriptor: Descriptor.Descriptor,
  body: Body<E, R>
): Effect.fn.Return<void, E | RegistryError, R> {
  const { reveal, stream } = yield* tapped(body(0))
  const response = yield* reveal(Retry.once(client.put(withDigest(session, descriptor.digest), {
    body: descriptor.size === 0
      ? HttpBody.uint8Array(new Uint8Array(0), octets)
      : HttpBody.stream(stream, octets, descriptor.size)
  })))
  yield* ResponseBody.discard(response)
})

const octets = "application/octet-stream"

/** Tells the registry to forget a session that was not completed. */
const cancelled = <A, E, R>(client: Client, session: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.onExit(self, (exit) =>
    Exit.isSuccess(exit) ? Effect.void : Retry.once(client.del(session)).pipe(
      Effect.flatMap(ResponseBody.discard),
      Effect.timeout("2 seconds"),
      Effect.ignore
    ))

/**
 * How much of a streamed blob is held in memory and sent at once, in bytes, unless the registry wants larger chunks.
 *
 * @category constants
 * @since 1.0.0
 */
export const chunkSize = 8 * 1024 * 1024

/**
 * Sends a blob whose digest is known only at its end: POST, a PATCH for each chunk, and PUT with the digest.
 *
 * **Details**
 *
 * Holds one chunk of `chunkSize` in memory. The stream is run once, so the push as a whole is not retried.
 *
 * @category writing
 * @since 1.0.0
 */
export const pushStream = Effect.fn("Uploads.pushStream")(function*<E, R>(
  repository: Repository.Repository,
  body: Stream.Stream<Uint8Array, E, R>
): Effect.fn.Return<Sent, E | RegistryError, R | Transport> {
  const client = yield* Request.client(repository, "push")
  const opened = yield* client.post(Request.path(repository, "blobs/uploads/"))
  yield* ResponseBody.discard(opened)
  const least = Number(opened.headers["oci-chunk-min-length"] ?? 0)
  const hasher = (yield* Hasher.Hashing)("sha256")
  let session = yield* location(opened)
  let size = 0
  const patch = (chunk: Uint8Array) =>
    Effect.gen(function*() {
      hasher.update(chunk)
      const response = yield* client.patch(session, {
        headers: { "content-range": `${size}-${size + chunk.length - 1}` },
        body: HttpBody.uint8Array(chunk, octets)
      })
      yield* ResponseBody.discard(response)
      size += chunk.length
      if (response.headers["location"] !== undefined) session = yield* location(response)
    })
  const all = Effect.gen(function*() {
    yield* Stream.runForEach(chunked(body, Math.max(chunkSize, Number.isSafeInteger(least) ? least : 0)), patch)
    const digest = hasher.digest()
    const response = yield* client.put(withDigest(session, digest), { body: HttpBody.empty })
    yield* ResponseBody.discard(response)
    return { digest, size }
  })
  return yield* cancelled(client, session, all)
})

/** Chunks of exactly `size` bytes, but for the last. The buffer is reused: a chunk is valid until the next is pulled. */
const chunked = <E, R>(self: Stream.Stream<Uint8Array, E, R>, size: number): Stream.Stream<Uint8Array, E, R> =>
  Stream.suspend(() => {
    const parts: Array<Uint8Array> = []
    let held = 0
    const take = (): Uint8Array => {
      const chunk = new Uint8Array(held)
      let at = 0
      for (const part of parts) {
        chunk.set(part, at)
        at += part.length
      }
      parts.length = 0
      held = 0
      return chunk
    }
    return Stream.flattenIterable(Stream.mapArray(self, (chunks): readonly [ReadonlyArray<Uint8Array>] => {
      const out: Array<Uint8Array> = []
      for (let chunk of chunks) {
        while (chunk.length > 0) {
          const part = chunk.slice(0, size - held)
          parts.push(part)
          held += part.length
          chunk = chunk.subarray(part.length)
          if (held === size) out.push(take())
        }
      }
      return [out]
    })).pipe(Stream.concat(Stream.suspend(() => held === 0 ? Stream.empty : Stream.succeed(take()))))
  })
