/**
 * Single faults between registries of others: one case, from a proxy before the source to a proxy before the target.
 */
import * as Credential from "@effect-oci/authn/Credential"
import * as Keychain from "@effect-oci/authn/Keychain"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import * as NodeDial from "@effect-oci/node/NodeDial"
import * as NodeHasher from "@effect-oci/node/NodeHasher"
import * as NodeLane from "@effect-oci/node/NodeLane"
import * as NodeRegistry from "@effect-oci/node/NodeRegistry"
import * as SelfSigned from "@effect-oci/node/SelfSigned"
import * as Fault from "@effect-oci/registry/Fault"
import * as Remote from "@effect-oci/remote/Remote"
import * as Mirror from "@effect-oci/transport/Mirror"
import * as Origin from "@effect-oci/transport/Origin"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import * as RetryPolicy from "@effect-oci/transport/RetryPolicy"
import * as Transport from "@effect-oci/transport/Transport"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { LookupFunction } from "node:net"
import type { Case } from "../../remote/test/faults/cases.ts"
import type { Registry } from "../../remote/test/faults/table.ts"
import * as Wire from "../../remote/test/faults/wire.ts"
import * as Content from "../../remote/test/image.ts"
import * as DockerRegistry from "../src/DockerRegistry.ts"
import * as FaultProxy from "../src/FaultProxy.ts"

const user = Credential.basic("ann", "s3cret")

/** The registries behind the proxies: both of another make, and one of ours for what only tokens show. */
class Registries extends Context.Service<Registries, {
  readonly source: string
  readonly target: string
  readonly ours: string
}>()("Registries") {}

export const registries = (peer: Registry) =>
  Layer.effect(
    Registries,
    Effect.gen(function*() {
      const source = yield* DockerRegistry.make({ peer })
      const target = yield* DockerRegistry.make({ peer })
      const ours = yield* NodeRegistry.serve({ auth: { scheme: "bearer", users: { ann: "s3cret" } } })
      return { source: source.url, target: target.url, ours: `http://${ours}` }
    })
  )

/** How the source, which is a proxy, is reached; by another name than its own where one has to be looked up. */
interface Way {
  readonly host: string
  readonly layer: Layer.Layer<never>
}

const program = (wire: Wire.Wire, ways: Layer.Layer<never> = Layer.empty) =>
  Remote.layer.pipe(
    Layer.provideMerge(Transport.layer),
    Layer.provide(Wire.layer(wire)),
    Layer.provide(NodeLane.layer),
    Layer.provideMerge(NodeHasher.layer),
    Layer.provide(Keychain.layer(() => Effect.succeed(user))),
    Layer.provide(ways),
    Layer.provideMerge(Layer.succeed(ResponseBody.IdleTimeout, Duration.seconds(2)))
  )

let runs = 0

/** Runs one case, with a layer of these bytes. */
export const run = Effect.fnUntraced(function*(fault: Case, layer: Uint8Array) {
  const { ours, source, target } = yield* Registries
  const name = `case/n${runs++}`
  const upstream = fault.ours === true ? ours : target
  const store = MemoryStore.make("seed")
  const descriptor = yield* Content.image(store, { layers: [layer] })
  yield* Effect.gen(function*() {
    const remote = yield* Remote.Remote
    yield* remote.copy({ store, descriptor }, `${new URL(source).host}/${name}:1`)
    const { manifest } = yield* remote.image(`${new URL(source).host}/${name}:1`)
    const there = yield* remote.store(`${new URL(upstream).host}/${name}`)
    yield* there.push(manifest.config, (offset) => store.fetch(manifest.config, offset))
  }).pipe(Effect.provide(program(Wire.make())))

  const wire = Wire.make()
  const plans = [fault.source, fault.mirror, fault.target].map((faults = []) => Fault.plan(...faults))
  const [there, beside, here] = plans as [Fault.Plan, Fault.Plan, Fault.Plan]
  let ended = 0
  const asked: Array<string> = []
  const front = yield* outage(source, { plan: there }, fault.outage)
  const ways = fault.mirror === undefined
    ? front.layer
    : Mirror.layer([{ of: front.host, at: yield* FaultProxy.make(source, { plan: beside }) }])
  const back = yield* FaultProxy.make(upstream, {
    plan: here,
    onEnd: () => void ended++,
    onRequest: (url) => void asked.push(url),
    ...(fault.idle === undefined ? {} : { keepAlive: fault.idle }),
    ...(fault.limit === undefined ? {} : { limit: fault.limit })
  })
  const [time, exit] = yield* Effect.flatMap(
    Remote.Remote,
    (remote) => remote.copy(`${front.host}/${name}:1`, `${back}/${name}:1`, { verify: fault.verify })
  ).pipe(
    Effect.timeout("2 minutes"),
    Effect.exit,
    Wire.skewed(fault.skew ?? 0),
    Effect.timed,
    Effect.provide(program(wire, ways))
  )
  const struck = (yield* Effect.forEach(plans, (plan) => plan.struck)).reduce((sum, one) => sum + one)
  return {
    ...wire,
    exit,
    struck,
    ended,
    asked,
    seconds: Duration.toSeconds(time),
    down: wire.down / layer.length,
    up: wire.up / layer.length,
    isSame: Exit.isSuccess(exit) && exit.value.descriptor.digest === descriptor.digest
  }
}, Effect.scoped)

