import { assert, describe, it, onTestFinished } from "@effect/vitest"
import { hashSync } from "bcryptjs"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { text } from "node:stream/consumers"
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

/** A registry of the command on a free port; `ended` is its exit code, or the signal that it died of. */
const serving = async (...args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, [entry, "serve", ...args], { stdio: ["ignore", "pipe", "pipe"] })
  onTestFinished(() => void child.kill("SIGKILL"))
  const ended = once(child, "exit").then(([code, signal]) => code ?? signal)
  const [address] = await once(child.stdout, "data")
  return { child, ended, url: `http://${String(address).trim()}/v2/` }
}

describe.skipIf(process.platform === "win32")("signals", () => {
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    it(`ends in order when it is told to, and says by what: ${signal}`, async () => {
      const { child, ended } = await serving()
      child.kill(signal)
      assert.strictEqual(await ended, code)
    })
  }

  it("goes on where nobody reads any longer what it complains of", async () => {
    const { child, ended, url } = await serving("--log", "json")
    child.stderr.destroy()
    await once(child.stderr, "close")
    assert.strictEqual((await fetch(url)).status, 200)
    assert.strictEqual((await fetch(url)).status, 200)
    child.kill("SIGTERM")
    assert.strictEqual(await ended, 143)
  })
})

it("compares passwords on a thread of their own", async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bin-"))
  try {
    const file = path.join(folder, "users")
    fs.writeFileSync(file, `ann:${hashSync("x", 4)}\n`)
    const { child, ended, url } = await serving("--htpasswd", file)
    const said = text(child.stderr)
    const as = async (password: string) =>
      (await fetch(url, { headers: { authorization: `Basic ${btoa(`ann:${password}`)}` } })).status
    assert.deepStrictEqual([await as("x"), await as("y")], [200, 401])
    child.kill("SIGTERM")
    await ended
    // It would complain of the lack of one.
    assert.strictEqual(await said, "")
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
})
