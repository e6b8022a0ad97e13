import * as Keychain from "@effect-oci/authn/Keychain"
import type * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import * as NodeHasher from "@effect-oci/node/NodeHasher"
import * as NodeOci from "@effect-oci/node/NodeOci"
import * as DiskStorage from "@effect-oci/registry/DiskStorage"
import type { Storage } from "@effect-oci/registry/Storage"
import { Remote } from "@effect-oci/remote/Remote"
import * as Document from "@effect-oci/spec/Document"
import { assert, layer } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import * as EffectOci from "../src/EffectOci.ts"
import * as Generated from "../src/Generated.ts"
import * as Peer from "../src/Peer.ts"
import * as Relay from "../src/Relay.ts"

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "registry-" }))

const kill = (server: Effect.Success<ReturnType<typeof EffectOci.start>>) =>
  Effect.ignore(server.handle.kill({ killSignal: "SIGKILL" }))

/** Numbers from 0 to 1, the same ones for a seed. */
const randomOf = (seed: number) => () => {
  seed = seed + 0x6d2b79f5 | 0
  let t = Math.imul(seed ^ seed >>> 15, 1 | seed)
  t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
  return ((t ^ t >>> 14) >>> 0) / 4294967296
}

/** What a tag leads to is there and has its digest; `known` is what need not be read again. */
const verify = Effect.fnUntraced(function*(storage: Storage["Service"], known: Set<string>) {
  const readAll = Effect.fnUntraced(function*(repository: string, digest: Digest.Digest) {
    const size = Option.getOrThrow(yield* storage.blobSize(repository, digest))
    if (known.has(digest)) return
    known.add(digest)
    const hash = createHash("sha256")
    yield* Stream.runForEach(
      yield* storage.readBlob(repository, digest, 0, size),
      (bytes) => Effect.sync(() => void hash.update(bytes))
    )
    assert.strictEqual(`sha256:${hash.digest("hex")}`, digest)
  })
  for (const repository of yield* storage.repositories) {
    for (const tag of Option.getOrThrow(yield* storage.tags(repository))) {
      const manifest = Option.getOrThrow(yield* storage.manifest(repository, Tag.parseUnsafe(tag)))
      if (known.has(`${repository}@${manifest.digest}`)) continue
      known.add(`${repository}@${manifest.digest}`)
      const document = Result.getOrThrow(Document.parse(manifest.bytes, manifest.mediaType))
      for (const { digest } of Document.successors(document)) yield* readAll(repository, digest)
    }
  }
  return readAll
})

layer(NodeOci.layerWith(Keychain.layerAnonymous), { excludeTestServices: true })("effect-oci serve --dir", (it) => {
  it.effect("has after a kill what was pushed before, whoever pushed it", () =>
    Effect.gen(function*() {
      const dir = `${yield* folder}/registry`
      const remote = yield* Remote
      const generated = Generated.make()
      const descriptor = generated.index([["amd64", yield* generated.image([100_000, 20_000_000])]])
      const first = yield* EffectOci.start(["--dir", dir])
      yield* remote.copy({ store: generated, descriptor }, `${first.host}/ours/app:1`)
      yield* Peer.run("crane", ["copy", `${first.host}/ours/app:1`, `${first.host}/crane/app:1`])
      const pulled = `${yield* folder}/layout`
      yield* Peer.run("crane", ["pull", "--format", "oci", `${first.host}/ours/app:1`, pulled])
      yield* kill(first)
      const { host } = yield* EffectOci.start(["--dir", dir])
      for (const name of ["ours", "crane"]) {
        assert.strictEqual((yield* remote.head(`${host}/${name}/app:1`)).digest, descriptor.digest)
        assert.include(yield* Peer.run("crane", ["validate", "--remote", `${host}/${name}/app:1`]), "PASS")
      }
      assert.strictEqual((yield* Peer.run("crane", ["catalog", host])).trim(), "crane/app\nours/app")
      yield* Peer.run("crane", ["push", "--index", pulled, `${host}/pushed/app:1`])
      assert.include(yield* Peer.run("crane", ["validate", "--remote", `${host}/pushed/app:1`]), "PASS")
    }))

  it.effect(
    "tears nothing in 50 kills, and pushes go on, by two at a time on one folder",
    () =>
      Effect.gen(function*() {
        const dir = `${yield* folder}/registry`
        const remote = yield* Remote
        const storage = yield* Effect.provide(DiskStorage.make(dir), NodeHasher.layer)
        const known = new Set<string>()
        const pushed = new Map<string, Digest.Digest>()
        const failed: Array<string> = []

        const life = Effect.fnUntraced(function*(name: string, seed: number) {
          const random = randomOf(seed)
          const generated = Generated.make()
          const over = yield* Ref.make(false)
          const first = yield* EffectOci.start(["--dir", dir])
          const relay = yield* Relay.make(first.host)

          const killer = Effect.gen(function*() {
            let server = first
            for (let i = 0; i < 25; i++) {
              // It has the folder open before the other one is gone: several may.
              const next = yield* EffectOci.start(["--dir", dir])
              yield* Effect.sleep(300 * random())
              relay.leadTo(next.host)
              yield* kill(server)
              server = next
              yield* verify(storage, known)
            }
            yield* Ref.set(over, true)
          })

          const pusher = Effect.gen(function*() {
            for (let i = 0; !(yield* Ref.get(over)); i++) {
              const sizes = i % 8 === 0 ? [9_000_000, 30_000] : [1000, 20_000, 300_000]
              const image = yield* generated.image(sizes.map((size) => size + Math.floor(1000 * random())))
              // Two tags at a time: one that is new, and one that moves.
              const reference = `${relay.host}/${name}/app${i % 4}:${i}`
              const exit = yield* Effect.result(
                Effect.andThen(
                  remote.copy({ store: generated, descriptor: image }, reference),
                  remote.copy({ store: generated, descriptor: image }, `${relay.host}/${name}/app${i % 4}:latest`)
                )
              )
              if (Result.isFailure(exit)) failed.push(exit.failure.message)
              else pushed.set(reference, image.digest)
              yield* Effect.sleep("100 millis")
            }
          })
          yield* Effect.all([killer, pusher], { concurrency: 2 })
        })

        yield* Effect.all([life("one", 1), life("two", 2)], { concurrency: 2 })
        yield* Console.log(`${pushed.size} pushes through 50 kills, ${failed.length} failed`)
        assert.deepStrictEqual(failed, [])
        assert.isAbove(pushed.size, 20)

        const readAll = yield* verify(storage, new Set())
        // And all the rest, whatever push it was part of.
        for (const repository of yield* storage.repositories) {
          for (const digest of yield* storage.blobs(repository)) yield* readAll(repository, digest)
        }
        const { host } = yield* EffectOci.start(["--dir", dir])
        for (const [reference, digest] of pushed) {
          const there = reference.replace(/^[^/]+/, host)
          assert.strictEqual((yield* remote.head(there)).digest, digest)
        }
        for (const reference of [...pushed.keys()].slice(-3)) {
          const there = reference.replace(/^[^/]+/, host)
          assert.include(yield* Peer.run("crane", ["validate", "--remote", there]), "PASS")
        }
      }),
    600_000
  )
})
