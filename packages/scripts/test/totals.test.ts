import { assert, describe, it } from "@effect/vitest"
import * as totals from "../src/totals.ts"

const file = (status: string, ...tests: ReadonlyArray<string>) => ({
  status,
  assertionResults: tests.map((one) => ({ status: one }))
})

describe("totals", () => {
  it("adds up the tests of all reports", () => {
    const reports = [
      { testResults: [file("passed", "passed", "passed", "skipped"), file("failed", "passed", "failed")] },
      { testResults: [file("passed", "passed")] }
    ]
    assert.deepStrictEqual(totals.add(reports), { passed: 4, failed: 1 })
  })

  it("counts a file that could not be loaded as one failed test", () => {
    assert.deepStrictEqual(totals.add([{ testResults: [file("failed"), file("failed", "passed")] }]), {
      passed: 1,
      failed: 2
    })
  })
})
