/**
 * What `npm run check` runs: everything that .ci/run does but for the peers of packages/interop. It stops at the first
 * step that fails. `--no-tests` leaves the tests out, for who has just run them.
 */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as barrels from "./barrels.ts"
import * as bundle from "./bundle.ts"
import * as Main from "./Main.ts"
import { CheckFailed } from "./Problem.ts"
import * as readme from "./readme.ts"
import * as rooms from "./rooms.ts"
import * as Tool from "./Tool.ts"

const types = Effect.gen(function*() {
  const { text } = yield* Tool.output("tsc", "--version")
  if (!text.includes("effect-tsgo")) {
    return yield* new CheckFailed({ message: "tsc lacks the Effect diagnostics: run npx effect-tsgo patch" })
  }
  yield* Tool.run("tsc", "-b", "--pretty")
})

const steps = {
  format: Tool.run("dprint", "check"),
  types,
  bundle: bundle.main,
  // After the build: what other packages export, it reads there.
  lint: Tool.run("oxlint", "--deny-warnings"),
  rooms: rooms.main,
  barrels: barrels.main,
  readme: readme.main,
  tests: process.argv.includes("--no-tests")
    ? Effect.void
    : Tool.run("vitest", "run", "--config", "vitest.workspace.ts")
}

const main = Effect.gen(function*() {
  for (const [name, step] of Object.entries(steps)) {
    yield* Console.log(`check ${name}`)
    const start = yield* Clock.currentTimeMillis
    yield* Effect.mapError(step, (error) => new CheckFailed({ message: `check ${name} failed: ${error.message}` }))
    yield* Console.log(`check ${name}: ${(((yield* Clock.currentTimeMillis) - start) / 1000).toFixed(1)} s`)
  }
  yield* Console.log("check passed")
})

Main.run(main)
