import * as Repository from "@effect-oci/name/Repository"
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Lent from "../../content/test/lent.ts"
import * as RemoteStore from "../src/RemoteStore.ts"
import * as Uploads from "../src/Uploads.ts"
import { layer } from "./registries.ts"

const store = RemoteStore.make(Repository.parseUnsafe("ghcr.io/acme/app"))

describe("RemoteStore", () => {
  describe.each([
    ["in one request", 100_001],
    ["that resumes", Uploads.monolithicLimit + 100_001],
    ["in more than one chunk", Uploads.chunkSize + 100_001]
  ])("%s", (_, size) => {
    it.effect(
      "keeps what it was only lent",
      () => Effect.flatMap(store, (store) => Lent.keeps(store, size)).pipe(Effect.provide(layer())),
      30_000
    )
  })
})
