/**
 * The body of a request, whole or failed.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { Settings } from "../Settings.ts"
import { Lending } from "../Storage.ts"
import { Watching } from "../Traffic.ts"
import * as Reply from "./reply.ts"

/** A body that broke off or that has not the length it was said to have, or one that takes too long. */
export class Broken {
  readonly _tag = "Broken"
  readonly slow: boolean
  constructor(slow: boolean) {
    this.slow = slow
  }
}

type Chunks = Arr.NonEmptyReadonlyArray<Uint8Array>

const ended = new Broken(false)
const slow = new Broken(true)

/**
 * The bytes, each chunk valid until the next one is pulled.
 *
 * Not every way in counts what arrives, so it is counted here: half a manifest may still be JSON. Each piece is waited for,
 * and all of them together no longer than for the slowest client that is allowed. Only the time that is waited for the client
 * counts, none that the storage takes. As many bytes are to come as is `said`, by the body's own length or otherwise.
 */
export const stream = (
  request: HttpServerRequest.HttpServerRequest,
  said: number | undefined = lengthOf(request)
): Stream.Stream<Uint8Array, Broken> =>
  Stream.fromChannel(Channel.fromTransform((_, scope) =>
    Effect.flatMap(
      Effect.provideService(Channel.toPullScoped(Stream.toChannel(request.stream), scope), Lending, true),
      (pull) =>
        Effect.contextWith((context: Context.Context<never>) => Effect.succeed(counted(request, said, pull, context)))
    )
  ))

const counted = (
  request: HttpServerRequest.HttpServerRequest,
  said: number | undefined,
  pull: Pull.Pull<Chunks, unknown>,
  context: Context.Context<never>
): Pull.Pull<Chunks, Broken> => {
  const { minimumRate, patience } = Context.get(context, Settings)
  const clock = Context.get(context, Clock.Clock)
  const watch = Context.get(context, Watching)
  const length = lengthOf(request)
  const most = Duration.toMillis(Duration.fromInputUnsafe(patience))
  const patient = Effect.timeoutOrElse(pull, { duration: most, orElse: () => Effect.fail(slow) })
  let start = 0
  let waited = 0
  let size = 0

  const failed = (error: unknown): Pull.Pull<never, Broken> => {
    if (error === slow) return Effect.fail(slow)
    return Cause.isDone(error) && (said === undefined || size === said) ? Cause.done() : Effect.fail(ended)
  }
  const taken = (chunks: Chunks): Pull.Pull<Chunks, Broken> => {
    waited += clock.currentTimeMillisUnsafe() - start
    let more = 0
    for (const chunk of chunks) more += chunk.length
    size += more
    watch.receives(more)
    if (said !== undefined && size > said) return Effect.fail(ended)
    return waited > most && size < minimumRate * waited / 1000 ? Effect.fail(slow) : Effect.succeed(chunks)
  }
  const handlers = { onFailure: failed, onSuccess: taken }
  const waiting = Effect.matchEffect(patient, handlers)
  // Where all is there that there can be, nobody is waited for.
  const ending = Effect.matchEffect(pull, handlers)
  return Effect.suspend(() => {
    start = clock.currentTimeMillisUnsafe()
    return size === length ? ending : waiting
  })
}

/** How many bytes are said to come; nothing where that is not known before. */
export const lengthOf = ({ headers }: HttpServerRequest.HttpServerRequest): number | undefined => {
  const { "content-length": said, "transfer-encoding": coding } = headers
  return coding === undefined && said !== undefined ? Number(said) : undefined
}

/** Whether there is none. */
export const isNone = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  headers["content-length"] === "0" && headers["transfer-encoding"] === undefined

/** What is said of it, if there is still anybody who listens. */
export const reply = (broken: Broken, code: "BLOB_UPLOAD_INVALID" | "MANIFEST_INVALID"): Reply.Reply =>
  broken.slow
    ? Reply.failure(408, code, "the body took too long", { connection: "close" })
    : Reply.failure(400, code, "the body is not as long as it was said to be")
