import * as FileWriter from "@effect-oci/layout/FileWriter"
import * as OciLayout from "@effect-oci/layout/OciLayout"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import * as Blocks from "../src/internal/blocks.ts"
import * as NodeFileWriter from "../src/NodeFileWriter.ts"
import * as NodeHasher from "../src/NodeHasher.ts"

const MiB = 1024 * 1024

const random = (size: number) => {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65536)))
  return bytes
}

const written = random(5 * MiB + 4097)

/** Writes bytes in pieces, each of which is scribbled over once it was taken, and reads the file. */
const roundTrip = Effect.fnUntraced(function*(bytes: Uint8Array, pieces: (at: number) => number) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  const path = `${folder}/file`
  yield* Effect.scoped(Effect.gen(function*() {
    const file = yield* fs.open(path, { flag: "wx" })
    const writer = yield* NodeFileWriter.make(file, path)
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.slice(at, at + pieces(at))
      at += piece.length
      yield* writer.append(piece)
      piece.fill(0xff)
    }
    yield* writer.end
  }))
  return yield* fs.readFile(path)
})

const isSame = (actual: Uint8Array, expected: Uint8Array) => Buffer.compare(actual, expected) === 0

describe("NodeFileWriter", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    for (const size of [0, 1, MiB - 1, MiB, MiB + 1, MiB + 4096, 2 * MiB, 3 * MiB + 4095, written.length]) {
      for (const piece of [1000, 65536, MiB, 2 * MiB + 1]) {
        it.effect(`writes ${size} bytes in pieces of ${piece}`, () =>
          Effect.gen(function*() {
            const bytes = written.subarray(0, size)
            assert.isTrue(isSame(yield* roundTrip(bytes, () => piece), bytes))
          }))
      }
    }

    it.effect("writes bytes in pieces of any size", () =>
      Effect.gen(function*() {
        for (let run = 0; run < 20; run++) {
          const sizes = random(64)
          const pieces = (at: number) => 1 + (sizes[at % 64]! ** 2) * (1 + run % 7 * 5)
          assert.isTrue(isSame(yield* roundTrip(written, pieces), written), `run ${run}`)
        }
      }))

    it.effect("writes many files at once, more than there is memory for", () =>
      Effect.gen(function*() {
        const files = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, at) => written.subarray(at * 4096)),
          (bytes) => Effect.map(roundTrip(bytes, () => 300_000), (read) => isSame(read, bytes)),
          { concurrency: 20 }
        )
        assert.deepStrictEqual(files, files.map(() => true))
        assert.strictEqual(Blocks.free(), Blocks.count)
      }))

    it.effect("is what a layout writes by, and what a layer is reads back", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const layout = yield* OciLayout.make(yield* fs.makeTempDirectoryScoped())
        let writers = 0
        const counting: FileWriter.Make = (file, path) => {
          writers++
          return NodeFileWriter.make(file, path)
        }
        const { digest, size } = yield* layout.pushStream(Stream.make(written)).pipe(
          Effect.provideService(FileWriter.FileWriting, counting)
        )
        assert.strictEqual(writers, 1)
        const chunks = yield* Stream.runCollect(
          Stream.map(layout.fetch({ mediaType: "application/octet-stream", digest, size }), (bytes) => bytes.slice())
        )
        assert.isTrue(isSame(Buffer.concat(chunks), written))
      }).pipe(Effect.provide(NodeHasher.layer)))
  })
})
