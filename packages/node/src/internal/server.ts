/**
 * An `HttpServer` for HTTP/1.1 over `node:net` and `node:tls`, whose requests are read as replies are by the client's lane:
 * into one buffer a connection, again and again. It serves what a registry answers: no upgrades, no cookies, no forms.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServer from "effect/http/HttpServer"
import { ClientAbort, ServeError } from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import * as net from "node:net"
import * as tls from "node:tls"
import type { Pair } from "../SelfSigned.ts"
import * as Answer from "./answer.ts"
import { Request } from "./request.ts"
import * as Served from "./served.ts"

export interface Options {
  readonly host: string
  readonly port: number
  readonly tls: Pair | undefined
  /** How many connections there are at a time; further ones are closed. */
  readonly connections: number
  /** In milliseconds: how long a head may take, and anything of an answer to whoever says no more. */
  readonly headTimeout?: number | undefined
  /** In milliseconds: how long a connection is kept for the next request. Clients find theirs closed where it is short. */
  readonly keepAlive?: number | undefined
}

/** What all large buffers may have together; connections beyond do with small ones. */
const room = 32 * 1024 * 1024
/** Whoever reads nothing of what was sent for so long is gone. */
const timeout = 5 * 60_000
/** How long requests have to finish when the server stops. */
const patience = 2000

const listen = (server: net.Server, { host, port }: Options) =>
  Effect.callback<net.AddressInfo, ServeError>((resume) => {
    const failed = (cause: Error) => resume(Effect.fail(new ServeError({ cause })))
    server.once("error", failed)
    server.listen({ host, port }, () => {
      server.off("error", failed)
      server.on("error", () => {})
      resume(Effect.succeed(server.address() as net.AddressInfo))
    })
  })

const opened = (pair: Pair | undefined, handshakeTimeout: number): Effect.Effect<net.Server, ServeError> =>
  Effect.try({
    try: () =>
      pair === undefined
        ? net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000, pauseOnConnect: true })
        : tls.createServer({ ...pair, ALPNProtocols: ["http/1.1"], handshakeTimeout, noDelay: true }),
    catch: (cause) => {
      const why = cause instanceof Error ? cause.message : String(cause)
      return new ServeError({
        cause: new Error(`the certificate for TLS or its key cannot be used: ${why}`, { cause })
      })
    }
  })

/** Listens, and serves until the scope is closed: what is asked by then is answered, for up to two seconds. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<HttpServer.HttpServer["Service"], ServeError, Scope.Scope> {
  const { headTimeout = 10_000, keepAlive = 75_000 } = options
  const server = yield* opened(options.tls, headTimeout)
  server.maxConnections = options.connections
  const address = yield* Effect.acquireRelease(
    listen(server, options),
    () => Effect.sync(() => server.close())
  )
  const all = new Set<Served.Served>()

  const stop = Effect.callback<void>((resume) => {
    server.close()
    for (const served of all) served.finish()
    const check = () => {
      if (all.size > 0) return
      // Else it would keep the program that has stopped its server.
      clearInterval(timer)
      resume(Effect.void)
    }
    const timer = setInterval(check, 10)
    check()
    return Effect.sync(() => clearInterval(timer))
  }).pipe(
    Effect.timeoutOption(patience),
    Effect.andThen(Effect.sync(() => {
      for (const served of all) served.destroy()
    }))
  )

  return HttpServer.make({
    address: yield* Effect.mapError(
      Effect.fromResult(NetAddress.inetAddressFromIpString(address.address, address.port)),
      (cause) => new ServeError({ cause })
    ),
    serve: Effect.fnUntraced(function*(app, middleware) {
      const scope = Scope.forkUnsafe(yield* Effect.scope, "parallel")
      const context = yield* Effect.context<never>()
      const parent = yield* Effect.fiberId
      const handled = HttpEffect.toHandled(
        app,
        // There are no others here.
        (request, response) => Answer.send(request.source as Served.Asked, response),
        middleware
      )
      const answer: Served.Options["answer"] = (asked, done) => {
        const request = new Request(asked, {})
        const fiber = Fiber.runIn(
          Effect.runForkWith(Context.add(context, HttpServerRequest.HttpServerRequest, request))(handled),
          scope
        )
        fiber.addObserver(done)
        return () => fiber.interruptUnsafe(parent, ClientAbort.annotation)
      }
      const served: Served.Options = {
        room: { free: room, usual: 0, largest: 512 * 1024 },
        headTimeout,
        keepAlive,
        timeout,
        answer,
        ended: (served) => all.delete(served)
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          server.on(options.tls === undefined ? "connection" : "secureConnection", (socket: net.Socket) => {
            all.add(Served.make(socket, served))
          })
          server.on("tlsClientError", (_, socket: net.Socket) => socket.destroy())
          return setInterval(() => {
            const now = performance.now()
            for (const served of all) served.tick(now)
          }, 500)
        }),
        (timer) => Effect.andThen(stop, Effect.sync(() => clearInterval(timer)))
      )
    })
  })
})
