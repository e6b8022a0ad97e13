/**
 * What every target has to withstand: chunks that are gone once the next is pulled.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as MemoryStore from "../src/MemoryStore.ts"
import type { Store } from "../src/Store.ts"
import * as Scribbled from "./scribbled.ts"

const octets = "application/octet-stream"

/** No two chunks of it are the same. */
const bytesOf = (size: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >> 8) * 7) & 0xff
  return bytes
}

/** Writes what is lent, known by its digest or not, and reads it back. */
export const keeps = Effect.fnUntraced(function*(store: Store, size = 100_001) {
  const piece = Math.ceil(size / 100)
  const origin = MemoryStore.make("origin")
  const known = bytesOf(size)
  const descriptor = yield* origin.add(octets, known)
  const source = Scribbled.source(origin, piece)
  yield* store.push(descriptor, (offset) => source.fetch(descriptor, offset))
  const streamed = bytesOf(size + 1)
  const sent = yield* store.pushStream(Scribbled.stream(piece)(Stream.succeed(streamed)))
  for (const [what, expected] of [[descriptor, known], [{ mediaType: octets, ...sent }, streamed]] as const) {
    const chunks = yield* Stream.runCollect(Stream.map(store.fetch(what), (chunk) => new Uint8Array(chunk)))
    assert.isTrue(Buffer.concat(chunks).equals(expected))
  }
})
