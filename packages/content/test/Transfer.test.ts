import * as Digest from "@effect-oci/name/Digest"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Transfer from "../src/Transfer.ts"

const item: Transfer.Item = {
  key: "here blob a",
  id: "a",
  kind: "blob",
  label: "text/plain",
  size: Option.some(10),
  location: "here"
}

describe("Transfer", () => {
  it.each([
    [0, "0 B"],
    [1, "1 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [10_000, "10 kB"],
    [41_000_001, "41 MB"],
    [1.5e9, "1.5 GB"],
    [5e15, "5000 TB"]
  ])("formats %d bytes as %s", (bytes, said) => {
    assert.strictEqual(Transfer.formatBytes(bytes), said)
  })

  describe("events", () => {
    it.effect("adds up what a slow reader has not seen, and never slows the work", () =>
      Effect.gen(function*() {
        let isOver = false
        const work = (listen: (event: Transfer.Event) => void) =>
          Effect.gen(function*() {
            const tell = Transfer.teller(listen)
            tell({ _tag: "Found", item })
            tell({ _tag: "Started", item })
            for (let i = 0; i < 100_000; i++) {
              tell({ _tag: "Bytes", item, bytes: 1 })
              if (i % 1000 === 0) yield* Effect.sleep("1 milli")
            }
            tell({ _tag: "Done", item, outcome: "sent", size: 100_000 })
            isOver = true
          })
        const seen: Array<Transfer.Event> = []
        const reader = yield* Transfer.events(work).pipe(
          Stream.runForEachArray((events) => {
            seen.push(...events)
            return Effect.sleep("10 minutes")
          }),
          Effect.forkChild
        )
        yield* TestClock.adjust("1 second")
        assert.isTrue(isOver)
        yield* TestClock.adjust("1 hour")
        yield* Fiber.join(reader)
        assert.isAtMost(seen.length, 6)
        assert.strictEqual(seen.reduce((sum, event) => event._tag === "Bytes" ? sum + event.bytes : sum, 0), 100_000)
        assert.deepStrictEqual(seen.at(-1)?.totals, { found: 1, done: 1, failed: 0, bytes: 100_000, expected: 10 })
      }))

    it.effect("ends with what went before a failure, and with the failure", () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const error = yield* Transfer.events((listen) => {
          const tell = Transfer.teller(listen)
          tell({ _tag: "Found", item })
          return Effect.fail("broken")
        }).pipe(Stream.runForEach((event) => Effect.sync(() => void seen.push(event._tag))), Effect.flip)
        assert.strictEqual(error, "broken")
        assert.deepStrictEqual(seen, ["Found"])
      }))

    it.effect("interrupts the work when it is closed", () =>
      Effect.gen(function*() {
        let isInterrupted = false
        yield* Transfer.events((listen) => {
          Transfer.teller(listen)({ _tag: "Found", item })
          return Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (isInterrupted = true)))
        }).pipe(Stream.take(1), Stream.runDrain)
        assert.isTrue(isInterrupted)
      }))
  })

  describe("teller", () => {
    it("does not expect what others had, and takes back what got lost", () => {
      const seen: Array<Transfer.Totals> = []
      const tell = Transfer.teller(({ totals }) => seen.push(totals))
      tell({ _tag: "Found", item })
      tell({ _tag: "Done", item, outcome: "mounted", size: 10 })
      tell({ _tag: "Retrying", item, was: "mounted" })
      tell({ _tag: "Done", item, outcome: "sent", size: 10 })
      tell({ _tag: "Retrying", item, was: "sent" })
      tell({ _tag: "Failed", item, detail: "gone" })
      assert.deepStrictEqual(seen.map(({ done, expected, failed }) => [expected, done, failed]), [
        [10, 0, 0],
        [0, 1, 0],
        [10, 0, 0],
        [10, 1, 0],
        [10, 0, 0],
        [10, 0, 1]
      ])
    })
  })

  describe("reading", () => {
    const descriptor = Descriptor.make({
      mediaType: "text/plain",
      digest: Digest.parseUnsafe(`sha256:${"a".repeat(64)}`),
      size: 5
    })
    const told = Effect.fnUntraced(function*(stream: Stream.Stream<Uint8Array, Error>) {
      const seen: Array<Transfer.Event> = []
      yield* stream.pipe(
        Transfer.reading(descriptor, "here", (event) => seen.push(event)),
        Stream.runDrain,
        Effect.exit
      )
      return seen
    })

    it.effect("tells of reading as of writing", () =>
      Effect.gen(function*() {
        const seen = yield* told(Stream.make(new Uint8Array(2), new Uint8Array(3)).pipe(Stream.rechunk(1)))
        assert.deepStrictEqual(seen.map(({ _tag }) => _tag), ["Found", "Planned", "Started", "Bytes", "Bytes", "Done"])
        assert.deepStrictEqual(seen.at(-1)?.totals, { found: 1, done: 1, failed: 0, bytes: 5, expected: 5 })
      }))

    it.effect("says what went wrong", () =>
      Effect.gen(function*() {
        const last = (yield* told(Stream.fail(new Error("cut")))).at(-1)
        assert.strictEqual(last?._tag === "Failed" ? last.detail : "", "cut")
      }))
  })
})
