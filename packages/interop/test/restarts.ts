/**
 * A copy of many images whose target is stopped and started meanwhile.
 */
import * as Keychain from "@effect-oci/authn/Keychain"
import * as NodeOci from "@effect-oci/node/NodeOci"
import { Remote } from "@effect-oci/remote/Remote"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schedule from "effect/Schedule"
import type { Registry } from "../../remote/test/faults/table.ts"
import * as DockerRegistry from "../src/DockerRegistry.ts"
import * as Generated from "../src/Generated.ts"
import * as Peer from "../src/Peer.ts"

const layerSize = 8 * 1024 * 1024

export const images = 20
export const concurrency = 4

/** Copies while the target is stopped and started three times. */
export const run = Effect.fnUntraced(
  function*(peer: Registry) {
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
    const [time, copied] = yield* remote.copy(`${source.host}/from/app:1`, `${host}/to/app:1`, {
      concurrency,
      onEvent: (event) => {
        if (event._tag === "Bytes") sent += Math.max(event.bytes, 0)
      }
    }).pipe(Effect.timed)
    const digest = (yield* Peer.run("crane", ["digest", `${host}/to/app:1`])).trim()
    return {
      isSame: copied.descriptor.digest === index.digest && digest === index.digest,
      seconds: Duration.toSeconds(time),
      up: sent / images / layerSize
    }
  },
  Effect.scoped,
  Effect.provide(NodeOci.layerWith(Keychain.layerAnonymous))
)
