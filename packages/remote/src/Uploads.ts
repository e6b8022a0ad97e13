/**
 * Blobs on their way into a repository.
 *
 * OCI distribution specification 1.1, "Pushing blobs", "Mounting a blob from another repository", "Cancel a blob upload".
 *
 * @since 1.0.0
 */
import * as Hasher from "@effect-oci/content/Hasher"
import { type Body, type Outcome, type Sent, smallLimit } from "@effect-oci/content/Store"
import type * as Repository from "@effect-oci/name/Repository"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Redact from "@effect-oci/transport/Redact"
import { isRegistryError, ProtocolViolation, RegistryError } from "@effect-oci/transport/RegistryError"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as Blobs from "./Blobs.ts"
import * as Known from "./internal/known.ts"
import * as Mount from "./internal/mount.ts"
import * as Pieces from "./internal/pieces.ts"
import * as Pushing from "./internal/pushing.ts"
import * as Request from "./internal/request.ts"
import * as Retry from "./internal/retry.ts"
import * as Session from "./internal/session.ts"

/**
 * Options for `push`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * Repositories that have the blob. Those at the same registry are named to it, one after the other and three at most, so
   * that it can link the blob instead of having it sent.
   */
  readonly mountFrom?: ReadonlyArray<Repository.Repository> | undefined
  /**
   * Sends in chunks of this many bytes what is larger, and holds one of them in memory: for proxies that take no larger
   * requests. Unless told, a blob is sent in one go, and in chunks only where that fails.
   */
  readonly chunkSize?: number | undefined
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

/**
 * Sends a blob of a known digest: POST, then PUT with the body; for one above `monolithicLimit` PATCH with the body, then PUT.
 * A small one goes in a single POST where the registry is known to take it, which the first tiny one finds out. A tiny one is
 * read while its session is opened.
 *
 * **Details**
 *
 * Does not ask first whether the repository has it. When a connection breaks, the registry is asked whether it has the
 * blob all the same, then how much of it arrived, and the upload goes on from there; where it kept nothing the blob is sent
 * anew, in chunks that are a quarter as large each time that none gets there, as they also are where a request is too large
 * (413). The registry compares the digest; bytes that were not the right ones after a resume
 * are sent once more. The session is cancelled when the push fails or is interrupted. The body is run once for each time
 * that something is sent, and that of a tiny blob once.
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
  const client = yield* Request.client(repository, "push")
  const known = yield* Known.of(repository)
  const chosen = options?.chunkSize ?? known.chunkSize
  const pushing: Pushing.Pushing<E, R> = {
    repository,
    descriptor,
    body,
    // It is also the largest that a registry is tried with, whether it takes one in a single POST.
    small: descriptor.size <= smallLimit ? body.whole ?? Pushing.reading(body, descriptor.size) : undefined,
    client,
    known,
    chunkSize: chosen ?? chunkSize,
    monolithicLimit,
    candidates: Mount.candidates(repository, options?.mountFrom ?? []),
    keep: (session) => void (pushing.session = session),
    session: undefined,
    attempts: 0,
    isChunked: chosen !== undefined && descriptor.size > chosen,
    began: 0,
    isDoubted: false,
    last: undefined,
    furthest: 0,
    isTooLarge: false,
    isAsking: false,
    isRefused: false
  }
  return yield* Retry.operation(Pushing.attempt(pushing), () => pushing.furthest).pipe(
    Effect.onExit((exit) => {
      if (pushing.isAsking) known.isPostTried = false
      return Exit.isSuccess(exit) || pushing.session === undefined
        ? Effect.void
        : Session.cancel(client, pushing.session)
    })
  )
})

/**
 * Options for `pushStream`.
 *
 * @category options
 * @since 1.0.0
 */
export interface StreamOptions {
  /**
   * How much is held in memory and sent at once, in bytes, unless the registry wants more.
   *
   * @default 8388608
   */
  readonly chunkSize?: number | undefined
  /**
   * Whether the stream can be run again, and gives the same bytes then: it is, up to three times, where the registry has lost
   * all that was sent of it.
   *
   * @default false
   */
  readonly isRepeatable?: boolean | undefined
}

