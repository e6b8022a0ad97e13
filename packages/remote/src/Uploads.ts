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
import * as Redact from "@effect-oci/transport/Redact"
import { isRegistryError, ProtocolViolation, RegistryError, SessionLost } from "@effect-oci/transport/RegistryError"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Context from "effect/Context"
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
 * How much is held in memory and sent at once where a blob goes in chunks, in bytes, unless the registry wants larger ones.
 *
 * @category constants
 * @since 1.0.0
 */
export const chunkSize = 8 * 1024 * 1024

/**
 * The largest blob that is sent in the request that closes its upload, in bytes. One more request for a larger one is time
 * well spent: what a registry had of it when a connection broke, it keeps.
 *
 * @category constants
 * @since 1.0.0
 */
export const monolithicLimit = 4 * 1024 * 1024

/** A session as the registry has last told of it. */
interface Session {
  url: string
  /** How many bytes it has. */
  offset: number
  readonly chunkSize: number
}

/**
 * Sends a blob of a known digest: POST, then PUT with the body; for one above `monolithicLimit` PATCH with the body, then PUT.
 *
 * **Details**
 *
 * Does not ask first whether the repository has it. When a connection breaks, the registry is asked whether it has the
 * blob all the same, then how much of it arrived, and the upload goes on from there; where it kept nothing the blob is sent
 * anew, in chunks if it is a large one. The registry compares the digest; bytes that were not the right ones after a resume
 * are sent once more. The session is cancelled when the push fails or is interrupted. The body is run once for each time
 * that something is sent.
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
  let session: Session | undefined
  let attempts = 0
  let isChunked = false
  let isDoubted = false
  let last: RegistryError | undefined
  // The furthest that any session came: what the registry has lost again is no progress.
  let furthest = 0

  /** What the registry has of it after a failure; a large blob goes in chunks where it kept nothing of what was cut off. */
  const resume = Effect.fnUntraced(function*(before: Session): Effect.fn.Return<Session | undefined, RegistryError> {
    const now = yield* status(client, before)
    const hasKept = now !== undefined && now.offset > before.offset
    if (!hasKept && last?.reason._tag === "Unreachable") isChunked = descriptor.size > before.chunkSize
    return now === undefined || now.offset > descriptor.size ? undefined : now
  })

  const attempt = Effect.gen(function*() {
    if (attempts++ > 0) {
      if (yield* Retry.once(Blobs.exists(repository, descriptor.digest))) return "sent" as const
      if (session !== undefined) session = yield* resume(session)
    }
    if (session === undefined) {
      // What could not be mounted once is not mounted later.
      const mount = from !== undefined && attempts === 1
      const response = yield* start(client, repository, {
        ...(mount ? { mount: descriptor.digest, from: from.path } : {}),
        ...(DigestModule.algorithm(descriptor.digest) === "sha256" ? {} : { "digest-algorithm": "sha512" })
      })
      if (mount && response.status === 201) return "mounted" as const
      session = yield* sessionOf(response)
    }
    const told = (offset: number) => furthest = Math.max(furthest, offset)
    told(session.offset)
    const rest = body(session.offset)
    if (isChunked) yield* sendChunks(client, session, rest, told)
    else if (descriptor.size > monolithicLimit) yield* sendRest(client, session, descriptor, rest)
    yield* complete(client, session, descriptor, rest)
    return "sent" as const
  }).pipe(
    Effect.mapError((error) => {
      if (!isRegistryError(error)) return error
      last = error
      if (isDoubted || !isWrongDigest(error)) return error
      // Something changed on the way, or the parts of a resumed upload were not parts of one thing: once more, as a whole.
      isDoubted = true
      session = undefined
      return lost(error)
    })
  )
  return yield* Retry.operation(attempt, () => furthest).pipe(
    Effect.onExit((exit) => Exit.isSuccess(exit) || session === undefined ? Effect.void : cancel(client, session))
  )
})

const codes = (error: RegistryError): ReadonlyArray<string> =>
  "diagnostics" in error.reason ? error.reason.diagnostics.map(({ code }) => code) : []

const isWrongDigest = (error: RegistryError): boolean =>
  error.reason._tag === "Rejected" && codes(error).includes("DIGEST_INVALID")

/** What a registry answers where it does not know a session, or not in this state. */
const isLost = (error: RegistryError): boolean =>
  error.reason._tag === "NotFound" ||
  (error.reason._tag === "Rejected" &&
    (error.status === 416 || codes(error).some((code) => code.startsWith("BLOB_UPLOAD_"))))

