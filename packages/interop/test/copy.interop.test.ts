import * as Keychain from "@effect-oci/authn/Keychain"
import * as NodeOci from "@effect-oci/node/NodeOci"
import { Remote } from "@effect-oci/remote/Remote"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import { assert, layer } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as DockerRegistry from "../src/DockerRegistry.ts"
import * as EffectOci from "../src/EffectOci.ts"
import * as Generated from "../src/Generated.ts"
import * as Peer from "../src/Peer.ts"

const MiB = 1024 * 1024
const platforms = ["amd64", "arm64", "ppc64le", "s390x", "riscv64"]

/** Seeds one registry, copies to another by the command, and lets crane compare. */
const copied = Effect.fnUntraced(function*(
  make: (generated: Generated.Generated) => Effect.Effect<Descriptor.Descriptor>
) {
  const source = yield* DockerRegistry.make()
  const target = yield* DockerRegistry.make()
  const generated = Generated.make()
  const descriptor = yield* make(generated)
  const remote = yield* Remote
  yield* remote.copy({ store: generated, descriptor }, `${source.host}/from/app:1`)
  const ran = yield* EffectOci.run(["copy", `${source.host}/from/app:1`, `${target.host}/to/app:2`])
  assert.strictEqual(ran.stderr, "")
  assert.strictEqual(ran.code, 0)
  assert.include(ran.stdout, descriptor.digest)
  assert.strictEqual((yield* Peer.run("crane", ["digest", `${target.host}/to/app:2`])).trim(), descriptor.digest)
  return { ran, target: `${target.host}/to/app:2` }
})

const validate = (reference: string) =>
  Effect.map(Peer.run("crane", ["validate", "--remote", reference]), (printed) => assert.include(printed, "PASS"))

layer(NodeOci.layerWith(Keychain.layerAnonymous), { excludeTestServices: true })("effect-oci copy", (it) => {
  it.effect("an index of 5 platforms x 20 layers, as crane validates it", () =>
    Effect.gen(function*() {
      const { target } = yield* copied((generated) =>
        Effect.map(
          Effect.forEach(platforms, (architecture) =>
            Effect.map(
              generated.image(Array(20).fill(10_000), architecture),
              (image) => [architecture, image] as const
            )),
          generated.index
        )
      )
      yield* validate(target)
    }))

  it.effect("an image of 8 x 64 MiB", () =>
    Effect.gen(function*() {
      const { ran, target } = yield* copied((generated) => generated.image(Array(8).fill(64 * MiB)))
      yield* Console.log(`8 x 64 MiB: ${ran.peakMemory} MiB at most`)
      yield* validate(target)
    }))

  it.effect("a blob of 1 GiB, and one of 4 GiB in the same memory", () =>
    Effect.gen(function*() {
      const one = yield* copied((generated) => generated.image([1024 * MiB]))
      yield* validate(one.target)
      const four = yield* copied((generated) => generated.image([4096 * MiB]))
      yield* Console.log(`1 GiB: ${one.ran.peakMemory} MiB at most; 4 GiB: ${four.ran.peakMemory} MiB`)
      assert.isBelow(one.ran.peakMemory, 300)
      assert.isBelow(four.ran.peakMemory, 300)
    }))
})
