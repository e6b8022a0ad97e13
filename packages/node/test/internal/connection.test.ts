import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as dns from "node:dns"
import * as net from "node:net"
import * as Connection from "../../src/internal/connection.ts"

const MiB = 1024 * 1024
const size = 32 * MiB

/** A server that sends many bytes to whoever connects. */
const server = Effect.acquireRelease(
  Effect.callback<net.Server>((resume) => {
    const server = net.createServer((socket) => {
      socket.on("error", () => {})
      socket.end(Buffer.alloc(size, 1))
    })
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
)

const open = (server: net.Server, room: Connection.Room) =>
  Effect.callback<Connection.Connection>((resume) => {
    Connection.open(
      new URL(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`),
      { connectTimeout: 10_000, lookup: dns.lookup, room, tls: () => ({}) },
      (connected) => resume(connected instanceof Error ? Effect.die(connected) : Effect.succeed(connected))
    )
  })

/** What comes next, once the kernel has had a moment to gather more of it. */
const next = (connection: Connection.Connection) =>
  Effect.callback<Connection.Event>((resume) => {
    setImmediate(() => connection.read((event) => resume(Effect.succeed(event))))
  })

const drained = Effect.fnUntraced(function*(connection: Connection.Connection) {
  let received = 0
  let largest = 0
  const buffers = new Set<ArrayBufferLike>()
  for (;;) {
    const event = yield* next(connection)
    if (!(event instanceof Uint8Array)) return { buffers, largest, received }
    assert.strictEqual(event[0], 1)
    received += event.length
    largest = Math.max(largest, event.buffer.byteLength)
    buffers.add(event.buffer)
  }
})

describe("connection", () => {
  it.live("reads into few buffers, which grow while there is memory for them", () =>
    Effect.gen(function*() {
      const room = { free: 8 * MiB, usual: MiB / 2, largest: 2 * MiB }
      const connection = yield* open(yield* server, room)
      const { buffers, largest, received } = yield* drained(connection)
      assert.strictEqual(received, size)
      assert.isAtMost(largest, 2 * MiB)
      assert.isAtMost(buffers.size, 5)
      connection.destroy()
    }))

  it.live("stays with what any may have where there is none", () =>
    Effect.gen(function*() {
      const room = { free: 0, usual: MiB / 2, largest: 2 * MiB }
      const connection = yield* open(yield* server, room)
      const { largest, received } = yield* drained(connection)
      assert.strictEqual(received, size)
      assert.isAtMost(largest, MiB / 2)
      connection.destroy()
    }))

  it.live("gives back what it had when it is closed", () =>
    Effect.gen(function*() {
      const room = { free: 8 * MiB, usual: MiB / 2, largest: 2 * MiB }
      const connection = yield* open(yield* server, room)
      const first = yield* next(connection)
      yield* next(connection)
      assert.instanceOf(first, Uint8Array)
      if (first.length === first.buffer.byteLength) assert.isBelow(room.free, 8 * MiB)
      connection.destroy()
      while (room.free !== 8 * MiB) yield* Effect.sleep(1)
      // Once is enough.
      connection.destroy()
      yield* Effect.sleep(5)
      assert.strictEqual(room.free, 8 * MiB)
    }))
})
