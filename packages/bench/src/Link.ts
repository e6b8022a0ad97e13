/**
 * A long way to a registry: bytes arrive half a round trip after they were sent, in order, as many as may be on their way.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"

/** Passes on what it gets, later. */
const pass = (from: Socket, to: Socket, delay: () => number): void => {
  const underway: Array<() => void> = []
  let last = 0
  const later = (arrive: () => void): void => {
    last = Math.max(last, performance.now() + delay())
    underway.push(arrive)
    // Timers of about the same time may come in any order: each lets the first arrive.
    setTimeout(() => underway.shift()!(), last - performance.now())
  }
  from.on("data", (bytes) => later(() => void to.write(bytes)))
  from.on("end", () => later(() => void to.end()))
  from.on("close", () => later(() => void to.destroy()))
}

/** A host that is `roundTrip` milliseconds away from another one, the handshake of a connection included. */
export const make = Effect.fnUntraced(function*(
  host: string,
  roundTrip: number
): Effect.fn.Return<string, never, Scope.Scope> {
  const [name = "", port] = host.split(":")
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: name, port: Number(port), noDelay: true })
    // The kernel has shaken hands at once; a real one would have taken a round trip more.
    let handshake = roundTrip
    near.on("error", () => far.destroy())
    far.on("error", () => near.destroy())
    pass(near, far, () => {
      const delay = roundTrip / 2 + handshake
      handshake = 0
      return delay
    })
    pass(far, near, () => roundTrip / 2)
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () => Effect.sync(() => void server.close())
  )
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
})
