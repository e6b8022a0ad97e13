import * as Compression from "@effect-oci/content/Compression"
import { CopyError } from "@effect-oci/content/CopyError"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import type { Target } from "@effect-oci/content/Store"
import * as WriteGraph from "@effect-oci/content/WriteGraph"
import type * as WriteNode from "@effect-oci/content/WriteNode"
import * as NodeCompression from "@effect-oci/node/NodeCompression"
import * as MediaType from "@effect-oci/spec/MediaType"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Tar from "effect/encoding/Tar"
import * as Stream from "effect/Stream"
import * as LayerStream from "../src/LayerStream.ts"
import { json, sha256 } from "./image.ts"

/** Writes one layer, and gives its result with what the target has. */
const write = Effect.fnUntraced(function*(layer: LayerStream.LayerStream) {
  const store = MemoryStore.make("target")
  let written: WriteNode.Written | undefined
  const node: WriteNode.WriteNode = {
    ...layer.node,
    write: (context) => Effect.tap(layer.node.write(context), (result) => Effect.sync(() => written = result))
  }
  yield* WriteGraph.run(WriteGraph.to(store, [node]))
  const { descriptor, diffId } = written!
  const { bytes } = store.contents.get(descriptor.digest)!
  const plain = yield* Stream.mkUint8Array(
    Stream.make(bytes).pipe(Compression.uncompressed({ location: "target" }))
  )
  return { bytes, plain, descriptor, diffId }
})

describe("LayerStream", () => {
  describe("make", () => {
    for (const compression of ["none", "gzip", "zstd"] as const) {
      it.live(`hashes a tar before and after ${compression}, as it flows`, () =>
        Effect.gen(function*() {
          const chunks = Array.from({ length: 200 }, (_, i) => json(["chunk", i, "x".repeat(i)]))
          const layer = LayerStream.make(Stream.fromIterable(chunks).pipe(Stream.rechunk(1)), {
            compression,
            annotations: { a: "b" }
          })
          const { bytes, descriptor, diffId, plain } = yield* write(layer)
          assert.deepStrictEqual(plain, new Uint8Array(Buffer.concat(chunks)))
          assert.strictEqual(diffId, sha256(plain))
          assert.deepStrictEqual(descriptor, {
            mediaType: MediaType.ociLayer + (compression === "none" ? "" : `+${compression}`),
            digest: sha256(bytes) as typeof descriptor.digest,
            size: bytes.length,
            annotations: { a: "b" }
          })
          if (compression !== "none") assert.isBelow(bytes.length, plain.length / 2)
        }).pipe(Effect.provide(NodeCompression.layer)))
    }

    it.live("holds no more than is under way", () =>
      Effect.gen(function*() {
        let made = 0
        let most = 0
        let sent = 0
        const chunk = new Uint8Array(64 * 1024).map((_, i) => i * i % 251)
        const tar = Stream.fromIterable({
          *[Symbol.iterator]() {
            for (; made < 1000; made++) yield chunk
          }
        }, { chunkSize: 1 })
        const store = MemoryStore.make("target")
        const target: Target = {
          ...store,
          pushStream: (body) =>
            Stream.runForEach(body, (bytes) =>
              Effect.sync(() => {
                sent += bytes.length
                most = Math.max(most, made * chunk.length - sent)
              })).pipe(Effect.andThen(store.pushStream(Stream.empty)))
        }
        const { node } = LayerStream.make(tar, { compression: "none" })
        yield* WriteGraph.run(WriteGraph.to(target, [node]))
        assert.strictEqual(sent, 1000 * chunk.length)
        assert.isAtMost(most, 2 * chunk.length)
      }))

    it.live("says why its stream has failed", () =>
      Effect.gen(function*() {
        const layer = LayerStream.make(Stream.concat(Stream.make(json("x")), Stream.fail(new Error("disk on fire"))), {
          name: "app"
        })
        const error = yield* Effect.flip(write(layer))
        assert.instanceOf(error, CopyError)
        assert.strictEqual(error.side, "source")
        assert.include(error.message, "disk on fire")
      }))

    it.live("is run anew by a target that has lost it, if that is allowed", () =>
      Effect.gen(function*() {
        for (const isRepeatable of [true, false]) {
          const store = MemoryStore.make("target")
          const asked: Array<boolean | undefined> = []
          const target: Target = {
            ...store,
            pushStream: (body, options) => {
              asked.push(options?.isRepeatable)
              return options?.isRepeatable === true
                ? Effect.andThen(Stream.runDrain(Stream.take(body, 1)), store.pushStream(body))
                : store.pushStream(body)
            }
          }
          const tar = Stream.make(json("a"), json("b")).pipe(Stream.rechunk(1))
          const { node } = LayerStream.make(tar, { compression: "none", isRepeatable })
          yield* WriteGraph.run(WriteGraph.to(target, [node]))
          assert.deepStrictEqual(asked, [isRepeatable])
          assert.deepStrictEqual([...store.contents.keys()] as Array<string>, [
            sha256(new Uint8Array(Buffer.concat([json("a"), json("b")])))
          ])
        }
      }))
  })

  describe("fromEntries", () => {
    it.live("makes a tar of files and folders", () =>
      Effect.gen(function*() {
        const layer = LayerStream.fromEntries(Stream.make(
          Tar.directory("app"),
          Tar.file("app/a.txt", "hello"),
          Tar.symlink("app/b.txt", "a.txt")
        ))
        const { plain } = yield* write(layer)
        const entries = yield* Stream.make(plain).pipe(
          Stream.pipeThroughChannel(Tar.decode()),
          Stream.mapEffect(({ body, header }) =>
            Effect.map(Stream.mkUint8Array(body), (bytes) => [header.path, header.type, bytes.length])
          ),
          Stream.runCollect
        )
        assert.deepStrictEqual(entries.map(([path, type, size]) => [String(path).replace(/\/$/, ""), type, size]), [
          ["app", "Directory", 0],
          ["app/a.txt", "File", 5],
          ["app/b.txt", "Symlink", 0]
        ])
      }))

    it.live("is the same layer each time", () =>
      Effect.gen(function*() {
        const layer = LayerStream.fromEntries(Stream.make(Tar.file("a.txt", "hello")))
        const [first, second] = yield* Effect.all([write(layer), write(layer)])
        assert.strictEqual(first.descriptor.digest, second.descriptor.digest)
      }))

    it.live("says what cannot be in a tar", () =>
      Effect.gen(function*() {
        const layer = LayerStream.fromEntries(Stream.make(Tar.fileStream("a.txt", 10, Stream.make(json("short")))))
        const error = yield* Effect.flip(write(layer))
        assert.instanceOf(error, CopyError)
        assert.strictEqual(error.reason.reason._tag, "Invalid")
      }))
  })
})
