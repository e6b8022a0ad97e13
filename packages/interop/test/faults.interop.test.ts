import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as NodeHasher from "@effect-oci/node/NodeHasher"
import * as NodeLane from "@effect-oci/node/NodeLane"
import * as NodeRegistry from "@effect-oci/node/NodeRegistry"
import * as Fault from "@effect-oci/registry/Fault"
import * as Remote from "@effect-oci/remote/Remote"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as Transport from "@effect-oci/transport/Transport"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { type Case, cases, sizes, strikes } from "../../remote/test/faults/cases.ts"
import * as Wire from "../../remote/test/faults/wire.ts"
import * as Content from "../../remote/test/image.ts"
import * as DockerRegistry from "../src/DockerRegistry.ts"
import * as FaultProxy from "../src/FaultProxy.ts"
import { measured, type Outcome, peers } from "../src/measured.ts"

const user = Credential.basic("ann", "s3cret")
const size = sizes.large
const bytes = Content.bytes(size, 7)

/** The registries behind the proxies: both of another make, and one of ours for what only tokens show. */
class Registries extends Context.Service<Registries, {
  readonly source: string
  readonly target: string
  readonly ours: string
}>()("Registries") {}

const registries = (peer: "docker-registry" | "registry") =>
  Layer.effect(
    Registries,
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
    Layer.provide(Wire.layer(wire)),
    Layer.provide(NodeLane.layer),
    Layer.provideMerge(NodeHasher.layer),
    Layer.provide(Keychain.layer(() => Effect.succeed(user))),
    Layer.provideMerge(Layer.succeed(ResponseBody.IdleTimeout, Duration.seconds(2)))
  )

let runs = 0

const run = Effect.fnUntraced(function*(fault: Case) {
  const { ours, source, target } = yield* Registries
  const name = `case/n${runs++}`
  const upstream = fault.ours === true ? ours : target
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
  const [there, here] = [Fault.plan(...fault.source ?? []), Fault.plan(...fault.target ?? [])]
  const front = yield* away(source, { plan: there }, fault.outage?.seconds)
  const back = yield* FaultProxy.make(upstream, {
    plan: here,
    ...(fault.idle === undefined ? {} : { keepAlive: fault.idle })
  })
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
    struck: (yield* there.struck) + (yield* here.struck),
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

/**
 * What a case may cost more than in process. Distribution 2 forgets a session whose request broke off, or whose newest URL the
 * client was not told. Distribution 3 keeps what arrived, but on a busy machine may not know of it yet when it is asked.
 */
const extra = (peer: "registry" | "docker-registry", { target = [] }: Case): number =>
  0.1 + (peer === "docker-registry" ? target.length : 0.5 * Math.min(target.length, 1))

/** What each case came to, as a row. */
const row = (name: string, outcome: Outcome, { down, seconds, up }: Effect.Success<ReturnType<typeof run>>) =>
  `| ${
    [
      name,
      `${outcome} ${seconds.toFixed(1)} s, ${down.toFixed(2)} down, ${up.toFixed(2)} up`,
      ...measured.get(name) ?? []
    ]
      .join(" | ")
  } |`

const head = (peer: string) =>
  ["", `| before ${peer} | effect-oci | ${peers.join(" | ")} |`, "|---|---|---|---|---|---|"].join("\n")

for (const peer of ["registry", "docker-registry"] as const) {
  const rows = new Map<string, { readonly outcome: Outcome; readonly line: string }>()

  describe(`single faults before ${peer}`, () => {
    layer(Layer.provideMerge(registries(peer), NodeServices.layer), { excludeTestServices: true })((it) => {
      // Names are looked up in process only.
      it.effect.each(cases(size).filter(({ outage }) => outage === undefined || outage.code === "ECONNREFUSED"))(
        "$name",
        ({ name }) =>
          Effect.gen(function*() {
            // Dates in it are those of now.
            const fault = cases(size, yield* Clock.currentTimeMillis).find((one) => one.name === name)!
            const ran = yield* run(fault)
            const outcome: Outcome = ran.isSame ? "ok" : "fails"
            rows.set(fault.name, { outcome, line: row(fault.name, outcome, ran) })
            assert.isAtLeast(ran.struck, strikes(fault))
            if (fault.fails) assert.isTrue(Exit.isFailure(ran.exit))
            else assert.isTrue(ran.isSame, Exit.isFailure(ran.exit) ? String(ran.exit.cause) : "")
            assert.isAtLeast(ran.seconds, fault.least ?? 0)
            const more = extra(peer, fault)
            assert.isAtMost(ran.down, (fault.down ?? 1) + more)
            assert.isAtMost(ran.up, (fault.up ?? 1) + more)
          })
      )

      it.effect("survives 41 of the 43 faults that others were measured with, and fails the two that nobody can survive", () =>
        Effect.gen(function*() {
          const of = [...measured.keys()].map((name) => rows.get(name))
          yield* Console.log([head(peer), ...[...rows.values()].map(({ line }) => line)].join("\n"))
          assert.isTrue(of.every((one) => one !== undefined))
          assert.strictEqual(of.filter((one) => one?.outcome === "ok").length, 41)
        }))
    })
  })
}
