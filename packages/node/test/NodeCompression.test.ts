import * as Compression from "@effect-oci/content/Compression"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import * as Zlib from "node:zlib"
import * as NodeCompression from "../src/NodeCompression.ts"

const options = { location: "test" }

/** The same buffer again and again, as places that are read from hand it out. */
const reused = (bytes: Uint8Array, size: number): Stream.Stream<Uint8Array> =>
  Stream.suspend(() => {
    const buffer = new Uint8Array(size)
    return Stream.fromIterable({
      *[Symbol.iterator]() {
        for (let at = 0; at < bytes.length; at += size) {
          buffer.fill(0)
          buffer.set(bytes.subarray(at, at + size))
          yield buffer.subarray(0, Math.min(size, bytes.length - at))
        }
      }
    }, { chunkSize: 1 })
  })

const collect = <E>(self: Stream.Stream<Uint8Array, E>): Effect.Effect<Buffer, E> =>
  Effect.map(
    Stream.runFold(self, (): Array<Buffer> => [], (all, chunk) => {
      all.push(Buffer.from(chunk))
      return all
    }),
    Buffer.concat
  )

const text = Buffer.from(Array.from({ length: 60_000 }, (_, i) => `line ${i * 7919 % 1013}\n`).join(""))

/** 2 GiB of zeros, compressed piece by piece. */
const zeros = (algorithm: Compression.Algorithm, pieces: number) =>
  Stream.fromIterable({
    *[Symbol.iterator]() {
      for (let i = 0; i < pieces; i++) yield new Uint8Array(1024 * 1024)
    }
  }, { chunkSize: 1 }).pipe(Compression.compress(algorithm, options))

