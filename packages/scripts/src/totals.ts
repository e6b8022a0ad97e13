/**
 * Adds up what vitest's json reporter wrote, and prints `N passed, N failed`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"

const Report = Schema.Struct({
  testResults: Schema.Array(Schema.Struct({
    status: Schema.String,
    assertionResults: Schema.Array(Schema.Struct({ status: Schema.String }))
  }))
})

const decode = Schema.decodeEffect(Schema.fromJsonString(Report))

/**
 * The totals of some reports. A test file that failed without a failed test, because it could not be loaded say,
 * counts as one failed test.
 */
export const add = (reports: ReadonlyArray<typeof Report.Type>) => {
  const files = reports.flatMap((report) => report.testResults)
  const count = (status: string) =>
    files.flatMap((file) => file.assertionResults).filter((test) => test.status === status).length
  const unloaded = files.filter((file) =>
    file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed")
  )
  return { passed: count("passed"), failed: count("failed") + unloaded.length }
}

const main = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const reports: Array<typeof Report.Type> = []
  for (const path of process.argv.slice(2)) {
    // A stage that never came to its tests has said so itself.
    if (yield* fs.exists(path)) reports.push(yield* Effect.flatMap(fs.readFileString(path), decode))
  }
  const { failed, passed } = add(reports)
  yield* Console.log(`${passed} passed, ${failed} failed`)
  if (failed > 0 || passed === 0) return yield* Effect.fail("failed")
})

// The totals are the last line, so a failure is told by the exit code alone.
if (import.meta.main) {
  NodeRuntime.runMain(Effect.provide(main, NodeServices.layer), { disableErrorReporting: true })
}
