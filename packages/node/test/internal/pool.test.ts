import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { lookup } from "node:dns"
import * as Pool from "../../src/internal/pool.ts"
import { ok } from "../clients.ts"
import * as Wire from "../wire.ts"

it.live("keeps and closes connections of an origin whose last one had just broken", () =>
  Effect.scoped(Effect.gen(function*() {
    const wire = yield* Wire.serve((_, socket) => void socket.write(ok()))
    const url = new URL(wire.url)
    const pool = Pool.make({ connections: 1, connectTimeout: 1000, lookup, tls: () => ({}), refusal: () => undefined })
    const acquire = pool.acquire(url, false, (self) => self)
    const first = yield* acquire
    pool.release(url, first, 10_000)
    // Nobody has been told of it yet.
    first.destroy()
    const second = yield* acquire
    pool.release(url, second, 10_000)
    assert.strictEqual(yield* acquire, second)
    assert.strictEqual(wire.connections, 2)
    pool.close()
    yield* Wire.until(() => wire.open.size === 0)
  })))
