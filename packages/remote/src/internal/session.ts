/**
 * Upload sessions: opened, filled in one go or in chunks, asked how far they are, closed with a digest, or cancelled.
 */
import * as Digest from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import { isRegistryError, RegistryError, SessionLost } from "@effect-oci/transport/RegistryError"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Pieces from "./pieces.ts"
import * as Request from "./request.ts"
import * as Retry from "./retry.ts"
import * as Steady from "./steady.ts"

type Client = HttpClient.HttpClient.With<RegistryError>

/** A session as the registry has last told of it. */
export interface Session {
  url: string
  /** How many bytes it has. */
  offset: number
  /** What the registry wants a chunk to have at least, in bytes. */
  readonly least: number
  readonly chunkSize: number
}

const codes = (error: RegistryError): ReadonlyArray<string> =>
  "diagnostics" in error.reason ? error.reason.diagnostics.map(({ code }) => code) : []

export const isWrongDigest = (error: RegistryError): boolean =>
  error.reason._tag === "Rejected" && codes(error).includes("DIGEST_INVALID")

/** What a registry answers where it does not know a session, or not in this state. */
const isLost = (error: RegistryError): boolean =>
  error.reason._tag === "NotFound" ||
  (error.reason._tag === "Rejected" &&
    (error.status === 416 || codes(error).some((code) => code.startsWith("BLOB_UPLOAD_"))))

export const lost = (error: RegistryError): RegistryError =>
  "diagnostics" in error.reason
    ? new RegistryError({
      method: error.method,
      url: error.url,
      reason: new SessionLost({ status: error.reason.status, diagnostics: error.reason.diagnostics })
    })
    : error

const orLost = <A, E, R>(self: Effect.Effect<A, E | RegistryError, R>): Effect.Effect<A, E | RegistryError, R> =>
  Effect.mapError(self, (error) => isRegistryError(error) && isLost(error) ? lost(error) : error)

/** What a registry is told of a digest that is not of the usual algorithm. */
export const algorithmOf = (digest: Digest.Digest): Record<string, string> =>
  Digest.algorithm(digest) === "sha256" ? {} : { "digest-algorithm": Digest.algorithm(digest) }

/**
 * A request that may open a session, which whoever asked for it gets hold of before anything can interrupt him. Interrupted
 * before there is a reply, it waits for that a little longer: nobody else can tell the registry to forget the session that it
 * has just named.
 */
export const opening = <E, R>(
  client: Client,
  post: Effect.Effect<HttpClientResponse.HttpClientResponse, E | RegistryError, R>,
  chunkSize: number,
  keep: (session: Session) => void
): Effect.Effect<HttpClientResponse.HttpClientResponse, E | RegistryError, R> => {
  const opened = (response: HttpClientResponse.HttpClientResponse) =>
    response.status === 202 && response.headers["location"] !== undefined
      ? Effect.asSome(sessionOf(response, chunkSize))
      : Effect.succeedNone
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(restore(post)), (fiber) =>
      restore(Fiber.join(fiber)).pipe(
        Effect.onInterrupt(() =>
          Fiber.join(fiber).pipe(
            Effect.timeout("500 millis"),
            Effect.flatMap(opened),
            Effect.flatMap(Option.match({ onNone: () => Effect.void, onSome: (session) => cancel(client, session) })),
            Effect.ignore,
            Effect.ensuring(Fiber.interrupt(fiber))
          )
        ),
        Effect.tap((response) => Effect.map(opened(response), Option.map(keep)))
      ))
  )
}

/** Asks for a session. */
export const start = Effect.fnUntraced(function*(
  client: Client,
  repository: Repository.Repository,
  urlParams: Record<string, string>,
  chunkSize: number,
  keep: (session: Session) => void
): Effect.fn.Return<HttpClientResponse.HttpClientResponse, RegistryError> {
  const request = Effect.tap(
    Retry.once(client.post(Request.path(repository, "blobs/uploads/"), { urlParams })),
    ResponseBody.discard
  )
  let isKept = false
  const post = opening(client, request, chunkSize, (session) => {
    isKept = true
    keep(session)
  })
  const response = yield* post
  // Some registries forget it now and then.
  const told = response.headers["location"] === undefined ? yield* post : response
  if (told.status !== 201 && !isKept) yield* location(told)
  return told
})

