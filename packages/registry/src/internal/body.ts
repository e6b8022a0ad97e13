/**
 * The body of a request, whole or failed.
 */
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Stream from "effect/Stream"

/** A body that broke off, or that has not the length it was said to have. */
export class Broken {
  readonly _tag = "Broken"
}

/** Not every way in counts what arrives, so it is counted here: half a manifest may still be JSON. */
export const stream = (request: HttpServerRequest.HttpServerRequest): Stream.Stream<Uint8Array, Broken> =>
  Stream.suspend(() => {
    const bytes = Stream.mapError(request.stream, () => new Broken())
    const header = request.headers["content-length"]
    if (header === undefined || request.headers["transfer-encoding"] !== undefined) return bytes
    const length = Number(header)
    let size = 0
    return bytes.pipe(
      Stream.mapArrayEffect((chunks) => {
        for (const chunk of chunks) size += chunk.length
        return size > length ? Effect.fail(new Broken()) : Effect.succeed(chunks)
      }),
      Stream.concat(Stream.suspend(() => size === length ? Stream.empty : Stream.fail(new Broken())))
    )
  })
