import * as Copy from "@effect-oci/content/Copy"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as WriteNode from "@effect-oci/content/WriteNode"
import * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import * as Lent from "../../content/test/lent.ts"
import * as OciLayout from "../src/OciLayout.ts"

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const v1 = Tag.parseUnsafe("v1")

const image = Effect.gen(function*() {
  const store = MemoryStore.make("source")
  const layer = yield* store.add(MediaType.ociLayer, new Uint8Array(100_000).fill(7))
  const config = yield* store.add(MediaType.ociConfig, json({}))
  const root = yield* store.add(MediaType.ociManifest, json({ schemaVersion: 2, config, layers: [layer] }))
  return { store, root, layer }
})

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

const blobPath = (layout: OciLayout.OciLayout, { digest }: Descriptor.Descriptor) =>
  `${layout.path}/blobs/${Digest.algorithm(digest)}/${Digest.hex(digest)}`

const files = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  const all = yield* fs.readDirectory(path, { recursive: true })
  return (yield* Effect.filter(all, (name) => Effect.map(fs.stat(`${path}/${name}`), ({ type }) => type === "File")))
    .toSorted()
})

describe("OciLayout", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("keeps what it was only lent", () =>
      Effect.flatMap(Effect.flatMap(folder, OciLayout.make), (layout) => Lent.keeps(layout)))

    const losses = {
      "a layer": ({ layer }) => layer,
      "the bytes of a layer": ({ layer }) => layer,
      "a manifest": ({ root }) => root
    } satisfies Record<string, (of: Effect.Success<typeof image>) => Descriptor.Descriptor>
    for (const [what, of] of Object.entries(losses)) {
      it.effect(`takes again what it has lost: ${what}`, () =>
        Effect.gen(function*() {
          const fs = yield* FileSystem.FileSystem
          const made = yield* image
          const index = yield* made.store.add(
            MediaType.ociIndex,
            json({ schemaVersion: 2, manifests: [made.root] })
          )
          const layout = yield* OciLayout.make(yield* folder)
          yield* Copy.copy(made.store, layout, index, { tags: [v1] })
          const lost = blobPath(layout, of(made))
          if (what.startsWith("the bytes")) yield* fs.truncate(lost, 100)
          else yield* fs.remove(lost)
          assert.isFalse(yield* layout.exists(index))
          yield* Copy.copy(made.store, layout, index, { tags: [v1] })
          assert.isTrue(yield* layout.exists(index))
          yield* Copy.copy(layout, MemoryStore.make(), v1)
        }))
    }

    it.effect("looks once at what is named often, and no oftener in what is named by that", () =>
      Effect.gen(function*() {
        const layout = yield* OciLayout.make(yield* folder)
        const store = MemoryStore.make()
        let root = (yield* image).root
        for (let depth = 0; depth < 6; depth++) {
          root = yield* store.add(
            MediaType.ociIndex,
            json({ schemaVersion: 2, manifests: Array.from({ length: 1000 }, () => root) })
          )
          yield* layout.push(root, () => store.fetch(root))
        }
        assert.isFalse(yield* layout.exists(root))
        const whole = yield* image
        yield* Copy.copy(whole.store, layout, whole.root)
        assert.isTrue(yield* layout.exists(root))
      }))

    it.effect("removes what a run that was killed has left, but nothing that may still be written", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { root, store } = yield* image
        const { path } = yield* OciLayout.make(yield* folder)
        for (const [name, hours] of [["old", 25], ["new", 23]] as const) {
          const time = Date.now() - hours * 3600 * 1000
          yield* fs.writeFileString(`${path}/.tmp/${name}`, "")
          yield* fs.utimes(`${path}/.tmp/${name}`, new Date(time), new Date(time))
        }
        yield* Copy.copy(store, yield* OciLayout.open(path), root)
        assert.deepStrictEqual(yield* fs.readDirectory(`${path}/.tmp`), ["new"])
      }))

    it.effect("keeps an image, and gives it back", () =>
      Effect.gen(function*() {
        const { root, store } = yield* image
        const layout = yield* OciLayout.make(`${yield* folder}/new/layout`)
        yield* Copy.copy(store, layout, root, { tags: [v1] })
        const again = yield* OciLayout.open(layout.path)
        assert.strictEqual((yield* again.resolve(v1)).digest, root.digest)
        assert.strictEqual((yield* again.resolve(root.digest)).mediaType, MediaType.ociManifest)
        assert.strictEqual((yield* OciLayout.sole(again)).digest, root.digest)
        const back = MemoryStore.make()
        yield* Copy.copy(again, back, v1)
        assert.deepStrictEqual(new Set(back.contents.keys()), new Set(store.contents.keys()))
        assert.strictEqual((yield* files(layout.path)).length, 5)
      }))

    it.effect("keeps what refers to content, so that it is found again", () =>
      Effect.gen(function*() {
        const { root, store } = yield* image
        const empty = yield* store.add(MediaType.ociEmpty, json({}))
        const about = { mediaType: root.mediaType, digest: root.digest, size: root.size }
        const sbom = yield* store.add(
          MediaType.ociManifest,
          json({
            schemaVersion: 2,
            mediaType: MediaType.ociManifest,
            artifactType: "application/sbom",
            config: empty,
            layers: [empty],
            subject: about,
            // No name may come from here.
            annotations: { "org.opencontainers.image.ref.name": "v1" }
          })
        )
        const layout = yield* OciLayout.make(yield* folder)
        const follow = WriteNode.referrers
        yield* Copy.copy(store, layout, root, { tags: [v1], follow })
        const again = yield* OciLayout.open(layout.path)
        assert.strictEqual((yield* again.resolve(v1)).digest, root.digest)
        const [found, ...rest] = yield* Stream.runCollect(again.referrers!(root.digest))
        assert.deepStrictEqual(rest, [])
        assert.strictEqual(found?.digest, sbom.digest)
        assert.strictEqual(found?.artifactType, "application/sbom")
        assert.strictEqual((yield* OciLayout.sole(again)).digest, root.digest)
        const back = MemoryStore.make()
        yield* Copy.copy(again, back, v1, { follow })
        assert.isTrue(back.contents.has(sbom.digest))
        // A second time there is nothing to do.
        assert.strictEqual((yield* Copy.copy(store, layout, root, { tags: [v1], follow })).sent, 0)
        // Named twice, with another referrer in between, it is listed once.
        const signature = yield* store.add(
          MediaType.ociManifest,
          json({ schemaVersion: 2, mediaType: MediaType.ociManifest, config: empty, layers: [empty], subject: about })
        )
        yield* Copy.copy(store, layout, signature, { tags: [Tag.parseUnsafe("signature")] })
        yield* layout.tag(sbom, Tag.parseUnsafe("sbom"))
        const all = yield* Stream.runCollect(layout.referrers!(root.digest))
        assert.sameMembers(all.map(({ digest }) => digest), [sbom.digest, signature.digest])
      }))

    it.effect("has one entry for a name, and the last one counts", () =>
      Effect.gen(function*() {
        const { root, store } = yield* image
        const layout = yield* OciLayout.make(yield* folder)
        yield* Copy.copy(store, layout, root, { tags: [v1] })
        const other = yield* store.add(MediaType.ociIndex, json({ schemaVersion: 2, manifests: [] }))
        yield* Copy.copy(store, layout, other, { tags: [v1] })
        assert.strictEqual((yield* layout.index).manifests.length, 1)
        assert.strictEqual((yield* layout.resolve(v1)).digest, other.digest)
      }))

    it.effect("heals whatever file was torn", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { root, store } = yield* image
        const layout = yield* OciLayout.make(yield* folder)
        yield* Copy.copy(store, layout, root)
        for (const [digest, { bytes, mediaType }] of store.contents) {
          const descriptor = { mediaType, digest, size: bytes.length }
          yield* fs.truncate(blobPath(layout, descriptor), bytes.length - 1)
          assert.isFalse(yield* layout.exists(descriptor))
          assert.strictEqual(
            (yield* Effect.flip(Stream.runDrain(layout.fetch(descriptor)))).reason._tag,
            "SizeMismatch"
          )
          // What is there in full leads to nothing else, so each is copied by itself.
          yield* Copy.copy(store, layout, { ...descriptor, mediaType: "application/octet-stream" })
          yield* Stream.runDrain(layout.fetch(descriptor))
        }
      }))

    it.effect("does not believe bytes that changed on disk", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { layer, root, store } = yield* image
        const layout = yield* OciLayout.make(yield* folder)
        yield* Copy.copy(store, layout, root)
        yield* fs.writeFile(blobPath(layout, layer), new Uint8Array(layer.size))
        const error = yield* Effect.flip(Stream.runDrain(layout.fetch(layer)))
        assert.strictEqual(error.reason._tag, "DigestMismatch")
      }))

    it.effect("takes neither a pipe nor a link for a blob", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { layer, root, store } = yield* image
        const layout = yield* OciLayout.make(yield* folder)
        yield* Copy.copy(store, layout, root)
        const path = blobPath(layout, layer)
        yield* fs.rename(path, `${path}.real`)
        yield* fs.symlink(`${path}.real`, path)
        assert.strictEqual((yield* Effect.flip(Stream.runDrain(layout.fetch(layer)))).reason._tag, "NotFound")
        yield* fs.remove(path)
        execFileSync("mkfifo", [path])
        assert.isFalse(yield* layout.exists(layer))
        assert.strictEqual((yield* Effect.flip(Stream.runDrain(layout.fetch(layer)))).reason._tag, "NotFound")
      }))

    it.effect("leaves nothing of a push that failed, was wrong, or was interrupted", () =>
      Effect.gen(function*() {
        const { layer } = yield* image
        const layout = yield* OciLayout.make(yield* folder)
        const before = yield* files(layout.path)
        const push = (body: Stream.Stream<Uint8Array, string>) => layout.push(layer, () => body)
        const half = Stream.succeed(new Uint8Array(50_000).fill(7))
        assert.strictEqual(yield* Effect.flip(push(Stream.concat(half, Stream.fail("cut")))), "cut")
        yield* Effect.flip(push(half))
        yield* Effect.flip(push(Stream.succeed(new Uint8Array(100_000))))
        const fiber = yield* Effect.forkChild(push(Stream.concat(half, Stream.never)), { startImmediately: true })
        yield* Effect.sleep("50 millis")
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* files(layout.path), before)
        assert.isFalse(yield* layout.exists(layer))
      }))

    it.effect("lists what 8 writers add at once", () =>
      Effect.gen(function*() {
        const path = yield* folder
        yield* OciLayout.make(path)
        const store = MemoryStore.make()
        const add = Effect.fnUntraced(function*(i: number) {
          // Each opens the folder by itself, as another process would.
          const layout = yield* OciLayout.open(path)
          const root = yield* store.add(
            MediaType.ociIndex,
            json({ schemaVersion: 2, manifests: [], annotations: { i: `${i}` } })
          )
          yield* Copy.copy(store, layout, root, { tags: [Tag.parseUnsafe(`t${i}`)] })
        })
        yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], add, { concurrency: "unbounded" })
        assert.strictEqual((yield* (yield* OciLayout.open(path)).index).manifests.length, 8)
      }))

    it.effect("writes the list a few times for many that change it, and reads it once while it stays as it is", () =>
      Effect.gen(function*() {
        const path = yield* folder
        const fs = yield* FileSystem.FileSystem
        const count = { reads: 0, writes: 0 }
        const counting: FileSystem.FileSystem = {
          ...fs,
          readFile: (file) =>
            Effect.suspend(() => (count.reads += Number(file.endsWith("index.json")), fs.readFile(file))),
          rename: (from, to) =>
            Effect.suspend(() => (count.writes += Number(to.endsWith("index.json")), fs.rename(from, to)))
        }
        const layout = yield* Effect.provideService(OciLayout.make(path), FileSystem.FileSystem, counting)
        const { root, store } = yield* image
        yield* Copy.copy(store, layout, root, { tags: [v1] })
        const empty = yield* store.add(MediaType.ociEmpty, json({}))
        const referrers = yield* Effect.forEach(Array.from({ length: 100 }), (_, i) =>
          store.add(
            MediaType.ociManifest,
            json({ schemaVersion: 2, config: empty, layers: [], subject: root, annotations: { i: `${i}` } })
          ))
        Object.assign(count, { reads: 0, writes: 0 })
        const add = (referrer: Descriptor.Descriptor) => Copy.copy(store, layout, referrer)
        yield* Effect.forEach(referrers, add, { concurrency: "unbounded" })
        assert.isAtMost(count.writes, 10)
        const again = yield* Effect.provideService(OciLayout.open(path), FileSystem.FileSystem, counting)
        Object.assign(count, { reads: 0, writes: 0 })
        const look = Effect.gen(function*() {
          assert.strictEqual((yield* Stream.runCollect(again.referrers!(root.digest))).length, 100)
          assert.strictEqual((yield* again.resolve(v1)).digest, root.digest)
        })
        yield* Effect.replicateEffect(look, 3, { discard: true })
        assert.strictEqual(count.reads, 1)
        // What another one has changed is seen.
        yield* layout.tag(referrers[0]!, Tag.parseUnsafe("first"))
        assert.strictEqual((yield* again.resolve(Tag.parseUnsafe("first"))).digest, referrers[0]!.digest)
      }))

    it.effect("changes nothing for who gives up, and all for those who wait with him", () =>
      Effect.gen(function*() {
        const path = yield* folder
        const fs = yield* FileSystem.FileSystem
        const { root, store } = yield* image
        const layout = yield* OciLayout.make(path)
        yield* Copy.copy(store, layout, root)
        // Somebody else is at it.
        yield* fs.writeFile(`${path}/.lock`, new Uint8Array(0))
        const tag = (name: string) =>
          Effect.forkChild(layout.tag(root, Tag.parseUnsafe(name)), { startImmediately: true })
        const before = yield* tag("before")
        const [gone, stays] = [yield* tag("gone"), yield* tag("stays")]
        yield* Fiber.interrupt(gone)
        yield* fs.remove(`${path}/.lock`)
        yield* Fiber.joinAll([before, stays])
        const { manifests } = yield* layout.index
        assert.sameMembers(
          manifests.map(({ annotations }) => annotations?.["org.opencontainers.image.ref.name"]),
          ["before", "stays"]
        )
      }))

    it.effect("gives a blob of unknown digest its name", () =>
      Effect.gen(function*() {
        const { layer, store } = yield* image
        const layout = yield* OciLayout.make(yield* folder)
        const sent = yield* layout.pushStream(store.fetch(layer))
        assert.deepStrictEqual(sent, { digest: layer.digest, size: layer.size })
        yield* Stream.runDrain(layout.fetch(layer))
      }))

    it.effect("makes its list anew where that is gone", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { root, store } = yield* image
        const { path } = yield* OciLayout.make(yield* folder)
        yield* fs.remove(`${path}/index.json`)
        const layout = yield* OciLayout.make(path)
        yield* Copy.copy(store, layout, root, { tags: [v1] })
        assert.strictEqual((yield* layout.resolve(v1)).digest, root.digest)
      }))

    it.effect("keeps what another one lists while it makes the folder, too", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { root, store } = yield* image
        const path = yield* folder
        let isFirst = true
        const other = Effect.gen(function*() {
          if (!isFirst) return
          isFirst = false
          yield* Copy.copy(store, yield* OciLayout.make(path), root, { tags: [v1] })
        }).pipe(Effect.provide(NodeServices.layer), Effect.orDie)
        const slow: FileSystem.FileSystem = {
          ...fs,
          readDirectory: (...args) => Effect.tap(fs.readDirectory(...args), () => other)
        }
        const layout = yield* Effect.provideService(OciLayout.make(path), FileSystem.FileSystem, slow)
        assert.strictEqual((yield* layout.resolve(v1)).digest, root.digest)
      }))

    it.effect("keeps what it does not know of in index.json", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const { root, store } = yield* image
        const layout = yield* OciLayout.make(yield* folder)
        const named = { ...root, annotations: { "org.opencontainers.image.ref.name": "twice" } }
        const strange = { schemaVersion: 2, "x-top": 1, manifests: [{ ...root, "x-entry": [true] }, named, named] }
        yield* fs.writeFile(`${layout.path}/index.json`, json(strange))
        yield* Copy.copy(store, layout, root, { tags: [v1] })
        const text = yield* fs.readFileString(`${layout.path}/index.json`)
        assert.include(text, "\"x-top\":1")
        assert.include(text, "\"x-entry\":[true]")
        assert.strictEqual(text.split("twice").length, 3)
      }))

    it.effect("refuses folders that are something else", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* folder
        assert.strictEqual((yield* Effect.flip(OciLayout.open(path))).reason._tag, "NotFound")
        yield* fs.writeFileString(`${path}/notes.txt`, "mine")
        assert.strictEqual((yield* Effect.flip(OciLayout.make(path))).reason._tag, "Invalid")
        yield* fs.writeFileString(`${path}/oci-layout`, "{\"imageLayoutVersion\":\"2.0.0\"}")
        assert.strictEqual((yield* Effect.flip(OciLayout.open(path))).reason._tag, "Invalid")
      }))
  })
})
