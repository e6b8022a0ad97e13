import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as NodeHasher from "@effect-oci/node/NodeHasher"
import * as NodeHttp from "@effect-oci/node/NodeHttp"
import * as NodeRegistry from "@effect-oci/node/NodeRegistry"
import * as Remote from "@effect-oci/remote/Remote"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as Transport from "@effect-oci/transport/Transport"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { type Case, cases, sizes } from "../../remote/test/faults/cases.ts"
import * as Wire from "../../remote/test/faults/wire.ts"
import * as Content from "../../remote/test/image.ts"
import * as DockerRegistry from "../src/DockerRegistry.ts"
import * as FaultProxy from "../src/FaultProxy.ts"

const user = Credential.basic("ann", "s3cret")
const size = sizes.large
const bytes = Content.bytes(size, 7)

/** The registries behind the proxies: both of another make, and one of ours for what only tokens show. */
class Peers extends Context.Service<Peers, {
  readonly source: string
  readonly target: string
  readonly ours: string
}>()("Peers") {}

const peers = (peer: "docker-registry" | "registry") =>
  Layer.effect(
    Peers,
    Effect.gen(function*() {
      const source = yield* DockerRegistry.make({ peer })
      const target = yield* DockerRegistry.make({ peer })
      const ours = yield* NodeRegistry.serve({ auth: { scheme: "bearer", users: { ann: "s3cret" } } })
      return { source: source.url, target: target.url, ours: `http://${ours}` }
    })
  )

const program = (wire: Wire.Wire) =>
  Remote.layer.pipe(
    Layer.provideMerge(Transport.layer),
    Layer.provide(Wire.layer(wire, { away: "nowhere", seconds: 0 })),
    Layer.provide(NodeHttp.layer),
    Layer.provideMerge(NodeHasher.layer),
    Layer.provide(Keychain.layer(() => Effect.succeed(user))),
    Layer.provideMerge(Layer.succeed(ResponseBody.IdleTimeout, Duration.seconds(2)))
  )

let runs = 0

const run = Effect.fnUntraced(function*(fault: Case) {
  const { ours, source, target } = yield* Peers
  const name = `case/n${runs++}`
  const isToken = fault.name.includes("token")
  const upstream = isToken ? ours : target
  const store = MemoryStore.make("seed")
  const descriptor = yield* Content.image(store, { layers: [bytes] })
  yield* Effect.gen(function*() {
    const remote = yield* Remote.Remote
    yield* remote.copy({ store, descriptor }, `${new URL(source).host}/${name}:1`)
    const { manifest } = yield* remote.image(`${new URL(source).host}/${name}:1`)
    const there = yield* remote.store(`${new URL(upstream).host}/${name}`)
    yield* there.push(manifest.config, (offset) => store.fetch(manifest.config, offset))
  }).pipe(Effect.provide(program(Wire.make())))

  const wire = Wire.make()
  const front = yield* away(source, { faults: fault.source ?? [] }, fault.outage)
  const back = yield* FaultProxy.make(upstream, { faults: fault.target ?? [] })
  const [time, exit] = yield* Effect.flatMap(
    Remote.Remote,
    (remote) => remote.copy(`${front}/${name}:1`, `${back}/${name}:1`)
  ).pipe(
    Effect.timeout("2 minutes"),
    Effect.exit,
    Effect.timed,
    Effect.provide(program(wire))
  )
  return {
    exit,
    seconds: Duration.toSeconds(time),
    down: wire.down / size,
    up: wire.up / size,
    isSame: Exit.isSuccess(exit) && exit.value.descriptor.digest === descriptor.digest
  }
}, Effect.scoped)

/** A proxy whose port nobody listens on for some seconds. */
const away = Effect.fnUntraced(function*(upstream: string, options: FaultProxy.Options, seconds = 0) {
  if (seconds === 0) return yield* FaultProxy.make(upstream, options)
  const host = yield* Effect.scoped(FaultProxy.make(upstream, options))
  const port = Number(host.slice(host.lastIndexOf(":") + 1))
  yield* Effect.forkScoped(Effect.delay(FaultProxy.make(upstream, { ...options, port }), Duration.seconds(seconds)))
  return host
})

// Registries that keep nothing of what was cut off are sent it again, as everybody does.
const extra = { "docker-registry": 1, registry: 0.1 }

// Half a minute each that no clock of ours can shorten, once.
const all = cases(size)
const slow = all.filter(({ name }) => name.startsWith("pull: 1 byte a second"))

for (const peer of ["registry", "docker-registry"] as const) {
  describe(`single faults before ${peer}`, () => {
    layer(Layer.provideMerge(peers(peer), NodeServices.layer), { excludeTestServices: true })((it) => {
      it.effect.each(peer === "registry" ? all : all.filter((one) => !slow.includes(one)))(
        "$name",
        (fault) =>
          Effect.gen(function*() {
            const { down, exit, isSame, seconds, up } = yield* run(fault)
            yield* Console.log(
              `| ${fault.name} | ${isSame ? "ok" : "fails"} | ${seconds.toFixed(1)} s | ${down.toFixed(2)} | ${
                up.toFixed(2)
              } |`
            )
            if (fault.fails) assert.isTrue(Exit.isFailure(exit))
            else assert.isTrue(isSame, Exit.isFailure(exit) ? String(exit.cause) : "")
            const more = fault.target === undefined ? 0.1 : extra[peer] * fault.target.length
            assert.isAtMost(down, (fault.down ?? 1) + more)
            assert.isAtMost(up, (fault.up ?? 1) + more)
          })
      )
    })
  })
}
