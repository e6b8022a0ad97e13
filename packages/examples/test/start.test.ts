import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const start = fileURLToPath(new URL("../src/start.ts", import.meta.url))

describe("start", () => {
  it("shows what it can do, and ends", () => {
    // Killed after this time, it has no status.
    const { status, stderr, stdout } = spawnSync(process.execPath, ["--conditions=@effect-oci/source", start], {
      encoding: "utf8",
      timeout: 50_000
    })
    assert.deepStrictEqual([status, stderr], [0, ""])
    assert.include(stdout, "The digest is the one that was pushed")
  })
})
