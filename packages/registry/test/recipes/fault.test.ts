import * as Keychain from "@effect-oci/authn/Keychain"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as Remote from "@effect-oci/remote/Remote"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"

const registries = FakeRegistry.layer({
  hosts: ["ghcr.io", "registry.acme.dev"],
  seed: { "ghcr.io/acme/app:1": FakeImage.image({ size: 1_000_000 }) },
  link: { latency: "20 millis" },
  faults: [
    // A layer that breaks off, then a target that is busy for half a minute, then one that forgets an upload.
    Fault.truncate(300_000).at("ghcr.io").on("GET", "/blobs/"),
    Fault.rateLimit(30).at("registry.acme.dev").on("POST", "/uploads/").lasting("30 seconds"),
    ...Fault.sequence(Fault.sessionLost.on("PUT", "/uploads/"), Fault.status(503).on("PUT", "/manifests/").times(2))
  ]
})

const layer = Remote.layer.pipe(
  Layer.provideMerge(Transport.layer),
  Layer.provideMerge(registries),
  Layer.provide(Keychain.layerAnonymous)
)

it.effect("copies all the same, and takes as long as it was asked to wait", () =>
  Effect.gen(function*() {
    const remote = yield* Remote.Remote
    const fake = yield* FakeRegistry.FakeRegistry
    const copying = yield* Effect.forkChild(remote.copy("ghcr.io/acme/app:1", "registry.acme.dev/app:1"))
    yield* TestClock.adjust("25 seconds")
    assert.deepStrictEqual(yield* fake.tags("registry.acme.dev/app"), [])
    yield* TestClock.adjust("5 minutes")
    yield* Fiber.join(copying)
    assert.deepStrictEqual(yield* fake.tags("registry.acme.dev/app"), ["1"])
    assert.deepStrictEqual(yield* fake.unmet, [])
  }).pipe(Effect.provide(layer)))
