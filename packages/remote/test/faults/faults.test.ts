import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as Mirror from "@effect-oci/transport/Mirror"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import * as Remote from "../../src/Remote.ts"
import * as Content from "../image.ts"
import { bounds, type Case, cases, hasMet, layerOf, sizes, strays } from "./cases.ts"
import * as Wire from "./wire.ts"

const from = "source.test/app:1"
const mirrored = "mirror.test/app:1"
const to = "target.test/app:1"
const user = Credential.basic("ann", "s3cret")

const registries = Layer.unwrap(Effect.sync(() => {
  const auth = { scheme: "bearer", users: { ann: "s3cret" } } as const
  return FakeRegistry.layer({ hosts: ["source.test", "mirror.test", "target.test"], auth })
}))

const program = (wire: Wire.Wire, { mirror, outage }: Partial<Case> = {}) =>
  Remote.layer.pipe(
    Layer.provideMerge(Transport.layer),
    Layer.provide(Mirror.layer(mirror === undefined ? [] : [{ of: "source.test", at: "mirror.test" }])),
    Layer.provide(Wire.layer(wire, outage === undefined ? undefined : { host: "source.test", ...outage })),
    Layer.provide(Keychain.layerMemory(["source.test", "mirror.test", "target.test"].map((host) => [host, user])))
  )

/** Runs something that waits, as fast as it will go. */
const drive = Effect.fnUntraced(function*<A, E, R>(self: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkChild(Effect.exit(self))
  let seconds = 0
  while (fiber.pollUnsafe() === undefined && seconds < 600) {
    // All that can go on goes on before time does.
    for (let i = 0; i < 20; i++) yield* Effect.promise(() => new Promise((resume) => setImmediate(resume)))
    if (fiber.pollUnsafe() !== undefined) break
    yield* TestClock.adjust("250 millis")
    seconds += 0.25
  }
  assert.isDefined(fiber.pollUnsafe(), "still waiting after 10 minutes")
  return { exit: yield* Fiber.join(fiber), seconds }
})

const seeded = Effect.fnUntraced(function*(layer: Uint8Array) {
  const store = MemoryStore.make("seed")
  const descriptor = yield* Content.image(store, { layers: [layer] })
  yield* Effect.gen(function*() {
    const remote = yield* Remote.Remote
    yield* remote.copy({ store, descriptor }, from)
    yield* remote.copy({ store, descriptor }, mirrored)
    // The config is there, so that faults strike the layer.
    const { manifest } = yield* remote.image(from)
    const target = yield* remote.store("target.test/app")
    yield* target.push(manifest.config, (offset) => store.fetch(manifest.config, offset))
  }).pipe(Effect.provide(program(Wire.make())))
  return descriptor
})

const run = Effect.fnUntraced(function*(fault: Case, layer: Uint8Array) {
  const descriptor = yield* seeded(layer)
  const fake = yield* FakeRegistry.FakeRegistry
  yield* fake.inject(...(fault.source ?? []).map((one) => one.at("source.test")))
  yield* fake.inject(...(fault.mirror ?? []).map((one) => one.at("mirror.test")))
  yield* fake.inject(...(fault.target ?? []).map((one) => one.at("target.test")))
  const wire = Wire.make()
  const copy = Effect.flatMap(Remote.Remote, (remote) => remote.copy(from, to, { verify: fault.verify }))
  const { exit, seconds } = yield* drive(
    Effect.provide(Wire.skewed(fault.skew ?? 0)(copy), program(wire, fault))
  )
  return {
    ...wire,
    exit,
    seconds,
    asked: wire.uploads,
    down: wire.down / layer.length,
    up: wire.up / layer.length,
    tags: yield* fake.tags("target.test/app"),
    struck: yield* fake.struck,
    isSame: exit._tag === "Success" && exit.value.descriptor.digest === descriptor.digest
  }
})

describe.each(Object.entries(sizes))("single faults, a %s layer", (_, size) => {
  const layer = layerOf(size)

  // There are no connections here.
  it.effect.each(cases(size).filter(({ idle, limit }) => idle === undefined && limit === undefined))(
    "$name",
    (fault) =>
      Effect.gen(function*() {
        const seen = yield* run(fault, layer)
        const { down, exit, isSame, seconds, tags, tokens, up } = seen
        assert.isTrue(hasMet(fault, seen))
        assert.deepStrictEqual(strays(seen), [])
        // Two for each of the registries that there are.
        assert.isAtMost(tokens, 8)
        if (fault.fails) {
          assert.isTrue(Exit.isFailure(exit))
          assert.deepStrictEqual(tags, [])
        } else {
          assert.isTrue(isSame, Exit.isFailure(exit) ? String(exit.cause) : "")
          assert.deepStrictEqual(tags, ["1"])
        }
        assert.isAtMost(seconds, fault.within ?? 20)
        assert.isAtLeast(seconds, fault.least ?? 0)
        assert.isAtMost(down, bounds(fault).down)
        assert.isAtMost(up, bounds(fault).up)
      }).pipe(Effect.provide(registries))
  )
})

describe("cuts", () => {
  const one = layerOf(1024 * 1024)
  const places = Array.from({ length: 16 }, (_, at) => at * 64 * 1024)

  it.effect.each(places)("pulls what is cut at byte %d", (at) =>
    Effect.gen(function*() {
      const cut = Fault.truncate(at).on("GET", "/blobs/sha256:")
      const { down, isSame } = yield* run({ name: "", source: [cut] }, one)
      assert.isTrue(isSame)
      assert.isAtMost(down, 1.07)
    }).pipe(Effect.provide(registries)))

  it.effect.each(places)("pushes what is cut at byte %d", (at) =>
    Effect.gen(function*() {
      const cut = Fault.reset(at).on("PUT", "/blobs/uploads/")
      const { isSame, up } = yield* run({ name: "", target: [cut] }, one)
      assert.isTrue(isSame)
      assert.isAtMost(up, 1.07)
    }).pipe(Effect.provide(registries)))
})
