import * as Keychain from "@effect-oci/authn/Keychain"
import * as NodeOci from "@effect-oci/node/NodeOci"
import { Remote } from "@effect-oci/remote/Remote"
import { assert, describe, layer } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schedule from "effect/Schedule"
import * as DockerRegistry from "../src/DockerRegistry.ts"
import * as Generated from "../src/Generated.ts"
import * as Peer from "../src/Peer.ts"

const MiB = 1024 * 1024
const images = 20
const layerSize = 8 * MiB
const concurrency = 4

describe("restarts", () => {
  layer(NodeOci.layerWith(Keychain.layerAnonymous), { excludeTestServices: true })((it) => {
    it.effect.each(["registry", "docker-registry"] as const)(
      "B24: a copy of 20 images goes on while its target, %s, is stopped and started three times",
      (peer) =>
        Effect.gen(function*() {
          const remote = yield* Remote
          const source = yield* DockerRegistry.make()
          const generated = Generated.make()
          const members = yield* Effect.forEach(
            Array(images).keys(),
            (at) => Effect.map(generated.image([layerSize]), (image) => [`arch${at}`, image] as const)
          )
          const index = generated.index(members)
          yield* remote.copy({ store: generated, descriptor: index }, `${source.host}/from/app:1`)

          const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
          const { host } = yield* Effect.scoped(DockerRegistry.make({ peer, folder }))
          let sent = 0
          /** Until so much was sent; the last one until it is no longer needed. */
          const serving = (until: number) =>
            Effect.scoped(Effect.gen(function*() {
              yield* DockerRegistry.make({ peer, folder, host })
              yield* Effect.repeat(Effect.sync(() => sent), {
                until: (bytes) => bytes >= until,
                schedule: Schedule.spaced("20 millis")
              })
            }))
          yield* Effect.forkScoped(Effect.gen(function*() {
            for (const part of [0.2, 0.5, 0.8, Infinity]) {
              yield* serving(images * layerSize * part)
              yield* Effect.sleep("300 millis")
            }
          }))
          const copied = yield* remote.copy(`${source.host}/from/app:1`, `${host}/to/app:1`, {
            concurrency,
            onEvent: (event) => {
              if (event._tag === "Bytes") sent += Math.max(event.bytes, 0)
            }
          })
          assert.strictEqual(copied.descriptor.digest, index.digest)
          assert.strictEqual((yield* Peer.run("crane", ["digest", `${host}/to/app:1`])).trim(), index.digest)
          yield* Console.log(`${peer}: ${(sent / images / layerSize).toFixed(2)} times the bytes`)
          // What was on its way at each restart, and no more.
          assert.isAtMost(sent, images * layerSize * 1.01 + 3 * concurrency * layerSize)
        }),
      { timeout: 120_000 }
    )
  })
})
