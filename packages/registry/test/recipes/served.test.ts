import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as NodeOci from "@effect-oci/node/NodeOci"
import * as NodeRegistry from "@effect-oci/node/NodeRegistry"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as Fault from "@effect-oci/registry/Fault"
import * as Policy from "@effect-oci/registry/Policy"
import * as Remote from "@effect-oci/remote/Remote"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

it.live("serves what a job needs, until the job is done", () =>
  Effect.gen(function*() {
    // A free port of this machine; crane, docker and the like reach it as well.
    const host = yield* NodeRegistry.serve({
      auth: {
        scheme: "basic",
        users: { ci: "s3cret" },
        allow: Policy.some(Policy.anybody("base/**"), Policy.user("ci", "app", ["pull", "push"]))
      },
      seed: { "base/node:24": FakeImage.index() },
      faults: [Fault.status(503).on("PUT", "/manifests/")]
    })
    const tags = yield* Effect.gen(function*() {
      const remote = yield* Remote.Remote
      yield* remote.copy(`${host}/base/node:24`, `${host}/app:1`)
      return yield* Stream.runCollect(remote.list(`${host}/app`))
    }).pipe(
      Effect.provide(
        NodeOci.layerWith(Keychain.layerMemory([[host, Credential.basic("ci", "s3cret")]]))
      )
    )
    assert.deepStrictEqual(tags, ["1"])
  }).pipe(Effect.scoped))