describe("NodeCompression", () => {
  for (
    const [name, codecs] of [
      ["node:zlib", NodeCompression.layer],
      ["CompressionStream", Layer.empty]
    ] as const
  ) {
    const algorithms = name === "node:zlib" ? ["gzip", "zstd"] as const : ["gzip"] as const
    describe(name, () => {
      for (const algorithm of algorithms) {
        describe(algorithm, () => {
          it.live("gives back what it was given, of reused buffers of any size", () =>
            Effect.gen(function*() {
              for (const size of [1000, 65_536, 1_000_000]) {
                const packed = yield* collect(reused(text, size).pipe(Compression.compress(algorithm, options)))
                assert.isBelow(packed.length, text.length / 2)
                const again = yield* collect(reused(packed, 777).pipe(Compression.uncompressed(options)))
                assert.isTrue(again.equals(text))
              }
            }).pipe(Effect.provide(codecs)))

          it.live("is what the system's own tools read", () =>
            Effect.gen(function*() {
              const packed = yield* collect(Stream.make(text).pipe(Compression.compress(algorithm, options)))
              const plain = algorithm === "gzip" ? Zlib.gunzipSync(packed) : Zlib.zstdDecompressSync(packed)
              assert.isTrue(plain.equals(text))
            }).pipe(Effect.provide(codecs)))

          it.live("compresses nothing to something, and back", () =>
            Effect.gen(function*() {
              const packed = yield* collect(Stream.empty.pipe(Compression.compress(algorithm, options)))
              assert.isAbove(packed.length, 4)
              const plain = yield* collect(Stream.make(packed).pipe(Compression.uncompressed(options)))
              assert.strictEqual(plain.length, 0)
            }).pipe(Effect.provide(codecs)))

          it.live("goes on after the end of a member, or says that it cannot", () =>
            Effect.gen(function*() {
              const one = yield* collect(Stream.make(text).pipe(Compression.compress(algorithm, options)))
              for (const size of [1, 1000, one.length - 1, one.length, one.length + 1, 1_000_000]) {
                const two = yield* Effect.result(
                  collect(reused(Buffer.concat([one, one]), size).pipe(Compression.uncompressed(options)))
                )
                if (name === "node:zlib") assert.isTrue(Result.getOrThrow(two).equals(Buffer.concat([text, text])))
                else assert.isTrue(Result.isFailure(two))
              }
            }).pipe(Effect.provide(codecs)))

          it.live("refuses a bomb while it still is small", () =>
            Effect.gen(function*() {
              let seen = 0
              const error = yield* zeros(algorithm, 2048).pipe(
                Compression.uncompressed(options),
                Stream.runForEach((chunk) => Effect.sync(() => void (seen += chunk.length))),
                Effect.flip
              )
              assert.include(error.message, "more than 200 times its size")
              assert.isAtMost(seen, 64 * 1024 * 1024 + 65_536)
            }).pipe(Effect.provide(codecs)))

          it.live("refuses what grows beyond the limit", () =>
            Effect.gen(function*() {
              const error = yield* zeros(algorithm, 16).pipe(
                Compression.uncompressed({ ...options, maxSize: 5_000_000 }),
                Stream.runDrain,
                Effect.flip
              )
              assert.include(error.message, "beyond the limit of 5000000 bytes")
            }).pipe(Effect.provide(codecs)))

          it.live("fails where bytes are wrong, or end too soon", () =>
            Effect.gen(function*() {
              const packed = yield* collect(Stream.make(text).pipe(Compression.compress(algorithm, options)))
              const wrong = Buffer.from(packed)
              wrong.fill(0xff, 4, 400)
              for (const bytes of [wrong, packed.subarray(0, packed.length - 100), packed.subarray(0, 5)]) {
                const error = yield* Effect.flip(collect(reused(bytes, 512).pipe(Compression.uncompressed(options))))
                assert.strictEqual(error.reason._tag, "Invalid")
                assert.isFalse(error.isRetryable)
              }
            }).pipe(Effect.provide(codecs)))

          it.live("fails as its source fails, also after the compressed bytes have ended", () =>
            Effect.gen(function*() {
              const packed = yield* collect(Stream.make(text).pipe(Compression.compress(algorithm, options)))
              for (const bytes of [packed.subarray(0, 1000), packed]) {
                const error = yield* reused(bytes, 512).pipe(
                  Stream.concat(Stream.fail("the source" as const)),
                  Compression.uncompressed(options),
                  Stream.runDrain,
                  Effect.flip
                )
                assert.strictEqual(error, "the source")
              }
            }).pipe(Effect.provide(codecs)))

          it.live("lets go of a source that nobody reads on", () =>
            Effect.gen(function*() {
              let closed = false
              const packed = yield* collect(Stream.make(text).pipe(Compression.compress(algorithm, options)))
              yield* reused(packed, 64).pipe(
                Stream.concat(Stream.never),
                Stream.ensuring(Effect.sync(() => closed = true)),
                Compression.uncompressed(options),
                Stream.take(1),
                Stream.runDrain
              )
              assert.isTrue(closed)
            }).pipe(Effect.provide(codecs)))
        })
      }

      it.live("leaves alone what is not compressed", () =>
        Effect.gen(function*() {
          for (const plain of ["", "a", "abc", "plain text", "\x1f", "(\xb5"]) {
            const bytes = Buffer.from(plain, "latin1")
            for (const size of [1, 2, 100]) {
              const got = yield* collect(reused(bytes, size).pipe(Compression.uncompressed(options)))
              assert.isTrue(got.equals(bytes))
            }
          }
        }).pipe(Effect.provide(codecs)))
    })
  }

  it.live("passes over zstd frames that are no content, and cuts frames of every form where they end", () =>
    Effect.gen(function*() {
      const skippable = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
      const none = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0])
      const plain = [Buffer.alloc(0), Buffer.from("a"), Buffer.alloc(1_000_000), text, randomBytes(200_000)]
      const frames = plain.flatMap((bytes) => [
        skippable,
        Zlib.zstdCompressSync(bytes),
        none,
        Zlib.zstdCompressSync(bytes, {
          params: { [Zlib.constants.ZSTD_c_checksumFlag]: 1, [Zlib.constants.ZSTD_c_contentSizeFlag]: 0 }
        })
      ])
      for (const size of [61, 4096, 10_000_000]) {
        const all = reused(Buffer.concat(frames), size)
        const got = yield* collect(all.pipe(Compression.uncompressed(options)))
        assert.isTrue(got.equals(Buffer.concat(plain.flatMap((bytes) => [bytes, bytes]))))
        const error = yield* all.pipe(
          Stream.concat(Stream.make(Buffer.from("junk"))),
          Compression.uncompressed(options),
          Stream.runDrain,
          Effect.flip
        )
        assert.strictEqual(error.reason._tag, "Invalid")
      }
    }).pipe(Effect.provide(NodeCompression.layer)))

  it.live("says which codec a program lacks", () =>
    Effect.gen(function*() {
      const packed = Zlib.zstdCompressSync(text)
      const error = yield* Effect.flip(collect(Stream.make(packed).pipe(Compression.uncompressed(options))))
      assert.include(error.message, "zstd is not among the Codecs")
    }))

  it.live("is better at a higher level", () =>
    Effect.gen(function*() {
      for (const algorithm of ["gzip", "zstd"] as const) {
        const [low, high] = yield* Effect.forEach(
          [1, 9],
          (level) => collect(Stream.make(text).pipe(Compression.compress(algorithm, { ...options, level })))
        )
        assert.isBelow(high!.length, low!.length)
      }
    }).pipe(Effect.provide(NodeCompression.layer)))

  it("sniffs the first four bytes", () => {
    const sniffed = (...bytes: ReadonlyArray<number>) => Option.getOrNull(Compression.sniff(new Uint8Array(bytes)))
    assert.strictEqual(sniffed(0x1f, 0x8b), "gzip")
    assert.strictEqual(sniffed(0x28, 0xb5, 0x2f, 0xfd), "zstd")
    assert.strictEqual(sniffed(0x5a, 0x2a, 0x4d, 0x18), "zstd")
    assert.strictEqual(sniffed(0x28, 0xb5, 0x2f), null)
    assert.strictEqual(sniffed(0x28, 0xb5, 0x4d, 0xfd), null)
    assert.strictEqual(sniffed(), null)
  })
})
