import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Remote from "@effect-oci/remote/Remote"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

// The program: it knows nothing of tests.
const promote = Effect.fn("promote")(function*(version: string) {
  const remote = yield* Remote.Remote
  yield* remote.copy(`ghcr.io/acme/app:${version}`, "registry.acme.dev/app:stable")
})

const registries = FakeRegistry.layer({
  hosts: ["ghcr.io", { name: "registry.acme.dev", auth: { scheme: "bearer", users: { ci: "s3cret" } } }],
  seed: { "ghcr.io/acme/app:1.2": FakeImage.index({ platforms: ["linux/amd64", "linux/arm64"] }) }
})

const layer = Remote.layer.pipe(
  Layer.provideMerge(Transport.layer),
  Layer.provideMerge(registries),
  Layer.provide(Keychain.layerMemory([["registry.acme.dev", Credential.basic("ci", "s3cret")]]))
)

it.effect("promotes all platforms under the tag", () =>
  Effect.gen(function*() {
    yield* promote("1.2")
    const fake = yield* FakeRegistry.FakeRegistry
    assert.deepStrictEqual(yield* fake.tags("registry.acme.dev/app"), ["stable"])
    assert.deepStrictEqual(
      yield* fake.manifest("registry.acme.dev/app:stable"),
      yield* fake.manifest("ghcr.io/acme/app:1.2")
    )
    const written = (yield* fake.requests).filter(({ host, method }) => host === "ghcr.io" && method !== "GET")
    assert.isTrue(written.every(({ method }) => method === "HEAD"))
  }).pipe(Effect.provide(layer)))
