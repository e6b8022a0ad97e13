/**
 * A server that says what it is told to, byte for byte.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type AddressInfo, createServer, type Socket } from "node:net"

export interface Asked {
  readonly head: string
  /** Of the body, so far. */
  readonly body: Buffer
  /** Which connection it came by, and as which request of it; from 1 on. */
  readonly connection: number
  readonly nth: number
}

export interface Wire {
  readonly url: string
  readonly asked: Array<Asked>
  /** How many connections were made, and how many are open. */
  connections: number
  readonly open: Set<Socket>
}

/** `count` is that of all requests so far, this one too. */
export type Script = (asked: Asked, socket: Socket, count: number) => void

/**
 * Runs a script for each request once its body has come, or where that is `eager`, for the first of each connection as soon
 * as its head has.
 */
export const serve = Effect.fnUntraced(function*(
  script: Script,
  eager = false
): Effect.fn.Return<Wire, never, Scope.Scope> {
  const wire = { url: "", asked: [] as Array<Asked>, connections: 0, open: new Set<Socket>() }
  const server = createServer((socket) => {
    const connection = ++wire.connections
    let nth = 0
    let bytes = Buffer.alloc(0)
    wire.open.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => wire.open.delete(socket))
    socket.on("data", (more) => {
      if (eager && nth > 0) return
      bytes = Buffer.concat([bytes, more])
      for (;;) {
        const end = bytes.indexOf("\r\n\r\n")
        if (end < 0) return
        const head = bytes.subarray(0, end).toString("latin1")
        const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
        if (!eager && bytes.length < end + 4 + length) return
        const body = bytes.subarray(end + 4, eager ? bytes.length : end + 4 + length)
        bytes = bytes.subarray(end + 4 + body.length)
        wire.asked.push({ head, body, connection, nth: ++nth })
        script(wire.asked.at(-1)!, socket, wire.asked.length)
      }
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.callback<void>((resume) => {
        for (const socket of wire.open) socket.destroy()
        server.close(() => resume(Effect.void))
      })
  )
  wire.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return wire
})

/** Waits, a millisecond at a time, until something holds; gives up after 10 seconds. */
export const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const end = performance.now() + 10_000
    const timer = setInterval(() => {
      const isOver = performance.now() > end
      if (!holds() && !isOver) return
      clearInterval(timer)
      resume(isOver ? Effect.die(new Error("what was waited for did not come")) : Effect.void)
    }, 1)
    return Effect.sync(() => clearInterval(timer))
  })
