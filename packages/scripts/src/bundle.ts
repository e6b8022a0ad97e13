/**
 * Makes one file of the command, so that it starts fast: `dist/bundle` of packages/cli, and a file for each part that
 * only some commands load; `load.cjs` there runs it. Wants `tsc -b` before.
 */
import * as Effect from "effect/Effect"
import { rm, writeFile } from "node:fs/promises"
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

const make = async () => {
  const dir = `${cli}dist/bundle`
  // Parts have names of their own content: those of yesterday would stay for ever.
  await rm(dir, { recursive: true, force: true })
  const { output } = await build({
    input: { "effect-oci": `${cli}dist/bin.js` },
    platform: "node",
    plugins: [undici],
    // It is empty outside of a bundler of the web, as it is asked to be there.
    transform: { define: { "import.meta": "{}" } },
    logLevel: "warn",
    output: {
      dir,
      // Scripts, of which more can be kept compiled than of modules; named by what is in them.
      format: "cjs",
      entryFileNames: "[name]-[hash].cjs",
      chunkFileNames: "[name]-[hash].cjs",
      // Names stay, for the sake of whoever reads a stack.
      minify: { compress: false, mangle: false, codegen: true }
    }
  })
  const entry = output.find((part) => part.type === "chunk" && part.isEntry)
  await writeFile(`${dir}/entry`, entry?.fileName ?? "")
}

export const main = Effect.tryPromise({
  try: make,
  catch: (error) => new CheckFailed({ message: `the bundle: ${String(error)}` })
})

if (import.meta.main) Main.run(main)
