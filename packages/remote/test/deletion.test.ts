import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Referrers from "../src/Referrers.ts"
import * as Remote from "../src/Remote.ts"
import { layer, patiently } from "./registries.ts"

describe("deleting with referrers", () => {
  for (const referrers of [true, false]) {
    it.effect(`leaves what a list names and does not refer to it, ${referrers ? "with" : "without"} the endpoint`, () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const subject = yield* fake.seed("ghcr.io/acme/app:1", FakeImage.image())
        const other = yield* FakeImage.image({ seed: "other" })
        yield* fake.seed("ghcr.io/acme/app:production", other)
        // Whoever may push a tag may write such a list.
        yield* fake.seed(`ghcr.io/acme/app:${Referrers.tagOf(subject.digest)}`, FakeImage.indexOf([other]))
        const remote = yield* Remote.Remote
        yield* patiently(remote.delete(`ghcr.io/acme/app@${subject.digest}`, { referrers: true }))
        const tags = yield* fake.tags("ghcr.io/acme/app")
        assert.include(tags, "production")
        assert.notInclude(tags, "1")
      }).pipe(Effect.provide(layer({ settings: { referrers } }))))
  }
})
