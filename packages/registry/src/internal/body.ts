/**
 * The body of a request, whole or failed.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Stream from "effect/Stream"
import { Settings } from "../Settings.ts"
import { Lending } from "../Storage.ts"
import * as Reply from "./reply.ts"

/** A body that broke off or that has not the length it was said to have, or one that takes too long. */
export class Broken {
  readonly _tag = "Broken"
  readonly slow: boolean
  constructor(slow: boolean) {
    this.slow = slow
  }
}

const ended = new Broken(false)
const slow = new Broken(true)

/**
 * Waits for each piece, and for all of them together no longer than the slowest client that is allowed. Only the time that is
 * waited for the client counts, none that the storage takes.
 */
const paced = (bytes: Stream.Stream<Uint8Array, Broken>): Stream.Stream<Uint8Array, Broken> =>
  Stream.transformPull(bytes, (pull) =>
    Effect.map(Settings, ({ minimumRate, patience }) => {
      const most = Duration.toMillis(Duration.fromInputUnsafe(patience))
      const patient = Effect.timeoutOrElse(pull, { duration: most, orElse: () => Effect.fail(slow) })
      let waited = 0
      let size = 0
      return Effect.gen(function*() {
        const start = yield* Clock.currentTimeMillis
        const chunks = yield* patient
        waited += (yield* Clock.currentTimeMillis) - start
        for (const chunk of chunks) size += chunk.length
        return waited > most && size < minimumRate * waited / 1000 ? yield* Effect.fail(slow) : chunks
      })
    }))

/**
 * The bytes, each chunk valid until the next one is pulled. Not every way in counts what arrives, so it is counted here: half a manifest may
 * still be JSON.
 */
export const stream = (request: HttpServerRequest.HttpServerRequest): Stream.Stream<Uint8Array, Broken> =>
  Stream.suspend(() => {
    const bytes = paced(Stream.mapError(Stream.provideService(request.stream, Lending, true), () => ended))
    const header = request.headers["content-length"]
    if (header === undefined || request.headers["transfer-encoding"] !== undefined) return bytes
    const length = Number(header)
    let size = 0
    return bytes.pipe(
      Stream.mapArrayEffect((chunks) => {
        for (const chunk of chunks) size += chunk.length
        return size > length ? Effect.fail(ended) : Effect.succeed(chunks)
      }),
      Stream.concat(Stream.suspend(() => size === length ? Stream.empty : Stream.fail(ended)))
    )
  })

/** Whether there is none. */
export const isNone = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  headers["content-length"] === "0" && headers["transfer-encoding"] === undefined

/** What is said of it, if there is still anybody who listens. */
export const reply = (broken: Broken, code: "BLOB_UPLOAD_INVALID" | "MANIFEST_INVALID"): Reply.Reply =>
  broken.slow
    ? Reply.failure(408, code, "the body took too long", { connection: "close" })
    : Reply.failure(400, code, "the body ended early")
