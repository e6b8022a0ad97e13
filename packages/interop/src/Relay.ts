/**
 * A port on loopback whose connections lead to one server, and from some moment on to another.
 */
import * as Effect from "effect/Effect"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"

export interface Relay {
  readonly host: string
  /** Where connections lead from now on; those that there are stay where they are. */
  readonly leadTo: (host: string) => void
}

/**
 * Relays until its scope is closed. What breaks on one side breaks on the other.
 */
export const make = Effect.fnUntraced(function*(target: string) {
  let to = target
  const sockets = new Set<Socket>()
  const server = createServer((incoming) => {
    const at = to.lastIndexOf(":")
    const outgoing = connect(Number(to.slice(at + 1)), to.slice(0, at))
    for (const [one, other] of [[incoming, outgoing], [outgoing, incoming]] as const) {
      sockets.add(one)
      one.on("error", () => other.destroy())
      one.on("close", () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((done) => server.listen(0, "127.0.0.1", done))),
    () =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  )
  // A server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo
  const relay: Relay = { host: `127.0.0.1:${port}`, leadTo: (host) => void (to = host) }
  return relay
})
