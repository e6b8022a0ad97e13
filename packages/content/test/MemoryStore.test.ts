import { describe, it } from "@effect/vitest"
import * as MemoryStore from "../src/MemoryStore.ts"
import * as Lent from "./lent.ts"

describe("MemoryStore", () => {
  it.effect("keeps what it was only lent", () => Lent.keeps(MemoryStore.make()))
})
