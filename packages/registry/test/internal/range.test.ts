import { assert, describe, it } from "@effect/vitest"
import * as Range from "../../src/internal/range.ts"

const table: ReadonlyArray<readonly [header: string | undefined, expected: string]> = [
  [undefined, "whole"],
  ["bytes=0-0", "0-0"],
  ["bytes=0-10", "0-10"],
  ["bytes=0-99", "0-10"],
  ["bytes=0-", "0-10"],
  ["bytes=6-", "6-10"],
  ["bytes=10-10", "10-10"],
  ["bytes=-1", "10-10"],
  ["bytes=-5", "6-10"],
  ["bytes=-99", "0-10"],
  ["Bytes=2-3", "2-3"],
  ["bytes=-0", "unsatisfiable"],
  ["bytes=11-", "unsatisfiable"],
  ["bytes=99-100", "unsatisfiable"],
  // RFC 9110: who does not understand a Range ignores it.
  ["bytes=4-2", "whole"],
  ["bytes=0-1,3-4", "whole"],
  ["bytes=", "whole"],
  ["bytes=-", "whole"],
  ["bytes=a-b", "whole"],
  ["bytes=0-1x", "whole"],
  ["bytes 0-1", "whole"],
  ["items=0-1", "whole"],
  ["bytes=99999999999999999999-", "whole"]
]

describe("Range", () => {
  describe("parse", () => {
    it("reads one range of 11 bytes by RFC 9110", () => {
      assert.deepStrictEqual(
        table.map(([header]) => {
          const range = Range.parse(header, 11)
          return range === undefined ? "whole" : range === "unsatisfiable" ? range : `${range.start}-${range.end - 1}`
        }),
        table.map(([, expected]) => expected)
      )
    })

    it("satisfies nothing of no bytes", () => {
      for (const header of ["bytes=0-0", "bytes=0-", "bytes=-5"]) {
        assert.strictEqual(Range.parse(header, 0), "unsatisfiable")
      }
    })
  })
})
