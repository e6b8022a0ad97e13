/**
 * Makes one file of the command, so that it starts fast: `dist/bundle` of packages/cli, and a file for each part that
 * only some commands load; `load.cjs` there runs it. Wants `tsc -b` before.
 */
import * as Effect from "effect/Effect"
import { mkdir, rm, writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { build, type Plugin } from "rolldown"
import * as Main from "./Main.ts"
import { CheckFailed } from "./Problem.ts"

const cli = fileURLToPath(new URL("../../cli/", import.meta.url))

/** undici is seldom needed, and CommonJS, which loses its exports in a bundle where it is loaded by a dynamic import. */
const undici: Plugin = {
  name: "undici",
  resolveId: (id) =>
    /(?:^\.|^@effect\/platform-node)\/Undici(?:\.js)?$/.test(id)
      ? { id: "@effect/platform-node/Undici", external: true }
      : undefined
}

/** Effect makes one when it is loaded, for tables and help, which takes longer than all else that is done then. */
const segmenter: Plugin = {
  name: "segmenter",
  transform: {
    filter: { id: /effect\/dist\/cli\/CliOutput\.js$/ },
    handler: (code) => {
      const [whole, name, made] = /const (\w+) = \S*\s*(new Intl\.Segmenter\([^)]*\));/.exec(code) ?? []
      if (whole === undefined) throw new Error("CliOutput makes no Segmenter any more: what makes it later can go")
      return code.replace(whole, `let made; const ${name} = { segment: (text) => (made ??= ${made}).segment(text) };`)
    }
  }
}

/** Of Node, but few commands need it: together they take longer to load than Effect. */
const seldom = new Set(["child_process", "readline", "tls", "zlib"])

/** Modules of Node as they are, not copied into a namespace each; those that are seldom needed, when they are. */
const builtins = (code: string): string =>
  code.replace(
    /let (\w+)=require\("node:(\w+)"\);(?:\1=require_rolldown_runtime\.n\(\1,1\);)?/g,
    (whole, name: string, module: string) =>
      code.includes(`${name}.default`)
        ? whole
        : `const ${name}=${
          seldom.has(module)
            ? `new Proxy({},{get:(_,key)=>require("node:${module}")[key]})`
            : `require("node:${module}")`
        };`
  )

/** Text whose characters take a byte each is half as large in memory, and is read in less time. */
const ascii = (code: string): string =>
  code.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** Names stay, for the sake of whoever reads a stack. */
const minify = { compress: false, mangle: false, codegen: true }

const make = async () => {
  const dir = `${cli}dist/bundle`
  // Parts have names of their own content: those of yesterday would stay for ever.
  await rm(dir, { recursive: true, force: true })
  const { output } = await build({
    input: { "effect-oci": `${cli}dist/bin.js` },
    platform: "node",
    plugins: [undici, segmenter],
    // It is empty outside of a bundler of the web, as it is asked to be there, but for where a part is.
    transform: {
      define: { "import.meta": "{}", "import.meta.url": `require("node:url").pathToFileURL(__filename).href` }
    },
    logLevel: "warn",
    write: false,
    output: {
      dir,
      // Scripts, of which more can be kept compiled than of modules; named by what is in them.
      format: "cjs",
      entryFileNames: "[name]-[hash].cjs",
      chunkFileNames: "[name]-[hash].cjs",
      minify
    }
  })
  await mkdir(dir, { recursive: true })
  const parts = output.filter((part) => part.type === "chunk")
  // Each is a function, as `load.cjs` calls it, which would have to copy it else.
  await Promise.all(
    parts.map(({ code, fileName }) =>
      writeFile(
        `${dir}/${fileName}`,
        `(function(exports,require,module,__filename){${ascii(builtins(code))}\n})`,
        "latin1"
      )
    )
  )
  // A thread begins with a file that Node runs by itself.
  await build({
    input: { "internal/bcrypt": `${cli}../node/dist/internal/bcrypt.js` },
    platform: "node",
    logLevel: "warn",
    output: { dir, format: "cjs", entryFileNames: "[name].cjs", minify }
  })
  const entry = parts.find((part) => part.isEntry)
  await writeFile(`${dir}/entry`, entry?.fileName ?? "")
}

export const main = Effect.tryPromise({
  try: make,
  catch: (error) => new CheckFailed({ message: `the bundle: ${String(error)}` })
})

if (import.meta.main) Main.run(main)
