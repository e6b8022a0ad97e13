import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"

const entry = fileURLToPath(new URL("../bin.cjs", import.meta.url))

describe.skipIf(!fs.existsSync("/dev/full"))("bin", () => {
  for (const args of [["ref", "ubuntu"], ["--help"]]) {
    it(`fails where what it prints cannot be written: ${args.join(" ")}`, () => {
      const full = fs.openSync("/dev/full", "w")
      const { status, stderr } = spawnSync(process.execPath, [entry, ...args], {
        encoding: "utf8",
        stdio: ["ignore", full, "pipe"]
      })
      fs.closeSync(full)
      assert.match(stderr, /^effect-oci: what was printed is not whole: ENOSPC.*\n$/)
      assert.strictEqual(status, 1)
    })
  }

  it("is silent where whoever reads has read enough", () => {
    const { status, stderr } = spawnSync("sh", ["-c", `"$0" "$@" | true`, process.execPath, entry, "--help"], {
      encoding: "utf8"
    })
    assert.deepStrictEqual([status, stderr], [0, ""])
  })
})
