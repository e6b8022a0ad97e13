import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"

/** Puts a helper of this name on the PATH, for as long as the scope lasts; gives the folder it is in. */
export const install = Effect.fnUntraced(function*(name: string, script: string) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  yield* fs.writeFileString(`${folder}/docker-credential-${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  const before = process.env["PATH"]
  process.env["PATH"] = `${folder}:${before}`
  yield* Effect.addFinalizer(() => Effect.sync(() => process.env["PATH"] = before))
  return folder
})
