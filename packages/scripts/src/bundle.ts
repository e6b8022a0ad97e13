/**
 * Makes one file of the command, so that it starts fast: `dist/bundle/effect-oci.js` of packages/cli, and a file for each
 * part that only some commands load. Wants `tsc -b` before.
 */
import * as Effect from "effect/Effect"
import { rm } from "node:fs/promises"
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
  await build({
    input: { "effect-oci": `${cli}dist/bin.js` },
    platform: "node",
    plugins: [undici],
    logLevel: "warn",
    // Names stay, for the sake of whoever reads a stack.
    output: { dir, format: "esm", minify: { compress: false, mangle: false, codegen: true } }
  })
}

export const main = Effect.tryPromise({
  try: make,
  catch: (error) => new CheckFailed({ message: `the bundle: ${String(error)}` })
})

if (import.meta.main) Main.run(main)
