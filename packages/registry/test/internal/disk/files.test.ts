import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Latch from "effect/Latch"
import * as Path from "effect/Path"
import * as PlatformError from "effect/PlatformError"
import * as Files from "../../../src/internal/disk/files.ts"

/** Files over a file system of which some calls are replaced. */
const having = Effect.fnUntraced(function*(
  replace: (fs: FileSystem.FileSystem) => Partial<FileSystem.FileSystem>,
  options: Files.Options = { durable: true }
) {
  const fs = yield* FileSystem.FileSystem
  const root = yield* fs.makeTempDirectoryScoped()
  const files = Files.make({ ...fs, ...replace(fs) }, yield* Path.Path, root, options)
  yield* files.makeFolder(`${root}/temporary`)
  return { files, fs, root }
})

describe("files", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("syncs a folder once for all who wait while it is synced", () =>
      Effect.gen(function*() {
        let opened = 0
        const latch = yield* Latch.make(true)
        const { files, root } = yield* having((fs) => ({
          open: (path, options) =>
            Effect.suspend(() => {
              opened++
              return Effect.andThen(latch.await, fs.open(path, options))
            })
        }))
        yield* latch.close
        opened = 0
        yield* Effect.all([
          Effect.all(Array.from({ length: 20 }, () => files.sync(root)), { concurrency: "unbounded" }),
          Effect.andThen(Effect.yieldNow, latch.open)
        ], { concurrency: 2 })
        assert.strictEqual(opened, 2)
        yield* files.sync(root)
        assert.strictEqual(opened, 3)
      }))

    it.effect("says of nothing that it is there before its folder is", () =>
      Effect.gen(function*() {
        const made = yield* Latch.make()
        const synced = yield* Latch.make()
        const moved = yield* Latch.make()
        const { files, fs, root } = yield* having((fs) => ({
          makeDirectory: (path, options) => Effect.ensuring(fs.makeDirectory(path, options), made.open),
          open: (path, options) =>
            path.endsWith("/parent") ? Effect.andThen(synced.await, fs.open(path, options)) : fs.open(path, options),
          rename: (from, to) => Effect.tap(fs.rename(from, to), () => to.endsWith("/b") ? moved.open : Effect.void)
        }))
        yield* fs.makeDirectory(`${root}/parent`)
        yield* made.close
        const put = (name: string) => files.put([[`${root}/parent/new/${name}`, new Uint8Array(1)]])
        const first = yield* Effect.forkChild(put("a"))
        yield* made.await
        const second = yield* Effect.forkChild(put("b"))
        yield* moved.await
        // Enough for it to come to an end, if it would.
        yield* Effect.repeat(files.info(`${root}/parent/new/b`), { times: 50 })
        assert.isUndefined(second.pollUnsafe())
        yield* synced.open
        yield* Fiber.join(first)
        yield* Fiber.join(second)
      }))

    it.effect("syncs nothing that need not outlive a loss of power", () =>
      Effect.gen(function*() {
        let synced = 0
        const { files, root } = yield* having((fs) => ({
          open: (path, options) =>
            Effect.map(fs.open(path, options), (file) =>
              new Proxy(file, {
                get: (file, key) => {
                  if (key === "sync") synced++
                  const value: unknown = Reflect.get(file, key)
                  return typeof value === "function" ? value.bind(file) : value
                }
              }))
        }), { durable: false })
        yield* files.put([[`${root}/a/b`, new Uint8Array(3)]])
        yield* files.flush(`${root}/a/b`)
        assert.strictEqual(synced, 0)
        assert.strictEqual((yield* files.info(`${root}/a/b`))?.size, 3)
      }))

    it.effect("leaves nothing of files that could not all be put", () =>
      Effect.gen(function*() {
        const { files, fs, root } = yield* having((fs) => ({
          rename: (from, to) =>
            to.endsWith("/second")
              ? Effect.fail(PlatformError.systemError({
                _tag: "Unknown",
                module: "FileSystem",
                method: "rename",
                pathOrDescriptor: to,
                cause: Object.assign(new Error(), { code: "ENOSPC" })
              }))
              : fs.rename(from, to)
        }))
        const put = files.put([[`${root}/first`, new Uint8Array(1)], [`${root}/second`, new Uint8Array(1)]])
        const error = yield* Effect.flip(put)
        assert.deepStrictEqual([error.reason, error.detail], ["NoSpace", "there is no space left"])
        assert.deepStrictEqual(yield* fs.readDirectory(`${root}/temporary`), [])
        assert.isUndefined(yield* files.info(`${root}/second`))
      }))

    it.effect("leaves nothing of files that were not to be put after all", () =>
      Effect.gen(function*() {
        const { files, fs, root } = yield* having(() => ({}))
        const entries = [[`${root}/first`, new Uint8Array(1)], [`${root}/second`, new Uint8Array(1)]] as const
        assert.isFalse(yield* files.put(entries, () => Effect.succeed(false)))
        assert.deepStrictEqual(yield* fs.readDirectory(root), ["temporary"])
        assert.deepStrictEqual(yield* fs.readDirectory(`${root}/temporary`), [])
      }))

    it.effect("tells clients of no path", () =>
      Effect.gen(function*() {
        const { files, fs, root } = yield* having(() => ({}))
        yield* fs.makeDirectory(`${root}/folder`)
        const error = yield* Effect.flip(files.read(`${root}/folder`))
        assert.strictEqual(error.reason, "Failed")
        assert.notInclude(error.detail, root)
      }))
  })
})
