import type * as Digest from "@effect-oci/name/Digest"
import { assert, describe, it } from "@effect/vitest"
import * as Hints from "../../../src/internal/disk/hints.ts"

const digest = (n: number) => `sha256:${n}` as Digest.Digest

describe("hints", () => {
  it("forget the oldest when there are too many", () => {
    const hints = Hints.make(2, 2)
    for (const repository of ["a", "b", "a", "c"]) hints.add(digest(1), repository)
    assert.deepStrictEqual(hints.get(digest(1)), ["a", "c"])
    hints.add(digest(2), "a")
    hints.add(digest(1), "a")
    hints.add(digest(3), "a")
    assert.deepStrictEqual(hints.get(digest(2)), [])
    assert.deepStrictEqual(hints.get(digest(1)), ["c", "a"])
    hints.remove(digest(1), "c")
    assert.deepStrictEqual(hints.get(digest(1)), ["a"])
  })
})
