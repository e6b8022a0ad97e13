/**
 * One push of a blob of known digest: how far it has come, and its next attempt.
 *
 * Its parts are functions of the module, none of which closes over a push: V8 keeps a generator function that was made for one
 * push, with all of it, until a major collection.
 */
import type { Body, Outcome } from "@effect-oci/content/Store"
import type * as Repository from "@effect-oci/name/Repository"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import { isRegistryError, type RegistryError } from "@effect-oci/transport/RegistryError"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpClient from "effect/http/HttpClient"
import * as Stream from "effect/Stream"
import * as Blobs from "../Blobs.ts"
import type * as Known from "./known.ts"
import * as Mount from "./mount.ts"
import * as Request from "./request.ts"
import * as Retry from "./retry.ts"
import * as Session from "./session.ts"

export interface Pushing<E, R> {
  readonly repository: Repository.Repository
  readonly descriptor: Descriptor.Descriptor
  readonly body: Body<E, R>
  /** All of a tiny body, read once. */
  readonly small: Effect.Effect<Uint8Array, E, R> | undefined
  readonly client: HttpClient.HttpClient.With<RegistryError>
  readonly known: Known.Known
  /** How much goes in one request where it goes in chunks, unless the registry wants larger ones. */
  chunkSize: number
  /** The largest that goes in one request with the digest. */
  readonly monolithicLimit: number
  /** Where it may still be mounted from. */
  readonly candidates: Array<Repository.Repository>
  readonly keep: (session: Session.Session | undefined) => void
  session: Session.Session | undefined
  attempts: number
  isChunked: boolean
  /** Where the last attempt began. */
  began: number
  isDoubted: boolean
  last: RegistryError | undefined
  /** The furthest that any session came: what the registry has lost again is no progress. */
  furthest: number
  /** Whether a request was refused for its length. */
  isTooLarge: boolean
  /** Whether it finds out if the registry takes a single POST, and whether that was refused. */
  isAsking: boolean
  isRefused: boolean
}

/** What a small body gives, read once for all attempts; more than was said is as wrong as the first byte too many. */
export const reading = <E, R>(body: Body<E, R>, size: number): Effect.Effect<Uint8Array, E, R> => {
  let held: Uint8Array | undefined
  return Effect.suspend(() => {
    if (held !== undefined) return Effect.succeed(held)
    const all = new Uint8Array(size + 1)
    let at = 0
    return body(0).pipe(
      Stream.takeWhile(() => at <= size),
      Stream.runForEachArray((chunks) =>
        Effect.sync(() => {
          for (const chunk of chunks) {
            const part = chunk.subarray(0, all.length - at)
            all.set(part, at)
            at += part.length
          }
        })
      ),
      Effect.map(() => held = all.subarray(0, at))
    )
  })
}

const from = <E, R>({ body, small }: Pushing<E, R>, offset: number) =>
  small === undefined ? Effect.succeed(body(offset)) : Effect.map(small, (bytes) => bytes.subarray(offset))

/** The smallest chunk that is tried, in bytes. */
const leastChunk = 256 * 1024

/** Whether a request may have ended because it was under way for too long: with 408, 504 or without a reply. */
const isCut = (error: RegistryError | undefined): boolean =>
  error?.reason._tag === "Unreachable" || error?.status === 408 || error?.status === 504

/** Goes on with a quarter of what no request could carry to its end, if that is not too little; what has got there once is kept. */
const shorten = <E, R>(push: Pushing<E, R>, { chunkSize, offset }: Session.Session): boolean => {
  if (push.isChunked && offset > push.began) return false
  const left = push.descriptor.size - offset
  const tried = Math.min(left, push.isChunked ? chunkSize : Session.most)
  const shorter = Math.min(push.chunkSize, Math.max(Math.ceil(tried / 4), leastChunk))
  if (shorter >= tried) return false
  push.chunkSize = shorter
  return push.isChunked = true
}

/** What the registry has of it after a failure; it goes in chunks where nothing was kept of what was cut off. */
const resume = Effect.fnUntraced(function*<E, R>(
  push: Pushing<E, R>,
  before: Session.Session
): Effect.fn.Return<Session.Session | undefined, RegistryError> {
  const now = yield* Session.status(push.client, before)
  const hasKept = now !== undefined && now.offset > before.offset
  if (!hasKept && isCut(push.last)) shorten(push, before)
  if (now === undefined || now.offset > push.descriptor.size) {
    // It may be there, and hold what was sent, though nobody can go on with it.
    yield* Session.cancel(push.client, before)
    return undefined
  }
  return { ...now, chunkSize: Math.max(push.chunkSize, now.least) }
})

