import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const entry = fileURLToPath(new URL("../bin.cjs", import.meta.url))

/** Runs the built command with a cache of its own; gives what it prints, and the files that were kept. */
const inFolder = (test: (run: (env?: Record<string, string>) => string, kept: () => Array<string>) => void) => () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "load-"))
  try {
    const run = (env: Record<string, string> = {}) => {
      const { status, stderr, stdout } = spawnSync(process.execPath, [entry, "ref", "ubuntu"], {
        encoding: "utf8",
        env: { PATH: process.env["PATH"], HOME: folder, TMPDIR: folder, XDG_CACHE_HOME: `${folder}/cache`, ...env }
      })
      assert.deepStrictEqual([status, stderr], [0, ""])
      return stdout
    }
    const kept = () =>
      fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".bin")).map((
        name
      ) => path.join(folder, name))
    test(run, kept)
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

const times = (files: ReadonlyArray<string>) => files.map((file) => fs.statSync(file).mtimeMs)

// Windows has neither such modes nor /dev/null.
describe.skipIf(process.platform === "win32")("load", () => {
  it(
    "keeps what was compiled, for the same command",
    inFolder((run, kept) => {
      const first = run()
      const files = kept()
      assert.isTrue(files.some((file) => path.basename(file).startsWith("ref-effect-oci-")))
      for (const file of files) assert.strictEqual(fs.statSync(file).mode & 0o077, 0)
      const before = times(files)
      assert.strictEqual(run(), first)
      assert.deepStrictEqual([kept(), times(files)], [files, before])
    })
  )

  it(
    "believes no file that is damaged, and makes it anew",
    inFolder((run, kept) => {
      const first = run()
      const files = kept()
      for (
        const damage of [
          (bytes: Buffer) => bytes.subarray(0, bytes.length / 2),
          (bytes: Buffer) => bytes.fill(0x41, bytes.length / 2, bytes.length / 2 + 64),
          () => Buffer.alloc(0)
        ]
      ) {
        const whole = files.map((file) => fs.readFileSync(file).length)
        for (const file of files) fs.writeFileSync(file, damage(fs.readFileSync(file)))
        assert.strictEqual(run(), first)
        files.forEach((file, at) => assert.isAbove(fs.readFileSync(file).length, whole[at]! / 2))
        assert.strictEqual(run(), first)
      }
    })
  )

  it(
    "believes no folder that others can write to",
    inFolder((run, kept) => {
      const first = run()
      const [file] = kept()
      const folder = path.dirname(file!)
      const cache = path.dirname(folder)
      fs.rmSync(cache, { recursive: true })
      fs.mkdirSync(cache, { recursive: true })
      fs.chmodSync(cache, 0o777)
      assert.strictEqual(run(), first)
      assert.deepStrictEqual(kept().filter((file) => file.startsWith(cache)), [])
      // The folder for temporary files is the next best.
      assert.isAbove(kept().length, 0)
    })
  )

  it(
    "makes no home for who has none",
    inFolder((run, kept) => {
      const home = path.join(os.tmpdir(), `none-${process.pid}`)
      run({ HOME: home, XDG_CACHE_HOME: "" })
      assert.isFalse(fs.existsSync(home))
      assert.isAbove(kept().length, 0)
    })
  )

  it(
    "runs without where nothing can be kept, or shall be",
    inFolder((run, kept) => {
      const first = run({ NODE_DISABLE_COMPILE_CACHE: "1" })
      assert.deepStrictEqual(kept(), [])
      assert.strictEqual(run({ XDG_CACHE_HOME: "/dev/null/x", TMPDIR: "/dev/null" }), first)
      assert.deepStrictEqual(kept(), [])
    })
  )

  it(
    "loads nothing of Node that it may never need",
    inFolder((run, kept) => {
      run()
      const told = path.join(path.dirname(kept()[0]!), "told.cjs")
      fs.writeFileSync(told, `process.on("exit", () => console.log(process.moduleLoadList.join("\\n")))`)
      const lines = run({ NODE_OPTIONS: `--require=${told}` }).split("\n")
      assert.include(lines, "NativeModule crypto")
      for (const name of ["child_process", "readline", "tls", "zlib"]) {
        assert.notInclude(lines, `NativeModule ${name}`)
      }
    })
  )

  it(
    "runs though another one has just removed what an old version left",
    inFolder((run, kept) => {
      const first = run()
      const cache = path.dirname(path.dirname(kept()[0]!))
      fs.rmSync(cache, { recursive: true })
      // A folder that is listed, and gone when it is looked at.
      const gone = path.join(path.dirname(cache), "gone.cjs")
      fs.writeFileSync(
        gone,
        `const fs = require("node:fs"); const { readdirSync } = fs
fs.readdirSync = (...of) => of[0].endsWith("effect-oci") ? ["0123456789abcdef"] : readdirSync(...of)`
      )
      assert.strictEqual(run({ NODE_OPTIONS: `--require=${gone}` }), first)
      assert.isAbove(kept().length, 0)
    })
  )
})
