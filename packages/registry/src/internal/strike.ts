/**
 * What a fault does to one request.
 */
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Record from "effect/Record"
import * as Stream from "effect/Stream"
import type { Action } from "../Fault.ts"
import * as Link from "../Link.ts"
import * as Body from "./bodies.ts"
import * as Incoming from "./body.ts"
import * as Reply from "./reply.ts"

type App<E, R> = Effect.Effect<Reply.Reply, E, HttpServerRequest.HttpServerRequest | R>

export const strike = <E, R, Disconnected extends Error>(
  app: App<E, R>,
  action: Action,
  request: HttpServerRequest.HttpServerRequest,
  disconnected: (how: "refused" | "reset" | "closed") => Disconnected
): App<E | Disconnected, R> => {
  const asked = (changed: HttpServerRequest.HttpServerRequest) =>
    Effect.provideService(app, HttpServerRequest.HttpServerRequest, changed)
  const replied = (change: (reply: Reply.Reply) => Reply.Reply) => Effect.map(app, change)
  switch (action._tag) {
    case "Status": {
      const reply = action.body === undefined
        ? Reply.failure(action.status, Reply.codeOf(action.status), "as ordered", action.headers)
        : HttpServerResponse.text(action.body, { status: action.status, headers: action.headers })
      return action.late
        ? Effect.as(Effect.ignore(Stream.runDrain(Incoming.stream(request))), reply)
        : Effect.succeed(reply)
    }
    case "Refuse":
      return Effect.fail(disconnected("refused"))
    case "Reset": {
      const cut = Effect.fail(disconnected("reset"))
      return action.after === 0 ? cut : Effect.andThen(
        action.after === "reply" ? app : asked(Body.cutRequest(request, action.after, Stream.fail("cut"))),
        cut
      )
    }
    case "Latency":
      return Effect.delay(app, action.duration)
    case "Bandwidth":
      return Effect.flatMap(Link.guard(app, { bandwidth: action.bytesPerSecond }), (slow) => slow)
    case "Stall": {
      const { after } = action
      return after === undefined ? Effect.never : replied((reply) => Body.stall(reply, after))
    }
    case "StallUpload":
      // Whatever the registry says of it in the end.
      return Effect.andThen(asked(Body.cutRequest(request, action.after, Stream.never)), Effect.never)
    case "Truncate":
      return replied((reply) =>
        action.end === "clean"
          ? Body.endEarly(reply, action.after)
          : Body.truncate(reply, action.after, disconnected(action.end === "reset" ? "reset" : "closed"))
      )
    case "Corrupt":
      return replied((reply) => Body.corrupt(reply, action.at))
    case "Trickle":
      return replied((reply) => Body.trickle(reply, action.after, action.bytesPerSecond))
    case "Overlong":
      return replied((reply) => Body.overlong(reply, action.by))
    case "Headers":
      return replied((reply) =>
        Body.withHeaders(
          reply,
          Record.map(
            action.headers,
            (said, name) => typeof said === "function" ? said(reply.headers[name], request) : said
          ),
          disconnected("closed")
        )
      )
    case "Forget":
      return asked(request.modify({ headers: Headers.removeMany(request.headers, action.headers) }))
    case "Expire":
      // To a registry, a token that it never gave is one that it knows no more.
      return asked(request.modify({ headers: Headers.set(request.headers, "authorization", "Bearer expired") }))
    case "Lose":
      // As its client might, with the rights that it has.
      return Effect.andThen(asked(Body.withoutBody(request, "DELETE")), app)
  }
}