/** One of the tiny ones finds out; the others do not wait for that. */
const mayPost = <E, R>(push: Pushing<E, R>): boolean => {
  const { descriptor, isChunked, known, monolithicLimit, small } = push
  if (isChunked) return false
  if (known.takesPost !== undefined) return known.takesPost && descriptor.size <= monolithicLimit
  if (known.isPostTried || small === undefined) return false
  known.isPostTried = true
  return push.isAsking = true
}

/** A refusal may be for any reason: whether it is the single request, the usual way will tell. */
const refusesPost = <E>(error: E | RegistryError): error is E & RegistryError =>
  isRegistryError(error) && !Session.isWrongDigest(error) &&
  ["Rejected", "Unsupported", "NotFound"].includes(error.reason._tag)

/** All in one request, if the registry may take it; where it does not, it answers with a session. */
const post = Effect.fnUntraced(function*<E, R>(
  push: Pushing<E, R>
): Effect.fn.Return<boolean, E | RegistryError, R> {
  if (!mayPost(push)) return false
  const { chunkSize, client, descriptor, keep, known, repository } = push
  const { payload, reveal } = yield* Session.payload(yield* from(push, 0), descriptor.size)
  const request = Retry.body(client.post(Request.path(repository, "blobs/uploads/"), {
    urlParams: { digest: descriptor.digest, ...Session.algorithmOf(descriptor.digest) },
    body: payload
  }))
  const response = yield* reveal(Session.opening(client, request, chunkSize, keep)).pipe(
    Effect.catchIf(refusesPost, () => Effect.undefined)
  )
  push.isRefused = response?.status !== 201
  if (response === undefined) return false
  yield* ResponseBody.discard(response)
  if (push.isRefused) return false
  known.takesPost = true
  yield* Request.isWhatWasSent(response, descriptor.digest)
  return true
})

const sent = Effect.fnUntraced(function*<E, R>(
  push: Pushing<E, R>
): Effect.fn.Return<Outcome, E | RegistryError, R | Transport> {
  const { candidates, client, descriptor, keep, repository, small } = push
  if (push.attempts++ > 0) {
    if (yield* Request.asWriter(Retry.once(Blobs.exists(repository, descriptor.digest)))) return "sent"
    if (push.session !== undefined) push.session = yield* resume(push, push.session)
  }
  if (push.session === undefined) {
    if (yield* Mount.first(repository, descriptor.digest, candidates, push.chunkSize, keep)) return "mounted"
    if (push.session === undefined && push.attempts === 1 && (yield* post(push))) return "sent"
  }
  if (push.session === undefined) {
    const start = Session.start(client, repository, Session.algorithmOf(descriptor.digest), push.chunkSize, keep)
    const response = small === undefined || Exit.isExit(small)
      ? yield* start
      : (yield* Effect.all([start, small], { concurrency: 2 }))[0]
    // Kept by `start` where that had been told of it.
    push.session ??= yield* Session.sessionOf(response, push.chunkSize)
  }
  const { session } = push
  const told = (offset: number) => push.furthest = Math.max(push.furthest, offset)
  told(push.began = session.offset)
  let rest: Session.Payload<E, R> = yield* from(push, session.offset)
  if (push.isChunked) rest = yield* Session.sendChunks(client, session, rest, told)
  else if (descriptor.size > push.monolithicLimit) yield* Session.sendRest(client, session, descriptor, rest, told)
  yield* Session.complete(client, session, descriptor, rest)
  // What it did not take in a POST, and has taken in the usual way: so it is with all.
  if (push.isRefused) push.known.takesPost = false
  if (push.isTooLarge) push.known.chunkSize = push.chunkSize
  return "sent"
})

/** Sends it, or what is missing of it, and notes why that failed. */
export const attempt = <E, R>(push: Pushing<E, R>): Effect.Effect<Outcome, E | RegistryError, R | Transport> =>
  Effect.mapError(Effect.suspend(() => sent(push)), (error) => {
    if (!isRegistryError(error)) return error
    push.last = error
    if (error.status === 413 && push.session !== undefined && shorten(push, push.session)) {
      push.isTooLarge = true
      return Session.lost(error)
    }
    if (push.isDoubted || !Session.isWrongDigest(error)) return error
    // Something changed on the way, or the parts of a resumed upload were not parts of one thing: once more, as a whole.
    push.isDoubted = true
    push.session = undefined
    return Session.lost(error)
  })
