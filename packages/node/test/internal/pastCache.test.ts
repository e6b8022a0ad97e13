import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as PlatformError from "effect/PlatformError"
import * as nodeFs from "node:fs"
import type * as Disk from "../../src/internal/disk.ts"
import * as PastCache from "../../src/internal/pastCache.ts"

const MiB = 1024 * 1024
const bytes = new Uint8Array(6 * MiB + 123).map((_, at) => at * 7 + (at >> 12))

/** A disk that takes of each block as many bytes as is said, by its position, and as soon as it may. */
const disk = (
  takes: (block: Uint8Array, position: number) => number,
  may: Effect.Effect<void> = Effect.void
) => {
  const seen = { launched: [] as Array<number>, inFlight: 0, released: false, inFlightAtRelease: -1 }
  const open: Disk.Open = (path) =>
    Effect.acquireRelease(
      Effect.sync(() => ({
        fd: nodeFs.openSync(path, "r+"),
        blocks: [new Uint8Array(MiB), new Uint8Array(MiB)] as const
      })),
      ({ fd }) =>
        Effect.sync(() => {
          seen.released = true
          seen.inFlightAtRelease = seen.inFlight
          nodeFs.closeSync(fd)
        })
    ).pipe(Effect.map(({ blocks, fd }) => ({
      blocks,
      launch: (block, position) => {
        seen.launched.push(position)
        seen.inFlight++
        const flight: Disk.Flight = { block, taken: undefined, arrived: undefined }
        Effect.runFork(Effect.andThen(
          may,
          Effect.sync(() => {
            const taken = takes(block, position)
            nodeFs.writeSync(fd, block, 0, taken, position)
            seen.inFlight--
            flight.taken = taken
            flight.arrived?.()
          })
        ))
        return flight
      }
    })))
  return { open, seen }
}

const folderFile = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  return { fs, path: `${yield* fs.makeTempDirectoryScoped()}/file` }
})

/** Writes all bytes by a disk, and reads what is there. */
const write = Effect.fnUntraced(function*(open: Disk.Open) {
  const { fs, path } = yield* folderFile
  yield* Effect.scoped(Effect.gen(function*() {
    const writer = yield* PastCache.make(open)(yield* fs.open(path, { flag: "wx" }), path)
    for (let at = 0; at < bytes.length; at += 700_000) yield* writer.append(bytes.slice(at, at + 700_000))
    yield* writer.end
  }))
  return yield* fs.readFile(path)
})

const assertWhole = (read: Uint8Array) => assert.strictEqual(Buffer.compare(read, bytes), 0)

describe("pastCache", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("gives a disk whole blocks at places for pages, and the file system the rest", () =>
      Effect.gen(function*() {
        const { open, seen } = disk((block) => block.length)
        assertWhole(yield* write(open))
        assert.deepStrictEqual(seen.launched.map((position) => position % 4096), [0, 0, 0, 0])
        assert.strictEqual(seen.released, true)
      }))

    it.effect("writes all where a disk cannot be had", () =>
      Effect.gen(function*() {
        assertWhole(yield* write(() => Effect.undefined))
      }))

    for (const nth of [0, 1, 2, 3]) {
      for (const taken of [0, 1, 4096, MiB - 1]) {
        it.effect(`goes on by the file system where a disk takes ${taken} bytes of block ${nth}`, () =>
          Effect.gen(function*() {
            let block = 0
            const { open, seen } = disk((bytes) => block++ === nth ? taken : bytes.length)
            assertWhole(yield* write(open))
            assert.strictEqual(seen.launched.length, nth + 1)
          }))
      }
    }

    it.effect("fails as the file system does where neither takes the bytes", () =>
      Effect.gen(function*() {
        const { fs, path } = yield* folderFile
        const full = PlatformError.systemError({ _tag: "Unknown", module: "FileSystem", method: "writeAll" })
        const { open } = disk(() => 0)
        const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
          const file = yield* fs.open(path, { flag: "wx" })
          let size = 0
          const filling = new Proxy(file, {
            get: (target, key) => {
              if (key === "writeAll") {
                return (piece: Uint8Array) =>
                  (size += piece.length) > 2 * MiB ? Effect.fail(full) : file.writeAll(piece)
              }
              const value: unknown = Reflect.get(target, key, target)
              return typeof value === "function" ? value.bind(target) : value
            }
          })
          const writer = yield* PastCache.make(open)(filling, path)
          for (let at = 0; at < bytes.length; at += MiB) yield* writer.append(bytes.slice(at, at + MiB))
          yield* writer.end
        })))
        assert.deepStrictEqual(exit, Exit.fail(full))
      }))

    it.effect("lets go of memory only when the disk has done with it, though nobody waits any more", () =>
      Effect.gen(function*() {
        const may = yield* Deferred.make<void>()
        const { open, seen } = disk((block) => block.length, Deferred.await(may))
        const fiber = yield* Effect.forkChild(write(open), { startImmediately: true })
        while (seen.launched.length === 0) yield* Effect.promise(() => new Promise(setImmediate))
        const stop = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        yield* Effect.promise(() => new Promise(setImmediate))
        assert.strictEqual(seen.released, false)
        yield* Deferred.succeed(may, undefined)
        yield* Fiber.join(stop)
        assert.strictEqual(seen.released, true)
        assert.strictEqual(seen.inFlightAtRelease, 0)
      }))
  })
})