export const sessionOf = (
  response: HttpClientResponse.HttpClientResponse,
  chunkSize: number
): Effect.Effect<Session, RegistryError> => {
  const told = Number(response.headers["oci-chunk-min-length"] ?? 0)
  const least = Number.isSafeInteger(told) ? told : 0
  if (least > most) return Effect.fail(Request.violation(response, `the registry wants chunks of ${least} bytes`))
  return Effect.map(location(response), (url) => ({ url, offset: 0, least, chunkSize: Math.max(chunkSize, least) }))
}

/** The session's URL as it was given: relative to the request or absolute, its query untouched. */
const location = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<string, RegistryError> => {
  const header = response.headers["location"]
  const url = header === undefined ? null : URL.parse(header, response.request.url)
  if (url === null) return Effect.fail(Request.violation(response, "the reply names no upload session"))
  if (url.protocol !== "https:" && response.request.url.startsWith("https:")) {
    return Effect.fail(Request.violation(response, "the upload session is not reached by https"))
  }
  // What is behind a fragment, as the digest would be, is not sent.
  url.hash = ""
  return Effect.succeed(url.href)
}

/** The session's URL after a request to it: registries may leave it out where it stays the same. */
const moved = (response: HttpClientResponse.HttpClientResponse, before: string) =>
  response.headers["location"] === undefined ? Effect.succeed(before) : location(response)

/** How much of it the registry has; nothing where the session is gone, or it cannot say. */
export const status = (client: Client, session: Session): Effect.Effect<Session | undefined, RegistryError> =>
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

export const withDigest = (session: string, digest: Digest.Digest): string =>
  `${session}${session.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`

/**
 * A body that fails with an error of its own: the client only reports that it failed, so the error is kept aside. It runs
 * by the policy of whoever gave it: that of the request around it is none of its business.
 */
export const tapped = Effect.fnUntraced(function*<E, R>(body: Stream.Stream<Uint8Array, E, R>) {
  const context = Context.add(yield* Effect.context<R>(), RetryPolicy.RetryPolicy, yield* RetryPolicy.RetryPolicy)
  const failed: { error: E | undefined } = { error: undefined }
  const stream = body.pipe(
    Stream.tapError((error) => Effect.sync(() => void (failed.error = error))),
    Steady.changed((_: Context.Context<never>) => context)
  )
  const reveal = <A>(self: Effect.Effect<A, RegistryError>): Effect.Effect<A, E | RegistryError> =>
    Effect.mapError(self, (error) => failed.error ?? error)
  return { stream, reveal }
})

/** What is sent, at hand or still to be read: of a length that is told before it begins. */
export type Payload<E, R> = Stream.Stream<Uint8Array, E, R> | Uint8Array

const asStream = <E, R>(self: Payload<E, R>): Stream.Stream<Uint8Array, E, R> =>
  self instanceof Uint8Array ? Stream.succeed(self) : self

/** The body of a request; what is at hand is sent without a stream, if it is as long as it has to be. */
export const payload = Effect.fnUntraced(function*<E, R>(self: Payload<E, R>, length: number) {
  const none = length === 0 ? new Uint8Array(0) : undefined
  const bytes = none ?? (self instanceof Uint8Array && self.length === length ? self : undefined)
  if (bytes !== undefined) {
    const reveal = <A>(self: Effect.Effect<A, RegistryError>): Effect.Effect<A, E | RegistryError> => self
    return { reveal, payload: HttpBody.uint8Array(bytes, octets) }
  }
  const { reveal, stream } = yield* tapped(asStream(self))
  return { reveal, payload: HttpBody.stream(stream, octets, length) }
})

const range = (start: number, length: number) => ({ "content-range": `${start}-${start + length - 1}` })

/** How fast a registry goes over a blob at least, in bytes a millisecond. */
const slowest = 10 * 1024

