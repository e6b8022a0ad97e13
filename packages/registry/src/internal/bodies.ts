/**
 * Bodies that something happens to on their way.
 */
import * as Effect from "effect/Effect"
import * as RequestHeaders from "effect/http/Headers"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import type { Reply } from "./reply.ts"

type Bytes = Stream.Stream<Uint8Array, unknown>

/** The first bytes of a body, then something else; perhaps another thing where there are not as many. */
const first = <E, E2>(
  bytes: Stream.Stream<Uint8Array, E>,
  count: number,
  then: Stream.Stream<Uint8Array, E2>,
  fewer: Stream.Stream<Uint8Array, E2> = then
): Stream.Stream<Uint8Array, E | E2> =>
  Stream.suspend(() => {
    let left = count
    return bytes.pipe(
      Stream.map((chunk) => {
        const taken = chunk.subarray(0, left)
        left -= taken.length
        return { taken, full: left === 0 }
      }),
      Stream.takeUntil(({ full }) => full),
      Stream.map(({ taken }) => taken),
      count === 0 ? Stream.take(0) : (self) => self,
      Stream.concat(Stream.suspend(() => left > 0 ? fewer : then))
    )
  })

type Headers = Readonly<Record<string, string | undefined>>

/** What is said of a body that is not there: some replies say nothing of a length, or that of another one. */
const emptyLength = ({ body, status }: Reply): Headers =>
  body._tag === "Empty" && status !== 204 && status !== 304 ? { "content-length": "0" } : {}

export const mapBody = (reply: Reply, change: (bytes: Bytes) => Bytes, changed: Headers = {}): Reply => {
  const { body } = reply
  const bytes: Bytes = body._tag === "Stream"
    ? body.stream
    : body._tag === "Uint8Array"
    ? Stream.succeed(body.body)
    : Stream.empty
  const { "content-length": length, ...headers } = { ...emptyLength(reply), ...reply.headers, ...changed }
  const kept = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return HttpServerResponse.stream(change(bytes), {
    status: reply.status,
    headers: Object.fromEntries(kept),
    ...(length === undefined ? {} : { contentLength: Number(length) })
  })
}

const unknownLength = { "content-length": undefined }

export const stall = (reply: Reply, after: number): Reply =>
  mapBody(reply, (bytes) => first(bytes, after, Stream.never))

export const truncate = (reply: Reply, after: number, cut: Error): Reply =>
  mapBody(reply, (bytes) => first(bytes, after, Stream.fail(cut)))

export const endEarly = (reply: Reply, after: number): Reply =>
  mapBody(reply, (bytes) => first(bytes, after, Stream.empty), unknownLength)

export const corrupt = (reply: Reply, at: number): Reply =>
  mapBody(reply, (bytes) =>
    Stream.suspend(() => {
      let left = at
      return Stream.map(bytes, (chunk) => {
        const position = left
        left -= chunk.length
        if (position < 0 || position >= chunk.length) return chunk
        // `slice` of a Node buffer would change what is stored.
        const changed = new Uint8Array(chunk)
        changed[position]! ^= 1
        return changed
      })
    }))

export const trickle = (reply: Reply, after: number, bytesPerSecond: number): Reply =>
  mapBody(reply, (bytes) =>
    Stream.suspend(() => {
      let left = after
      return Stream.flatMap(bytes, (chunk) => {
        const fast = chunk.subarray(0, left)
        left -= fast.length
        const slow = Stream.fromIterable(chunk.subarray(fast.length)).pipe(
          Stream.rechunk(1),
          Stream.tap(() => Effect.sleep(1000 / bytesPerSecond)),
          Stream.map((byte) => Uint8Array.of(byte))
        )
        return fast.length === 0 ? slow : Stream.concat(Stream.succeed(fast), slow)
      })
    }))

export const overlong = (reply: Reply, by: number): Reply =>
  mapBody(reply, (bytes) => Stream.concat(bytes, Stream.succeed(new Uint8Array(by))), unknownLength)

/** With the body that a wire shows of it: no more than the length that is said, and cut off where there is less. */
export const withHeaders = (reply: Reply, headers: Headers, cut: Error): Reply => {
  const length = headers["content-length"]
  return mapBody(
    reply,
    (bytes) =>
      length === undefined ? bytes : first<unknown, Error>(bytes, Number(length), Stream.empty, Stream.fail(cut)),
    headers
  )
}

// All of the request but its body: there is no way to give one another, and each server has its own kind.
export const withStream = (
  request: HttpServerRequest.HttpServerRequest,
  stream: Stream.Stream<Uint8Array, unknown>
): HttpServerRequest.HttpServerRequest => Object.defineProperty(request.modify({}), "stream", { value: stream })

export const cutRequest = (
  request: HttpServerRequest.HttpServerRequest,
  after: number,
  then: Stream.Stream<never, unknown>
): HttpServerRequest.HttpServerRequest => {
  return withStream(request, first<unknown, unknown>(request.stream, after, then))
}

const ofBody = ["content-length", "content-range", "content-type", "transfer-encoding"]

/** A request for the same that brings nothing. */
export const withoutBody = (
  request: HttpServerRequest.HttpServerRequest,
  method: string
): HttpServerRequest.HttpServerRequest =>
  Object.defineProperties(request.modify({ headers: RequestHeaders.removeMany(request.headers, ofBody) }), {
    method: { value: method },
    stream: { value: Stream.empty }
  })
