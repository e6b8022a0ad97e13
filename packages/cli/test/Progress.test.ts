import * as Transfer from "@effect-oci/content/Transfer"
import { RegistryError, Unreachable } from "@effect-oci/transport/RegistryError"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { TestClock } from "effect/testing"
import * as Progress from "../src/Progress.ts"

const blob = (name: string, size?: number): Transfer.Item => ({
  key: name,
  id: `sha256:${name.repeat(64)}`.slice(0, 71),
  kind: "blob",
  label: name,
  size: Option.fromNullishOr(size),
  location: "ghcr.io/acme/app"
})

/** A screen as a terminal shows it: `shown` is what is on it now. */
const screen = (
  options: { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number } = { isTTY: true }
) => {
  const written: Array<string> = []
  let lines: Array<string> = []
  return {
    ...options,
    written,
    shown: () => lines,
    write: (text: string) => {
      written.push(text)
      const [, up, rest] = /^(?:\u001b\[(\d+)A\u001b\[J)?([^]*)$/.exec(text)!
      if (up !== undefined) {
        assert.isAtLeast(lines.length, Number(up), "erases what it has not drawn")
        lines = lines.slice(0, lines.length - Number(up))
      }
      lines = [...lines, ...rest!.split("\n").slice(0, -1)]
      return true
    }
  }
}

type Tell = (happened: Transfer.Happened) => void

/** A write that is told what happens to it, and ends when it is let. */
const running = Effect.fnUntraced(function*(on: ReturnType<typeof screen>) {
  let tell: Tell = () => {}
  const fiber = yield* Effect.forkChild(
    Progress.show(on, (onEvent) => {
      assert.isDefined(onEvent)
      tell = Transfer.teller(onEvent)
      return Effect.as(Effect.sleep("1 hour"), "written")
    }),
    { startImmediately: true }
  )
  const frame = Effect.as(TestClock.adjust("100 millis"), undefined)
  return { fiber, frame, tell: ((event) => tell(event)) as Tell }
})

describe("Progress", () => {
  describe("show", () => {
    it.effect.each([[{ isTTY: false }], [{}]])(
      "says nothing where stderr is no terminal, nor asks for events",
      ([no]) =>
        Effect.gen(function*() {
          const on = screen(no)
          const asked = yield* Progress.show(on, (onEvent) => Effect.as(Effect.yieldNow, onEvent))
          assert.isUndefined(asked)
          assert.deepStrictEqual(on.written, [])
        })
    )

    it.effect("draws who is waited for, as long as that is", () =>
      Effect.gen(function*() {
        const on = screen()
        const error = new RegistryError({
          method: "GET",
          url: "http://localhost:5000/v2/",
          reason: new Unreachable({ detail: "refused", code: "ECONNREFUSED", transient: true })
        })
        const wait = { error, duration: Duration.seconds(2), attempt: 1, retries: 8 }
        const told = Effect.flatMap(RetryPolicy.OnWait, (tell) => tell(wait))
        const fiber = yield* Effect.forkChild(
          Progress.show(on, () => Effect.andThen(Effect.all([told, told, told]), Effect.sleep("1 hour"))),
          { startImmediately: true }
        )
        const line = "waiting 2 s: connection refused by localhost:5000 (try 2 of 9)"
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(on.shown(), [line, ""])
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(on.shown(), [""])
        yield* Fiber.interrupt(fiber)
      }))

    it.effect("draws a line for each blob while it moves, and one for all", () =>
      Effect.gen(function*() {
        const on = screen()
        const { frame, tell } = yield* running(on)
        const [sized, endless] = [blob("a", 2000), blob("b")]
        for (const item of [sized, endless, blob("c")]) tell({ _tag: "Found", item })
        tell({ _tag: "Done", item: blob("c"), outcome: "present", size: 1 })
        tell({ _tag: "Started", item: sized })
        tell({ _tag: "Bytes", item: sized, bytes: 1000 })
        tell({ _tag: "Started", item: endless })
        tell({ _tag: "Bytes", item: endless, bytes: 5 })
        yield* frame
        assert.deepStrictEqual(on.shown(), [
          `sha256:aaaaaaaaaaaa [${"=".repeat(15)}${" ".repeat(15)}] 1.0 kB of 2.0 kB`,
          "sha256:bbbbbbbbbbbb 5 B",
          "1 of 3 done, 1.0 kB sent"
        ])
        tell({ _tag: "Bytes", item: sized, bytes: 1000 })
        tell({ _tag: "Done", item: sized, outcome: "sent", size: 2000 })
        yield* frame
        assert.deepStrictEqual(on.shown(), ["sha256:bbbbbbbbbbbb 5 B", "2 of 3 done, 2.0 kB sent"])
        tell({ _tag: "Failed", item: endless, detail: "x" })
        yield* frame
        assert.deepStrictEqual(on.shown(), ["2 of 3 done, 2.0 kB sent"])
      }))

    it.effect("sums up all runs that it is told of, as those of many tags", () =>
      Effect.gen(function*() {
        const on = screen()
        yield* Effect.forkChild(
          Progress.show(on, (onEvent) => {
            const [one, other] = [Transfer.teller(onEvent), Transfer.teller(onEvent)]
            one({ _tag: "Found", item: blob("a", 10) })
            one({ _tag: "Bytes", item: blob("a", 10), bytes: 10 })
            one({ _tag: "Done", item: blob("a", 10), outcome: "sent", size: 10 })
            other({ _tag: "Found", item: blob("b", 10) })
            other({ _tag: "Bytes", item: blob("b", 10), bytes: 5 })
            return Effect.sleep("1 hour")
          })
        )
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(on.shown(), ["1 of 2 done, 15 B sent"])
      }))

    it.effect("says what a blob waits for, until it moves again", () =>
      Effect.gen(function*() {
        const on = screen({ isTTY: true, columns: 200 })
        const { frame, tell } = yield* running(on)
        const item = blob("a", 100)
        tell({ _tag: "Started", item })
        tell({ _tag: "Waiting", item, origin: "ghcr.io", millis: 1500, isRateLimited: true, detail: "429" })
        yield* frame
        assert.match(on.shown()[0]!, /, waits 2 s for ghcr\.io$/)
        tell({ _tag: "Bytes", item, bytes: 1 })
        yield* frame
        assert.notInclude(on.shown()[0], "waits")
      }))

    it.effect("takes back what has to be sent again, and never shows less than nothing", () =>
      Effect.gen(function*() {
        const on = screen()
        const { frame, tell } = yield* running(on)
        const item = blob("a", 100)
        tell({ _tag: "Started", item })
        tell({ _tag: "Bytes", item, bytes: 100 })
        tell({ _tag: "Bytes", item, bytes: -100 })
        tell({ _tag: "Bytes", item: blob("b"), bytes: -1 })
        yield* frame
        assert.match(on.shown()[0]!, /\[ {30}\] 0 B of 100 B$/)
        assert.strictEqual(on.shown()[1], "0 of 0 done, 0 B sent")
      }))

    it.effect("shows no manifest or tag as a line, and nothing that was not started", () =>
      Effect.gen(function*() {
        const on = screen()
        const { frame, tell } = yield* running(on)
        tell({ _tag: "Found", item: blob("a", 1) })
        tell({ _tag: "Bytes", item: blob("b", 1), bytes: 1 })
        tell({ _tag: "Started", item: { ...blob("c", 1), kind: "manifest" } })
        yield* frame
        assert.deepStrictEqual(on.shown(), ["0 of 1 done, 1 B sent"])
      }))

    it.effect("shows twelve blobs at most, and says how many more there are", () =>
      Effect.gen(function*() {
        const on = screen()
        const { frame, tell } = yield* running(on)
        const items = Array.from({ length: 15 }, (_, n) => blob(n.toString(16), 1))
        for (const item of items) tell({ _tag: "Found", item })
        for (const item of items) tell({ _tag: "Started", item })
        yield* frame
        assert.strictEqual(on.shown().length, 14)
        assert.deepStrictEqual(on.shown().slice(-2), ["and 3 more", "0 of 15 done, 0 B sent"])
      }))

    it.effect.each([20, 80, undefined])(
      "fits every line in %s columns, so that it can be erased",
      (columns) =>
        Effect.gen(function*() {
          const on = screen({ isTTY: true, ...(columns === undefined ? {} : { columns }) })
          const { frame, tell } = yield* running(on)
          const item = blob("a", 1024 ** 4)
          tell({ _tag: "Started", item })
          tell({ _tag: "Waiting", item, origin: "x".repeat(300), millis: 1, isRateLimited: false, detail: "" })
          yield* frame
          assert.strictEqual(on.shown()[0]!.length, (columns ?? 80) - 1)
          assert.isTrue(on.shown().every((line) => line.length < (columns ?? 80)))
        })
    )

    it.effect("leaves what is printed meanwhile, above what it draws", () =>
      Effect.gen(function*() {
        const on = screen()
        const print = (...args: ReadonlyArray<unknown>) => on.write(`${args.join(" ")}\n`)
        const results = Progress.show(on, () =>
          Effect.gen(function*() {
            yield* Effect.sleep("150 millis")
            yield* Console.log("copied 1")
            yield* Console.error("a registry warns")
            yield* Effect.sleep("100 millis")
            yield* Effect.logWarning("logged")
            yield* Effect.sleep("1 second")
          }))
        const fiber = yield* Effect.forkChild(
          Effect.provideService(results, Console.Console, { ...console, error: print, log: print })
        )
        yield* TestClock.adjust("200 millis")
        assert.deepStrictEqual(on.shown(), ["copied 1", "a registry warns", ""])
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(on.shown().slice(0, 2), ["copied 1", "a registry warns"])
        assert.match(on.shown()[2]!, /logged$/)
        assert.strictEqual(on.shown().length, 3)
      }))

    it.effect.each([[1, 1], [3, 2], [10, 9], [undefined, 14]])(
      "fits all lines in %s rows, so that they can be erased: %s",
      ([rows, lines]) =>
        Effect.gen(function*() {
          const on = screen({ isTTY: true, ...(rows === undefined ? {} : { rows }) })
          const { frame, tell } = yield* running(on)
          const items = Array.from({ length: 15 }, (_, n) => blob(n.toString(16), 1))
          for (const item of items) tell({ _tag: "Found", item })
          for (const item of items) tell({ _tag: "Started", item })
          yield* frame
          assert.strictEqual(on.shown().length, lines)
          assert.strictEqual(on.shown().at(-1), "0 of 15 done, 0 B sent")
        })
    )

    it.effect("draws ten times a second, and erases all when the write ends", () =>
      Effect.gen(function*() {
        const on = screen()
        const { fiber, tell } = yield* running(on)
        tell({ _tag: "Started", item: blob("a", 1) })
        const before = on.written.length
        for (let n = 0; n < 10; n++) yield* TestClock.adjust("100 millis")
        assert.strictEqual(on.written.length - before, 10)
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(yield* Fiber.join(fiber), "written")
        assert.deepStrictEqual(on.shown(), [])
      }))

    it.effect("erases all when the write fails or is interrupted, and fails as it does", () =>
      Effect.gen(function*() {
        const on = screen()
        const failing = yield* Effect.forkChild(
          Effect.flip(Progress.show(on, () => Effect.andThen(Effect.sleep("1 second"), Effect.fail("no"))))
        )
        yield* TestClock.adjust("500 millis")
        assert.strictEqual(on.shown().length, 1)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(failing), "no")
        assert.deepStrictEqual(on.shown(), [])
        const { fiber, frame, tell } = yield* running(on)
        tell({ _tag: "Started", item: blob("a", 1) })
        yield* frame
        assert.strictEqual(on.shown().length, 2)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(on.shown(), [])
      }))
  })
})
