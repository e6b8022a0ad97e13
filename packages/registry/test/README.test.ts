import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { fileURLToPath } from "node:url"

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

describe("README", () => {
  it.live("shows the recipes as they are run", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const text = yield* fs.readFileString(at("../README.md"))
      const shown = [...text.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code)
      const run = yield* Effect.forEach(["unit", "fault", "served"], (name) =>
        fs.readFileString(at(`recipes/${name}.test.ts`)))
      assert.deepStrictEqual(shown, run)
    }).pipe(Effect.provide(NodeFileSystem.layer)))
})
