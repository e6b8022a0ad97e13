import * as Keychain from "@effect-oci/authn/Keychain"
import * as Repository from "@effect-oci/name/Repository"
import * as FakeImage from "@effect-oci/registry/FakeImage"
import * as FakeRegistry from "@effect-oci/registry/FakeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as Mirror from "@effect-oci/transport/Mirror"
import * as Transport from "@effect-oci/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Referrers from "../src/Referrers.ts"
import * as Remote from "../src/Remote.ts"
import { layer, patiently, unconditional } from "./registries.ts"

const app = Repository.parseUnsafe("ghcr.io/acme/app")
const without = { settings: { referrers: false } } as const
const pause = Effect.forEach(
  Array.from({ length: 20 }),
  () => Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
)

/** An image, and so many artifacts about it, pushed but not listed. */
const prepared = Effect.fnUntraced(function*(count: number, at = "ghcr.io/acme/app") {
  const fake = yield* FakeRegistry.FakeRegistry
  const subject = yield* fake.seed(`${at}:1`, FakeImage.image())
  const artifacts = yield* Effect.forEach(
    Array.from({ length: count }, (_, n) => n),
    (n) =>
      FakeImage.artifact({
        artifactType: n === count - 1 ? "application/wanted" : "application/other",
        subject,
        annotations: { n: `${n}` }
      })
  )
  for (const artifact of artifacts) yield* fake.seed(at, artifact)
  const listed = Effect.map(
    Stream.runCollect(Referrers.list(app, subject.digest)),
    (all) => all.map(({ digest }) => digest)
  )
  return {
    fake,
    subject,
    artifacts,
    digests: artifacts.map(({ root }) => root.digest),
    listed,
    tag: Referrers.tagOf(subject.digest)
  }
})

describe("lists under the fallback tag", () => {
  it.effect("is not done because another has failed to do it", () =>
    Effect.gen(function*() {
      const { artifacts, digests, fake, listed, subject } = yield* prepared(1)
      yield* fake.inject(
        Fault.latency("10 millis").on("GET", "/manifests/sha256-"),
        Fault.status(403).on("PUT", "/manifests/sha256-")
      )
      const add = Effect.exit(Referrers.add(app, subject.digest, artifacts[0]!.root, false))
      const [, second] = yield* patiently(Effect.all([add, add], { concurrency: 2 }))
      if (Exit.isSuccess(second)) assert.deepStrictEqual(yield* listed, digests)
    }).pipe(Effect.provide(layer(without))))
  it.effect("is not done because another was interrupted", () =>
    Effect.gen(function*() {
      const { artifacts, digests, fake, listed, subject } = yield* prepared(2)
      yield* fake.inject(Fault.latency("1 second").on("PUT", "/manifests/sha256-"))
      const add = (n: number) => Effect.forkChild(Referrers.add(app, subject.digest, artifacts[n]!.root, false))
      const first = yield* add(0)
      yield* pause
      const one = yield* add(1)
      const two = yield* add(1)
      yield* pause
      yield* Fiber.interrupt(one)
      yield* patiently(Fiber.join(first))
      assert.strictEqual(yield* patiently(Fiber.join(two)), "sent")
      assert.include(yield* listed, digests[1])
    }).pipe(Effect.provide(layer(without))))

  it.effect("deletes what refers to it, not what a list names", () =>
    Effect.gen(function*() {
      const { fake, subject, tag } = yield* prepared(0)
      const other = yield* FakeImage.image({ seed: "other" })
      yield* fake.seed("ghcr.io/acme/app:production", other)
      yield* fake.seed(`ghcr.io/acme/app:${tag}`, FakeImage.indexOf([other]))
      yield* patiently((yield* Remote.Remote).delete(`ghcr.io/acme/app@${subject.digest}`, { referrers: true }))
      assert.include(yield* fake.tags("ghcr.io/acme/app"), "production")
    }).pipe(Effect.provide(layer())))

  it.effect("changes the registry's list, not a mirror's old one", () =>
    Effect.gen(function*() {
      const { artifacts, digests, fake, tag } = yield* prepared(3, "registry.test/acme/app")
      yield* fake.seed(`registry.test/acme/app:${tag}`, FakeImage.indexOf(artifacts))
      yield* fake.seed(`one.test/acme/app:${tag}`, FakeImage.indexOf(artifacts.slice(0, 2)))
      yield* Effect.exit(patiently((yield* Remote.Remote).delete(`registry.test/acme/app@${digests[0]}`)))
      const { bytes } = Option.getOrThrow(yield* fake.manifest(`registry.test/acme/app:${tag}`))
      const { manifests } = JSON.parse(new TextDecoder().decode(bytes))
      assert.deepStrictEqual(manifests.map(({ digest }: { digest: string }) => digest), digests.slice(1))
    }).pipe(Effect.provide(Remote.layer.pipe(
      Layer.provideMerge(Transport.layer),
      Layer.provideMerge(unconditional),
      Layer.provideMerge(FakeRegistry.layer({ ...without, hosts: ["registry.test", "one.test"] })),
      Layer.provide(Mirror.layer([{ of: "registry.test", at: "one.test" }])),
      Layer.provide(Keychain.layerMemory([]))
    ))), 60_000)

  it.effect("says why a list is not taken", () =>
    Effect.gen(function*() {
      const { artifacts, fake, subject } = yield* prepared(1)
      const body = JSON.stringify({ errors: [{ code: "PRECONDITION", message: "tag is immutable" }] })
      yield* fake.inject(Fault.status(412, { body }).on("PUT", "/manifests/sha256-").always())
      const error = yield* Effect.flip(patiently(Referrers.add(app, subject.digest, artifacts[0]!.root, false)))
      assert.include(error.message, "immutable")
    }).pipe(Effect.provide(layer(without))))
})
