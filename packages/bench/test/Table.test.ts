import { assert, describe, it } from "@effect/vitest"
import * as Table from "../src/Table.ts"

const figures = (cpu: number, wall: number, memory: number): Table.Figures => ({ cpu, wall, memory, requests: 4 })

describe("Table", () => {
  it("takes the middle one, or the mean of the two in the middle", () => {
    assert.strictEqual(Table.median([3, 1, 2]), 2)
    assert.strictEqual(Table.median([4, 1, 3, 2]), 2.5)
    assert.strictEqual(Table.median([7]), 7)
    assert.isNaN(Table.median([]))
  })

  it("shows medians, how far apart the rounds were, ratios, and the worst peak", () => {
    const table = Table.markdown([
      { tool: "ours", rounds: [figures(1, 4, 80), figures(3, 8, 90), figures(2, 6, 85)] },
      { tool: "crane", rounds: [figures(4, 3, 12)] }
    ], "crane")
    assert.deepStrictEqual(table.split("\n").slice(2), [
      "| ours | 2.00 (1.00-3.00) | 0.50 | 6.00 (4.00-8.00) | 2.00 | 90 | 4 |",
      "| crane | 4.00 | 1.00 | 3.00 | 1.00 | 12 | 4 |"
    ])
  })

  it("says why there are no figures, and what was not counted", () => {
    const table = Table.markdown([
      { tool: "ours", rounds: [{ ...figures(0.5, 0.25, 10), requests: undefined }] },
      { tool: "crane", rounds: [], failure: "failed: exit code 1" }
    ], "crane")
    assert.deepStrictEqual(table.split("\n").slice(2), [
      "| ours | 0.500 |  | 0.250 |  | 10 |  |",
      "| crane | failed: exit code 1 | | | | | |"
    ])
  })
})
