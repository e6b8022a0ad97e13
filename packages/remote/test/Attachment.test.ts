import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Remote from "../src/Remote.ts"
import { bytes } from "./image.ts"
import { layer, patiently } from "./registries.ts"

const app = "ghcr.io/acme/app"

describe("Attachment", () => {
  for (const referrers of [true, false]) {
    it.effect(`is found among what refers to its subject, ${referrers ? "with" : "without"} an endpoint`, () =>
      Effect.gen(function*() {
        const fake = yield* FakeRegistry.FakeRegistry
        const remote = yield* Remote.Remote
        const subject = yield* fake.seed(`${app}:1`, FakeImage.image())
        yield* fake.inject(Fault.lie({ length: 7 }).on("HEAD", "/manifests/1").always())
        const attached = yield* patiently(remote.attach(`${app}:1`, {
          artifactType: "application/spdx+json",
          blobs: [
            { mediaType: "application/spdx+json", bytes: bytes(10, 1), annotations: { name: "a" } },
            { mediaType: "text/plain", bytes: Stream.make(bytes(5, 2), bytes(5, 3)) }
          ],
          annotations: { by: "acme" }
        }))
        const [found, ...rest] = yield* Stream.runCollect(remote.referrers(`${app}:1`))
        assert.deepStrictEqual(rest, [])
        assert.strictEqual(found!.digest, attached.descriptor.digest)
        assert.strictEqual(found!.artifactType, "application/spdx+json")
        assert.strictEqual(found!.annotations?.["by"], "acme")
        const artifact = yield* remote.artifact(`${app}@${found!.digest}`)
        // B36: as long as the bytes are, whatever HEAD says.
        assert.strictEqual(artifact.subject?.digest, subject.digest)
        assert.strictEqual(artifact.subject?.size, subject.size)
        assert.deepStrictEqual(artifact.blobs.map(({ descriptor }) => [descriptor.mediaType, descriptor.size]), [
          ["application/spdx+json", 10],
          ["text/plain", 10]
        ])
        assert.deepStrictEqual(yield* Stream.mkUint8Array(artifact.blobs[0]!.bytes), bytes(10, 1))
      }).pipe(Effect.provide(layer({ settings: { referrers } }))))
  }

  it.effect("that holds nothing has the empty descriptor for a layer", () =>
    Effect.gen(function*() {
      const fake = yield* FakeRegistry.FakeRegistry
      const remote = yield* Remote.Remote
      yield* fake.seed(`${app}:1`, FakeImage.image())
      const { reference } = yield* remote.attach(`${app}:1`, { artifactType: "application/vnd.acme.mark" })
      const { manifest } = yield* remote.artifact(reference)
      assert.deepStrictEqual(manifest.layers.map(({ mediaType }) => mediaType), [MediaType.ociEmpty])
      assert.strictEqual(manifest.config.mediaType, MediaType.ociEmpty)
    }).pipe(Effect.provide(layer())))
})