const lost = (error: RegistryError): RegistryError =>
  "diagnostics" in error.reason
    ? new RegistryError({
      method: error.method,
      url: error.url,
      reason: new SessionLost({ status: error.reason.status, diagnostics: error.reason.diagnostics })
    })
    : error

const orLost = <A, E, R>(self: Effect.Effect<A, E | RegistryError, R>): Effect.Effect<A, E | RegistryError, R> =>
  Effect.mapError(self, (error) => isRegistryError(error) && isLost(error) ? lost(error) : error)

/** Asks for a session. */
const start = Effect.fnUntraced(function*(
  client: Client,
  repository: Repository.Repository,
  urlParams: Record<string, string>
): Effect.fn.Return<HttpClientResponse.HttpClientResponse, RegistryError> {
  const post = Effect.tap(
    Retry.once(client.post(Request.path(repository, "blobs/uploads/"), { urlParams })),
    ResponseBody.discard
  )
  const response = yield* post
  // Some registries forget it now and then.
  return response.headers["location"] === undefined ? yield* post : response
})

const sessionOf = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<Session, RegistryError> => {
  const least = Number(response.headers["oci-chunk-min-length"] ?? 0)
  const chunk = Math.max(chunkSize, Number.isSafeInteger(least) ? least : 0)
  return Effect.map(location(response), (url) => ({ url, offset: 0, chunkSize: chunk }))
}

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

/** The session's URL after a request to it: registries may leave it out where it stays the same. */
const moved = (response: HttpClientResponse.HttpClientResponse, before: string) =>
  response.headers["location"] === undefined ? Effect.succeed(before) : location(response)

/** How much of it the registry has; nothing where the session is gone, or it cannot say. */
const status = (client: Client, session: Session): Effect.Effect<Session | undefined, RegistryError> =>
  Retry.once(client.get(session.url)).pipe(
    Effect.tap(ResponseBody.discard),
    Effect.flatMap((response) =>
      Effect.map(moved(response, session.url), (url) => {
        const last = /^(?:bytes[ =])?0-(\d{1,16})$/.exec(response.headers["range"] ?? "")
        // `0-0` is what registries say of one byte and, having no way to say it, of none.
        const offset = last === null || last[1] === "0" ? 0 : Number(last[1]) + 1
        return { ...session, url, offset }
      })
    ),
    Effect.catchIf(
      (error) => ["NotFound", "Rejected", "Unsupported", "Denied"].includes(error.reason._tag),
      () => Effect.undefined
    )
  )

const withDigest = (session: string, digest: Digest.Digest): string =>
  `${session}${session.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`

/**
 * A body that fails with an error of its own: the client only reports that it failed, so the error is kept aside. It runs
 * by the policy of whoever gave it: that of the request around it is none of its business.
 */
const tapped = Effect.fnUntraced(function*<E, R>(body: Stream.Stream<Uint8Array, E, R>) {
  const context = Context.add(yield* Effect.context<R>(), RetryPolicy.RetryPolicy, yield* RetryPolicy.RetryPolicy)
  const failed: { error: E | undefined } = { error: undefined }
  const stream = body.pipe(
    Stream.tapError((error) => Effect.sync(() => void (failed.error = error))),
    Stream.provideContext(context)
  )
  const reveal = <A>(self: Effect.Effect<A, RegistryError>): Effect.Effect<A, E | RegistryError> =>
    Effect.mapError(self, (error) => failed.error ?? error)
  return { stream, reveal }
})

const range = (start: number, length: number) => ({ "content-range": `${start}-${start + length - 1}` })

/** Sends what is left of a blob and closes the session with its digest. */
const complete = Effect.fnUntraced(function*<E, R>(
  client: Client,
  session: Session,
  descriptor: Descriptor.Descriptor,
  body: Stream.Stream<Uint8Array, E, R>
): Effect.fn.Return<void, E | RegistryError, R> {
  const { reveal, stream } = yield* tapped(body)
  const { offset } = session
  const left = descriptor.size - offset
  const response = yield* orLost(reveal(Retry.body(client.put(withDigest(session.url, descriptor.digest), {
    ...(offset === 0 || left === 0 ? {} : { headers: range(offset, left) }),
    body: left === 0
      ? HttpBody.uint8Array(new Uint8Array(0), octets)
      : HttpBody.stream(stream, octets, left)
  }))))
  yield* ResponseBody.discard(response)
})

const octets = "application/octet-stream"

