import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as PlatformError from "effect/PlatformError"
import * as Files from "../../src/internal/files.ts"

const MiB = 1024 * 1024
const piece = new Uint8Array(MiB).fill(7)

/** Files in a folder of their own, whose `sync` is preceded by what is said. */
const made = Effect.fnUntraced(function*(before: Effect.Effect<void, PlatformError.PlatformError>) {
  const real = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = yield* real.makeTempDirectoryScoped()
  const open: FileSystem.FileSystem["open"] = (name, options) =>
    Effect.map(real.open(name, options), (file) =>
      options?.flag === "r" ? file : new Proxy(file, {
        get: (target, key) => {
          if (key === "sync") return Effect.andThen(before, file.sync)
          const value: unknown = Reflect.get(target, key, target)
          return typeof value === "function" ? value.bind(target) : value
        }
      }))
  const files = Files.make({ ...real, open }, path, { location: folder, temporary: `${folder}/.tmp` })
  return { folder, real, files }
})

/** Writes so many MiB. */
const write = (files: Files.Files, folder: string, size: number) =>
  files.write(
    "a blob",
    (append) => Effect.forEach(Array.from({ length: size }), () => append(piece)),
    () => `${folder}/blob`
  )

describe("files", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("asks the disk to begin while a large file is written, once at a time, and again in the end", () =>
      Effect.gen(function*() {
        let syncs = 0
        const { files, folder, real } = yield* made(Effect.sync(() => void syncs++))
        yield* write(files, folder, 1)
        assert.strictEqual(syncs, 1)
        yield* write(files, folder, 100)
        assert.isAtLeast(syncs, 1 + 2)
        assert.isAtMost(syncs, 1 + 4)
        assert.strictEqual(Number((yield* real.stat(`${folder}/blob`)).size), 100 * MiB)
      }))

    it.effect("goes on writing meanwhile", () =>
      Effect.gen(function*() {
        const may = yield* Deferred.make<void>()
        const { files, folder } = yield* made(Deferred.await(may))
        let appended = 0
        const fiber = yield* Effect.forkChild(
          files.write("a blob", (append) =>
            Effect.andThen(
              Effect.forEach(
                Array.from({ length: 70 }),
                () => Effect.tap(append(piece), () => Effect.sync(() => appended++))
              ),
              Deferred.succeed(may, undefined)
            ), () => `${folder}/blob`)
        )
        yield* Fiber.join(fiber)
        assert.strictEqual(appended, 70)
      }))

    it.effect("leaves nothing of a file that did not reach the disk, though the last attempt to was said to", () =>
      Effect.gen(function*() {
        let syncs = 0
        const broken = PlatformError.systemError({
          _tag: "Unknown",
          module: "FileSystem",
          method: "sync",
          description: "EIO"
        })
        const { files, folder, real } = yield* made(
          Effect.suspend(() => syncs++ === 0 ? Effect.fail(broken) : Effect.void)
        )
        const error = yield* Effect.flip(write(files, folder, 70))
        assert.strictEqual(error.reason._tag, "Unavailable")
        assert.isFalse(yield* real.exists(`${folder}/blob`))
        assert.deepStrictEqual(yield* real.readDirectory(`${folder}/.tmp`), [])
      }))

    it.effect("closes a file that is interrupted once the disk is done with it", () =>
      Effect.gen(function*() {
        const asked = yield* Deferred.make<void>()
        let isDone = false
        const { files, folder, real } = yield* made(
          Effect.andThen(
            Deferred.succeed(asked, undefined),
            Effect.andThen(Effect.sleep(50), Effect.sync(() => void (isDone = true)))
          )
        )
        const fiber = yield* Effect.forkChild(
          files.write("a blob", (append) =>
            Effect.andThen(Effect.forEach(Array.from({ length: 40 }), () => append(piece)), Effect.never), () =>
            `${folder}/blob`)
        )
        yield* Deferred.await(asked)
        yield* Fiber.interrupt(fiber)
        assert.isTrue(isDone)
        assert.deepStrictEqual(yield* real.readDirectory(`${folder}/.tmp`), [])
      }))
  })
})