/** A proxy that cannot be reached for some seconds, as the code says. */
const outage = Effect.fnUntraced(function*(
  upstream: string,
  options: FaultProxy.Options,
  outage: Case["outage"]
): Effect.fn.Return<Way, HttpServerError.ServeError, Scope.Scope> {
  if (outage === undefined) return { host: yield* FaultProxy.make(upstream, options), layer: Layer.empty }
  const { after = 0, code, seconds } = outage
  switch (code) {
    case "ECONNREFUSED": {
      // Nobody listens on the port.
      const host = yield* Effect.scoped(FaultProxy.make(upstream, options))
      const port = Number(host.slice(host.lastIndexOf(":") + 1))
      yield* Effect.forkScoped(Effect.delay(FaultProxy.make(upstream, { ...options, port }), Duration.seconds(seconds)))
      return { host, layer: Layer.empty }
    }
    case "EAI_AGAIN":
    case "ENOTFOUND": {
      // Connections are not kept, so that each request has the name looked up.
      const at = yield* FaultProxy.make(upstream, { ...options, keepAlive: 1 })
      const host = `source.test:${at.slice(at.lastIndexOf(":") + 1)}`
      let looked = 0
      let start: number | undefined
      const lookup: LookupFunction = (name, options, callback) => {
        const isAway = name === "source.test" && looked++ >= after &&
          performance.now() < (start ??= performance.now()) + seconds * 1000
        if (isAway) return callback(Object.assign(new Error(`${code} ${name}`), { code }), "", 0)
        if (options.all === true) callback(null, [{ address: "127.0.0.1", family: 4 }])
        else callback(null, "127.0.0.1", 4)
      }
      const layer = Layer.merge(
        Origin.layer(Origin.fromEntries([[host, { plainHttp: true }]])),
        Layer.succeed(NodeDial.Lookup, lookup)
      )
      return { host, layer }
    }
    default: {
      // Who believes nobody meets a certificate, who does a server whose handshakes break off.
      const tls = yield* SelfSigned.make()
      const isReset = code === "ECONNRESET"
      const host = yield* FaultProxy.make(upstream, { ...options, tls, ...(isReset ? { resets: seconds * 1000 } : {}) })
      const layer = Origin.layer(Origin.fromEntries([[host, { tls: isReset ? { ca: [tls.cert] } : {} }]]))
      return { host, layer }
    }
  }
})

/** How a thousand requests end whose connections are closed soon after each answer. */
export const thousand = Effect.gen(function*() {
  const { source } = yield* Registries
  const store = MemoryStore.make("seed")
  const descriptor = yield* Content.image(store, { layers: [] })
  const wire = Wire.make()
  let ended = 0
  let waits = 0
  const host = yield* FaultProxy.make(source, { plan: Fault.plan(), keepAlive: 1, onEnd: () => void ended++ })
  const [time, exits] = yield* Effect.gen(function*() {
    const remote = yield* Remote.Remote
    yield* remote.copy({ store, descriptor }, `${host}/thousand:1`)
    return yield* Effect.forEach(
      Array(1000).keys(),
      // Now and then for longer than the connections are kept.
      (at) => Effect.delay(Effect.exit(remote.head(`${host}/thousand:1`)), Duration.millis(at % 3)),
      { concurrency: 8 }
    )
  }).pipe(
    Effect.timed,
    Effect.provide(program(wire)),
    Effect.provideService(RetryPolicy.OnWait, () => Effect.sync(() => void waits++))
  )
  return {
    answered: exits.filter((exit) => Exit.isSuccess(exit) && exit.value.digest === descriptor.digest).length,
    ended,
    waits,
    seconds: Duration.toSeconds(time)
  }
}).pipe(Effect.scoped)