/** Sends all that is left in one request, as Docker does; from the start, it says of no range. */
const sendRest = Effect.fnUntraced(function*<E, R>(
  client: Client,
  session: Session,
  descriptor: Descriptor.Descriptor,
  body: Stream.Stream<Uint8Array, E, R>
): Effect.fn.Return<void, E | RegistryError, R> {
  const { reveal, stream } = yield* tapped(body)
  const left = descriptor.size - session.offset
  if (left === 0) return
  yield* reveal(patch(client, session, left, {
    ...(session.offset === 0 ? {} : { headers: range(session.offset, left) }),
    body: HttpBody.stream(stream, octets, left)
  }))
})

/** Sends a stream in chunks. */
const sendChunks = <E, R>(
  client: Client,
  session: Session,
  body: Stream.Stream<Uint8Array, E, R>,
  told: (offset: number) => void
): Effect.Effect<void, E | RegistryError, R> =>
  Stream.runForEach(
    chunked(body, session.chunkSize),
    (chunk) => Effect.tap(sendChunk(client, session, chunk), () => Effect.sync(() => told(session.offset)))
  )

const sendChunk = (client: Client, session: Session, chunk: Uint8Array): Effect.Effect<void, RegistryError> =>
  patch(client, session, chunk.length, {
    headers: range(session.offset, chunk.length),
    body: HttpBody.uint8Array(chunk, octets)
  })

/** Adds to a session, and moves it on. */
const patch = Effect.fnUntraced(function*(
  client: Client,
  session: Session,
  length: number,
  request: { readonly headers?: Record<string, string>; readonly body: HttpBody.HttpBody }
): Effect.fn.Return<void, RegistryError> {
  const response = yield* orLost(Retry.body(client.patch(session.url, request)))
  yield* ResponseBody.discard(response)
  session.offset += length
  session.url = yield* moved(response, session.url)
})

/** Tells the registry to forget a session that was not completed. */
const cancel = (client: Client, session: Session): Effect.Effect<void> =>
  Retry.once(client.del(session.url)).pipe(
    Effect.flatMap(ResponseBody.discard),
    Effect.timeout("2 seconds"),
    Effect.ignore
  )

/**
 * Sends a blob whose digest is known only at its end: POST, a PATCH for each chunk, and PUT with the digest.
 *
 * **Details**
 *
 * Holds one chunk of `chunkSize` in memory, and sends what is missing of it again when a connection breaks. The stream is
 * run once: a registry that loses the session ends the push.
 *
 * @category writing
 * @since 1.0.0
 */
export const pushStream = Effect.fn("Uploads.pushStream")(function*<E, R>(
  repository: Repository.Repository,
  body: Stream.Stream<Uint8Array, E, R>
): Effect.fn.Return<Sent, E | RegistryError, R | Transport> {
  const client = yield* Request.client(repository, "push")
  const session = yield* Retry.operation(Effect.flatMap(start(client, repository, {}), sessionOf))
  const hasher = (yield* Hasher.Hashing)("sha256")
  let size = 0

  const resumed = <A>(self: (done: number) => Effect.Effect<A, RegistryError>, length: number) => {
    let attempts = 0
    const attempt = Effect.gen(function*() {
      if (attempts++ > 0) {
        const now = yield* status(client, session)
        if (now === undefined || now.offset < size || now.offset > size + length) return yield* gone
        Object.assign(session, now)
      }
      return yield* self(session.offset - size)
    })
    return Retry.operation(attempt, () => session.offset)
  }
  const gone = Effect.suspend(() =>
    new RegistryError({
      method: "GET",
      url: Redact.url(session.url),
      reason: new ProtocolViolation({ detail: "the upload session was lost, and the stream cannot be read again" })
    })
  )

  const send = (chunk: Uint8Array) =>
    Effect.suspend(() => {
      hasher.update(chunk)
      return Effect.map(
        resumed(
          (done) => done === chunk.length ? Effect.void : sendChunk(client, session, chunk.subarray(done)),
          chunk.length
        ),
        () => void (size += chunk.length)
      )
    })

  return yield* Effect.gen(function*() {
    yield* Stream.runForEach(chunked(body, session.chunkSize), send)
    const descriptor = { mediaType: octets, digest: hasher.digest(), size }
    let attempts = 0
    const close = Effect.suspend(() =>
      attempts++ === 0 ? Effect.succeed(false) : Retry.once(Blobs.exists(repository, descriptor.digest))
    ).pipe(
      Effect.flatMap((isThere) => isThere ? Effect.void : complete(client, session, descriptor, Stream.empty))
    )
    yield* Retry.operation(close)
    return { digest: descriptor.digest, size }
  }).pipe(Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : cancel(client, session)))
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