/** A registry may read all of an upload again, or copy it to where it belongs, before it says anything. */
const closing = ({ size }: Descriptor.Descriptor, self: ReturnType<Client["put"]>): ReturnType<Client["put"]> =>
  Effect.updateService(
    self,
    ResponseBody.IdleTimeout,
    (timeout) => Duration.sum(timeout, Duration.millis(Math.ceil(size / slowest)))
  )

/** Sends what is left of a blob and closes the session with its digest. */
export const complete = Effect.fnUntraced(function*<E, R>(
  client: Client,
  session: Session,
  descriptor: Descriptor.Descriptor,
  rest: Payload<E, R>
): Effect.fn.Return<void, E | RegistryError, R> {
  const { offset } = session
  const left = descriptor.size - offset
  const { payload: body, reveal } = yield* payload(rest, left)
  const put = client.put(withDigest(session.url, descriptor.digest), {
    ...(offset === 0 || left === 0 ? {} : { headers: range(offset, left) }),
    body
  })
  const response = yield* orLost(reveal(closing(descriptor, Retry.body(put))))
  yield* ResponseBody.discard(response)
  yield* Request.isWhatWasSent(response, descriptor.digest)
})

export const octets = "application/octet-stream"

/** The most that goes in one request, in bytes: what a registry forgets of one that breaks off is no more than this. */
export const most = 1024 * 1024 * 1024

/** Sends all that is left without holding any of it: in one request, as Docker does, what one may take. */
export const sendRest = <E, R>(
  client: Client,
  session: Session,
  descriptor: Descriptor.Descriptor,
  body: Payload<E, R>,
  told: (offset: number) => void,
  limit = most
): Effect.Effect<void, E | RegistryError, R> =>
  Effect.scopedWith(Effect.fnUntraced(function*(scope): Effect.fn.Return<void, E | RegistryError, R> {
    const { reveal, stream } = yield* tapped(asStream(body))
    // What goes in one request is run again where that leads elsewhere; of a part of it there is no second run.
    const next = descriptor.size - session.offset <= limit
      ? () => stream
      : Pieces.taker(yield* Scope.provide(Stream.toPull(stream), scope))
    while (session.offset < descriptor.size) {
      const length = Math.min(descriptor.size - session.offset, limit)
      yield* reveal(patch(client, session, length, {
        ...(length === descriptor.size ? {} : { headers: range(session.offset, length) }),
        body: HttpBody.stream(next(length), octets, length)
      }))
      told(session.offset)
    }
  }))

/** Sends a stream in chunks, and gives the last one, if it is a short one, for the request that closes the session. */
export const sendChunks = <E, R>(
  client: Client,
  session: Session,
  body: Payload<E, R>,
  told: (offset: number) => void
): Effect.Effect<Stream.Stream<Uint8Array>, E | RegistryError, R> =>
  Effect.suspend(() => {
    let last: Stream.Stream<Uint8Array> = Stream.empty
    const send = Effect.fnUntraced(function*(chunk: Uint8Array) {
      // A registry that wants chunks of some length cannot know that no more will come.
      if (chunk.length < session.chunkSize) return void (last = Stream.succeed(chunk))
      yield* sendChunk(client, session, chunk)
      told(session.offset)
    })
    return Effect.map(Stream.runForEach(Pieces.chunked(asStream(body), session.chunkSize), send), () => last)
  })

export const sendChunk = (client: Client, session: Session, chunk: Uint8Array): Effect.Effect<void, RegistryError> =>
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

/**
 * Tells the registry to forget a session that was not completed. One whose request was cut off may be in another state than was
 * last told: then the registry is asked for that, and told again.
 */
export const cancel = (client: Client, session: Session): Effect.Effect<void> => {
  const told = (url: string) => Effect.flatMap(Retry.once(client.del(url)), ResponseBody.discard)
  const again = Effect.flatMap(status(client, session), (now) => now === undefined ? Effect.void : told(now.url))
  return told(session.url).pipe(
    Effect.catchIf(({ status }) => status !== undefined && status < 500, () => again),
    Effect.timeout("2 seconds"),
    Effect.ignore
  )
}
