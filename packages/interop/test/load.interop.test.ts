import * as Bytes from "@effect-oci/content/Bytes"
import * as NodeHttp from "@effect-oci/node/NodeHttp"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { createHash, randomBytes } from "node:crypto"
import * as EffectOci from "../src/EffectOci.ts"

const digestOf = (chunks: Iterable<Uint8Array>) => {
  const hash = createHash("sha256")
  for (const chunk of chunks) hash.update(chunk)
  return `sha256:${hash.digest("hex")}`
}

const mebibyte = 1024 * 1024
const uploads = 16

/** As many MiB as are asked for, none of them kept. */
const content = function*(seed: number, size: number): Generator<Uint8Array> {
  const chunk = Buffer.alloc(mebibyte, seed)
  for (let i = 0; i < size; i++) yield chunk
}

/** The most memory that a process has had, in MiB, as Linux knows it. */
const peakOf = (pid: number) =>
  Effect.map(
    Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(`/proc/${pid}/status`)),
    (status) => Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024
  )

const put = Effect.fnUntraced(
  function*(url: string, body: Parameters<typeof HttpClientRequest.bodyStream>[1], length: number) {
    const client = yield* HttpClient.HttpClient
    const response = yield* client.execute(
      HttpClientRequest.post(url).pipe(HttpClientRequest.bodyStream(body, { contentLength: length }))
    )
    yield* response.text
    assert.strictEqual(response.status, 201)
  }
)

layer(Layer.merge(NodeHttp.layer, NodeServices.layer), { excludeTestServices: true })(
  "effect-oci serve under load",
  (it) => {
    it.effect(
      "A57: takes sixteen large uploads at once in memory that does not grow with them",
      () =>
        Effect.gen(function*() {
          const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
          const { handle, host } = yield* EffectOci.start(["--dir", folder])
          const push = (size: number) =>
            Effect.forEach(Array.from({ length: uploads }, (_, seed) => seed), (seed) =>
              put(
                `http://${host}/v2/load/blobs/uploads/?digest=${digestOf(content(seed, size))}`,
                Stream.suspend(() => Stream.fromIterable(content(seed, size), { chunkSize: 1 })),
                size * mebibyte
              ), { concurrency: uploads, discard: true })
          const before = yield* peakOf(handle.pid)
          yield* push(8)
          const small = yield* peakOf(handle.pid)
          yield* push(512)
          const large = yield* peakOf(handle.pid)
          yield* Console.log(
            `${uploads} uploads at once: peak ${before | 0} MiB before, ${small | 0} of 8 MiB, ${large | 0} of 512`
          )
          assert.isBelow(large, 150)
        }),
      300_000
    )

    it.effect("gives back every digest of two thousand that thirty-two clients push at once", () =>
      Effect.gen(function*() {
        const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
        const host = yield* EffectOci.serve(["--dir", folder])
        const client = yield* HttpClient.HttpClient
        const blobs = Array.from({ length: 2000 }, () => {
          const bytes = randomBytes(700)
          return { bytes, digest: digestOf([bytes]) }
        })
        const options = { concurrency: 32, discard: true } as const
        yield* Effect.forEach(
          blobs,
          ({ bytes, digest }, i) =>
            put(`http://${host}/v2/load/r${i % 7}/blobs/uploads/?digest=${digest}`, Bytes.body(bytes)(0), 700),
          options
        )
        yield* Effect.forEach(blobs, ({ bytes, digest }, i) =>
          Effect.gen(function*() {
            const response = yield* client.get(`http://${host}/v2/load/r${i % 7}/blobs/${digest}`)
            assert.deepStrictEqual(new Uint8Array(yield* response.arrayBuffer), new Uint8Array(bytes))
          }), options)
      }))
  }
)