/**
 * Sends a blob whose digest is known only at its end: POST, a PATCH for each chunk, and PUT with the digest.
 *
 * **Details**
 *
 * Holds one chunk of `chunkSize` in memory, and sends what is missing of it again when a connection breaks. The stream is
 * run once unless it `isRepeatable`: a registry that loses the session ends the push.
 *
 * @category writing
 * @since 1.0.0
 */
export const pushStream = Effect.fn("Uploads.pushStream")(function*<E, R>(
  repository: Repository.Repository,
  body: Stream.Stream<Uint8Array, E, R>,
  options?: StreamOptions | undefined
): Effect.fn.Return<Sent, E | RegistryError, R | Transport> {
  const known = yield* Known.of(repository)
  return yield* Effect.retry(streamed(repository, body, options?.chunkSize ?? known.chunkSize ?? chunkSize), {
    times: options?.isRepeatable === true ? 3 : 0,
    while: (error: E | RegistryError) =>
      isRegistryError(error) && (error.reason._tag === "SessionLost" || isGone(error))
  })
})

const gone = "the upload session was lost, and the stream was read by then"

const isGone = ({ reason }: RegistryError): boolean => reason._tag === "ProtocolViolation" && reason.detail === gone

const streamed = Effect.fnUntraced(function*<E, R>(
  repository: Repository.Repository,
  body: Stream.Stream<Uint8Array, E, R>,
  chunkSize: number
): Effect.fn.Return<Sent, E | RegistryError, R | Transport> {
  const client = yield* Request.client(repository, "push")
  let opened: Session.Session | undefined
  const session = yield* Retry.operation(
    Effect.flatMap(
      Session.start(client, repository, {}, chunkSize, (session) => void (opened = session)),
      (response) => Session.sessionOf(response, chunkSize)
    )
  ).pipe(Effect.onInterrupt(() => opened === undefined ? Effect.void : Session.cancel(client, opened)))
  const hasher = (yield* Hasher.Hashing)("sha256")
  let size = 0

  /** Sends bytes from `size` on, going on where they stopped. */
  const resumed = (
    bytes: Uint8Array,
    self: (rest: Uint8Array) => Effect.Effect<void, RegistryError>,
    isThere: Effect.Effect<boolean, RegistryError, Transport> = Effect.succeed(false)
  ) => {
    let attempts = 0
    const attempt = Effect.gen(function*() {
      if (attempts++ > 0) {
        if (yield* isThere) return
        const now = yield* Session.status(client, session)
        if (now === undefined || now.offset < size || now.offset > size + bytes.length) return yield* isLost
        Object.assign(session, now)
      }
      yield* self(bytes.subarray(session.offset - size))
    })
    return Retry.operation(attempt, () => session.offset)
  }
  const isLost = Effect.suspend(() =>
    new RegistryError({
      method: "GET",
      url: Redact.url(session.url),
      reason: new ProtocolViolation({ detail: gone })
    })
  )

  let last: Uint8Array = new Uint8Array(0)
  const send = Effect.fnUntraced(function*(chunk: Uint8Array) {
    hasher.update(chunk)
    // The last one goes with the request that closes the session.
    if (chunk.length < session.chunkSize) return void (last = chunk)
    yield* resumed(chunk, (rest) => rest.length === 0 ? Effect.void : Session.sendChunk(client, session, rest))
    size += chunk.length
  })

  return yield* Effect.gen(function*() {
    yield* Stream.runForEach(Pieces.chunked(body, session.chunkSize), send)
    const descriptor = { mediaType: Session.octets, digest: hasher.digest(), size: size + last.length }
    yield* resumed(
      last,
      (rest) => Session.complete(client, session, descriptor, rest),
      Request.asWriter(Retry.once(Blobs.exists(repository, descriptor.digest)))
    )
    return { digest: descriptor.digest, size: descriptor.size }
  }).pipe(Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Session.cancel(client, session)))
})
