import * as Descriptor from "@effect-oci/spec/Descriptor"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import * as Hasher from "../src/Hasher.ts"
import * as Verify from "../src/Verify.ts"

const content = new TextEncoder().encode("the quick brown fox")
const describeBytes = (bytes: Uint8Array) =>
  Effect.map(
    Hasher.Hashing,
    (start) => Descriptor.make({ mediaType: "text/plain", digest: Hasher.digestOf(start, bytes), size: bytes.length })
  )

const chunks = (bytes: Uint8Array, size: number) =>
  Stream.fromIterable(
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size)),
    { chunkSize: 2 }
  )

const run = (descriptor: Descriptor.Descriptor, stream: Stream.Stream<Uint8Array>, offset = 0) =>
  stream.pipe(Verify.stream(descriptor, { location: "test", offset }), Stream.runCollect, Effect.map(Buffer.concat))

const reasonOf = (descriptor: Descriptor.Descriptor, stream: Stream.Stream<Uint8Array>) =>
  Effect.map(Effect.flip(run(descriptor, stream)), (error) => error.reason._tag)

describe("Verify", () => {
  it.effect.prop(
    "passes the right bytes on, however they are cut",
    [Schema.Uint8Array, Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 64 })))],
    ([bytes, size]) =>
      Effect.gen(function*() {
        const descriptor = yield* describeBytes(bytes)
        assert.deepStrictEqual(new Uint8Array(yield* run(descriptor, chunks(bytes, size))), bytes)
      })
  )

  it.effect("never hands on the whole of wrong bytes", () =>
    Effect.gen(function*() {
      const descriptor = yield* describeBytes(content)
      const wrong = content.slice()
      wrong[3] = 0
      const seen: Array<Uint8Array> = []
      const exit = yield* chunks(wrong, 4).pipe(
        Verify.stream(descriptor, { location: "test" }),
        Stream.runForEach((chunk) => Effect.sync(() => seen.push(chunk))),
        Effect.exit
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.isBelow(Buffer.concat(seen).length, content.length)
      assert.strictEqual(yield* reasonOf(descriptor, chunks(wrong, 4)), "DigestMismatch")
    }))

  describe("over a check of the same descriptor", () => {
    /** Counts the hashers that are started. */
    const counted = Effect.fnUntraced(function*<A, E>(self: Effect.Effect<A, E>) {
      const start = yield* Hasher.Hashing
      let count = 0
      const exit = yield* Effect.exit(
        Effect.provideService(self, Hasher.Hashing, (algorithm) => (count++, start(algorithm)))
      )
      return { count, exit }
    })
    const checked = (descriptor: Descriptor.Descriptor, stream: Stream.Stream<Uint8Array>) =>
      Verify.stream(descriptor, { location: "beneath" })(stream)
    const over = (descriptor: Descriptor.Descriptor, stream: Stream.Stream<Uint8Array, unknown>) =>
      counted(Stream.runCollect(Verify.stream(descriptor, { location: "above" })(stream)))

    it.effect("hashes once, however often it is run and wherever the check is", () =>
      Effect.gen(function*() {
        const descriptor = yield* describeBytes(content)
        const stream = Stream.suspend(() => Stream.map(checked(descriptor, chunks(content, 4)), (chunk) => chunk))
        for (let i = 0; i < 2; i++) {
          const { count, exit } = yield* over(descriptor, stream)
          assert.deepStrictEqual([count, Exit.isSuccess(exit)], [1, true])
        }
      }))

    it.effect("fails as the one beneath fails", () =>
      Effect.gen(function*() {
        const descriptor = yield* describeBytes(content)
        const wrong = new Uint8Array(content).fill(0, 3, 4)
        const { exit } = yield* over(descriptor, checked(descriptor, chunks(wrong, 4)))
        assert.include(String(exit), "beneath")
      }))

    it.effect("takes nothing that was put before what was checked, or only part of it", () =>
      Effect.gen(function*() {
        const descriptor = yield* describeBytes(content)
        const junk = Stream.concat(Stream.succeed(new Uint8Array(3)), checked(descriptor, chunks(content, 4)))
        assert.isTrue(Exit.isFailure((yield* over(descriptor, junk)).exit))
        const begun = checked(descriptor, chunks(content, 4)).pipe(Stream.take(2))
        const again = Stream.concat(begun, checked(descriptor, chunks(content, 4)))
        assert.isTrue(Exit.isFailure((yield* over(descriptor, again)).exit))
      }))

    it.effect("believes no check of bytes that were changed since", () =>
      Effect.gen(function*() {
        const descriptor = yield* describeBytes(content)
        const changed = (from: number) => {
          let n = 0
          return Stream.map(
            checked(descriptor, chunks(content, 4)),
            (chunk) => n++ < from ? chunk : new Uint8Array(chunk).fill(0, 0, 1)
          )
        }
        for (const from of [0, 1, 2, 4]) {
          assert.isTrue(Exit.isFailure((yield* over(descriptor, changed(from))).exit), String(from))
        }
        // What is put together anew is hashed anew.
        const copied = Stream.map(checked(descriptor, chunks(content, 4)), (chunk) => chunk.slice())
        const { count, exit } = yield* over(descriptor, copied)
        assert.deepStrictEqual([count, Exit.isSuccess(exit)], [2, true])
      }))

    it.effect("believes no check of bytes that are handed on later than the next ones are read", () =>
      Effect.gen(function*() {
        const descriptor = yield* describeBytes(content)
        const buffer = new Uint8Array(4)
        const lent = Stream.map(Stream.rechunk(chunks(content, 4), 1), (chunk) => {
          buffer.set(chunk)
          return buffer.subarray(0, chunk.length)
        })
        const late = Stream.buffer(checked(descriptor, lent), { capacity: 8 })
        assert.isTrue(Exit.isFailure((yield* over(descriptor, late)).exit))
      }))

    it.effect("hashes itself where the one beneath checks something else, or only a part", () =>
      Effect.gen(function*() {
        const descriptor = yield* describeBytes(content)
        const part = Verify.stream(descriptor, { location: "beneath", offset: 4 })(chunks(content.subarray(4), 4))
        const whole = Stream.concat(Stream.succeed(content.subarray(0, 4)), part)
        assert.strictEqual((yield* over(descriptor, whole)).count, 1)
        const other = yield* describeBytes(new Uint8Array(content).fill(0, 3, 4))
        const { exit } = yield* over(other, checked(descriptor, chunks(content, 4)))
        assert.include(String(exit), "above")
      }))
  })

  it.effect("fails when the bytes end early", () =>
    Effect.gen(function*() {
      const descriptor = yield* describeBytes(content)
      assert.strictEqual(yield* reasonOf(descriptor, chunks(content.subarray(0, 10), 3)), "SizeMismatch")
      assert.strictEqual(yield* reasonOf(descriptor, Stream.empty), "SizeMismatch")
    }))

  it.effect("stops at the size, and asks for no more", () =>
    Effect.gen(function*() {
      const descriptor = yield* describeBytes(content)
      let pulled = 0
      const endless = Stream.concat(
        chunks(content, 4),
        Stream.forever(Stream.sync(() => {
          pulled++
          return new Uint8Array(1024)
        }))
      )
      assert.strictEqual((yield* run(descriptor, endless)).toString(), "the quick brown fox")
      assert.isAtMost(pulled, 1)
    }))

  it.effect("takes content without any bytes", () =>
    Effect.gen(function*() {
      const empty = yield* describeBytes(new Uint8Array(0))
      assert.strictEqual((yield* run(empty, Stream.empty)).length, 0)
      const lie = { ...empty, digest: (yield* describeBytes(content)).digest }
      assert.strictEqual(yield* reasonOf(lie, Stream.empty), "DigestMismatch")
    }))

  it.effect("checks the size alone of what begins further on", () =>
    Effect.gen(function*() {
      const descriptor = yield* describeBytes(content)
      assert.strictEqual((yield* run(descriptor, chunks(content.subarray(5), 4), 5)).length, content.length - 5)
    }))

  it.effect("can be run again", () =>
    Effect.gen(function*() {
      const descriptor = yield* describeBytes(content)
      const verified = chunks(content, 4).pipe(Verify.stream(descriptor, { location: "test" }))
      yield* Stream.runDrain(verified)
      yield* Stream.runDrain(verified)
    }))
})

describe("Hasher", () => {
  it.effect.prop(
    "hashes as node:crypto does, in one piece or several",
    [Schema.Uint8Array],
    ([bytes]) =>
      Effect.gen(function*() {
        const start = yield* Hasher.Hashing
        for (const algorithm of ["sha256", "sha512"] as const) {
          const hasher = start(algorithm)
          hasher.update(bytes.subarray(0, bytes.length >> 1))
          hasher.update(bytes.subarray(bytes.length >> 1))
          assert.strictEqual(hasher.digest(), `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`)
        }
      })
  )
})
