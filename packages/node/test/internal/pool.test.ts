import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { AsyncLocalStorage } from "node:async_hooks"
import { lookup } from "node:dns"
import type { LookupFunction } from "node:net"
import * as Pool from "../../src/internal/pool.ts"
import { ok } from "../clients.ts"
import * as Wire from "../wire.ts"

/** A pool of one connection, or more where that one is waited for too long, and its only origin. */
const made = Effect.fnUntraced(function*(patience: number, resolve: LookupFunction = lookup) {
  const wire = yield* Wire.serve((_, socket) => void socket.write(ok()))
  // A name, so that it is looked up.
  const url = new URL(wire.url.replace("127.0.0.1", "localhost"))
  const options = { connections: 1, patience, idle: 2, connectTimeout: 1000, tls: () => ({}), refusal: () => undefined }
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() => Pool.make({ ...options, lookup: resolve })),
    (pool) => Effect.sync(pool.close)
  )
  return { wire, url, pool, acquire: (fresh = false) => pool.acquire(url, fresh, (self) => self) }
})

/** Nobody here waits so long. */
const forever = 1_000_000

describe("pool", () => {
  it.live("keeps and closes connections of an origin whose last one had just broken", () =>
    Effect.scoped(Effect.gen(function*() {
      const { acquire, pool, url, wire } = yield* made(forever)
      const first = yield* acquire()
      pool.release(url, first, 10_000)
      // Nobody has been told of it yet.
      first.destroy()
      const second = yield* acquire()
      pool.release(url, second, 10_000)
      assert.strictEqual(yield* acquire(), second)
      assert.strictEqual(wire.connections, 2)
      pool.close()
      yield* Wire.until(() => wire.open.size === 0)
    })))

  it.live("gives whoever wants a fresh connection his turn, though others come who take any", () =>
    Effect.scoped(Effect.gen(function*() {
      const { acquire, pool, url, wire } = yield* made(forever)
      const first = yield* acquire()
      const fresh = yield* Effect.forkChild(acquire(true), { startImmediately: true })
      const any = yield* Effect.forkChild(acquire(), { startImmediately: true })
      pool.release(url, first, 10_000)
      const second = yield* Fiber.join(fresh)
      assert.notStrictEqual(second, first)
      assert.isUndefined(any.pollUnsafe())
      pool.release(url, second, 10_000)
      assert.strictEqual(yield* Fiber.join(any), second)
      assert.strictEqual(wire.connections, 2)
    })))

  it.live("makes one more connection where none comes free: those that have them may wait for it", () =>
    Effect.scoped(Effect.gen(function*() {
      const { acquire, pool, url, wire } = yield* made(1)
      const first = yield* acquire()
      const second = yield* acquire()
      assert.notStrictEqual(second, first)
      pool.release(url, first, 10_000)
      pool.release(url, second, 10_000)
      assert.include([first, second], yield* acquire())
      assert.strictEqual(wire.connections, 2)
    })))

  it.live("makes one more at a time, however many wait for a slow server", () =>
    Effect.scoped(Effect.gen(function*() {
      yield* Effect.acquireRelease(
        Effect.sync(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })),
        () => Effect.sync(() => vi.useRealTimers())
      )
      const { acquire, wire } = yield* made(500)
      yield* acquire()
      const waiting = yield* Effect.forEach(
        [0, 1, 2],
        () => Effect.forkChild(acquire(), { startImmediately: true })
      )
      for (const at of [0, 1]) {
        vi.advanceTimersByTime(500)
        yield* Fiber.join(waiting[at]!)
        assert.deepStrictEqual(waiting.map((fiber) => fiber.pollUnsafe() !== undefined), [true, at === 1, false])
        assert.strictEqual(wire.connections, 2 + at)
      }
    })))

  it.live("keeps few idle connections, however many origins there are", () =>
    Effect.scoped(Effect.gen(function*() {
      const { pool, wire } = yield* made(forever, (_, options, callback) => lookup("127.0.0.1", options, callback))
      const { port } = new URL(wire.url)
      for (const host of ["a.test", "b.test", "c.test", "d.test"]) {
        const url = new URL(`http://${host}:${port}`)
        pool.release(url, yield* pool.acquire(url, false, (self) => self), 10_000)
      }
      yield* Wire.until(() => wire.open.size === 2)
      assert.strictEqual(wire.connections, 4)
    })))

  it.live("keeps nothing of the asynchronous context of whoever had it make a connection", () =>
    Effect.scoped(Effect.gen(function*() {
      const services = yield* Effect.context<never>()
      const storage = new AsyncLocalStorage<string>()
      const stores: Array<string | undefined> = []
      const { acquire } = yield* made(forever, (hostname, options, callback) => {
        stores.push(storage.getStore())
        lookup(hostname, options, callback)
      })
      yield* Effect.promise(() => storage.run("a request", () => Effect.runPromiseWith(services)(acquire())))
      assert.deepStrictEqual(stores, [undefined])
    })))

  it.live("leaves nobody waiting when it is closed", () =>
    Effect.scoped(Effect.gen(function*() {
      const { acquire, pool, wire } = yield* made(forever)
      yield* acquire()
      const waiting = yield* Effect.forkChild(Effect.flip(acquire()), { startImmediately: true })
      pool.close()
      assert.strictEqual((yield* Fiber.join(waiting)).message, "the client was closed")
      assert.strictEqual(wire.connections, 1)
    })))
})
