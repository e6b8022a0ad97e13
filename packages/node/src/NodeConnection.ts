/**
 * The connection that a request came on, for those who have to cut it.
 *
 * @since 1.0.0
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"

type How = "reset" | "closed"

/** A request of the server of this package knows how it is cut, and is where the body of its answer fails. */
interface Cutting {
  readonly cut: (how: How) => void
}

const isCutting = (source: object): source is Cutting => "cut" in source && Predicate.isFunction(source.cut)

/**
 * How an error says that the connection is cut.
 *
 * @category getters
 * @since 1.0.0
 */
export const howOf = (error: unknown): How =>
  Predicate.hasProperty(error, "how") && error.how === "closed" ? "closed" : "reset"

const cut = (request: HttpServerRequest.HttpServerRequest, error: unknown) =>
  Effect.sync(() => {
    const how = howOf(error)
    if (isCutting(request.source)) return request.source.cut(how)
    const { socket } = NodeHttpServerRequest.toIncomingMessage(request)
    // There is no such thing as a reset of what is below TLS.
    if (how === "closed" || "encrypted" in socket) socket.destroy()
    else socket.resetAndDestroy()
  })

/**
 * Cuts the connection where an app fails, before it answers or in the body of its answer. A `Disconnected` of
 * `@effect-oci/registry/Fault` says how.
 *
 * @category cutting
 * @since 1.0.0
 */
export const breaking = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    Effect.matchEffect(app, {
      onFailure: (error) => Effect.andThen(cut(request, error), Effect.never),
      onSuccess: (response) =>
        Effect.succeed(
          response.body._tag !== "Stream" || isCutting(request.source)
            ? response
            : HttpServerResponse.stream(Stream.tapError(response.body.stream, (error) => cut(request, error)), {
              status: response.status,
              headers: response.headers,
              ...(response.body.contentLength === undefined ? {} : { contentLength: response.body.contentLength })
            })
        )
    }))
