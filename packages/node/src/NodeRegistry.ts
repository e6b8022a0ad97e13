/**
 * A registry on a port.
 *
 * @since 1.0.0
 */
import * as Auth from "@effect-oci/registry/Auth"
import * as MemoryStorage from "@effect-oci/registry/MemoryStorage"
import * as RegistryServer from "@effect-oci/registry/RegistryServer"
import * as Settings from "@effect-oci/registry/Settings"
import { Storage } from "@effect-oci/registry/Storage"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import type { ServeError } from "effect/http/HttpServerError"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import { createServer } from "node:http"

/**
 * Options for `serve`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * The address to listen on. Only this machine's own unless told.
   *
   * @default "127.0.0.1"
   */
  readonly host?: string | undefined
  /**
   * The port to listen on; 0 is any that is free.
   *
   * @default 0
   */
  readonly port?: number | undefined
  readonly auth?: Auth.Options | undefined
  /**
   * What the registry allows.
   */
  readonly settings?: Partial<Omit<Settings.Settings, "hosts">> | undefined
  /**
   * Further names to answer for, with a port or at any.
   *
   * @default on an address of this machine's own that and `localhost`, else all
   */
  readonly answerFor?: ReadonlyArray<string> | undefined
}

/** The names of this machine that no page from elsewhere can give itself. */
const loopback = ["localhost", "127.0.0.1", "[::1]"]

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || host.startsWith("127.")

/**
 * Serves a registry from memory until its scope is closed; gives `host:port` as references name it.
 *
 * @category serving
 * @since 1.0.0
 */
export const serve = Effect.fn("NodeRegistry.serve")(function*(
  options?: Options | undefined
): Effect.fn.Return<string, ServeError, Scope.Scope> {
  const { answerFor = [], host = "127.0.0.1" } = options ?? {}
  const storage = yield* MemoryStorage.make
  const open = RegistryServer.app.pipe(
    Effect.provideService(Storage, storage),
    Effect.provideService(Settings.Settings, {
      ...Settings.defaults,
      ...options?.settings,
      hosts: isLoopback(host) || answerFor.length > 0 ? [...loopback, host, ...answerFor] : undefined
    })
  )
  const app = options?.auth === undefined ? open : yield* Auth.guard(open, options.auth)
  const node = createServer({ maxHeaderSize: 16 * 1024 })
  // Node ends a request after 5 minutes, which a large upload takes; and idle connections after 5 seconds, so that clients
  // find theirs closed.
  node.requestTimeout = 0
  node.headersTimeout = 10_000
  node.keepAliveTimeout = 75_000
  const server = yield* NodeHttpServer.make(() => node, {
    host,
    port: options?.port ?? 0,
    gracefulShutdownTimeout: "2 seconds"
  })
  // Runs once what goes on has had its time: a client that stalls is not waited for.
  yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
  // What a client has given up is given up, which a server's handlers are not by themselves.
  yield* HttpServer.serveEffect(Effect.interruptible(app)).pipe(Effect.provideService(HttpServer.HttpServer, server))
  const { address } = server
  return address._tag === "UnixPathAddress" ? address.path : NetAddress.formatInet(address)
})
