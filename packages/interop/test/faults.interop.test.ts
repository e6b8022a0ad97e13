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
import * as Transport from "@effect-oci/transport/Transport"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { LookupFunction } from "node:net"
import { type Case, cases, hasMet, sizes, strays } from "../../remote/test/faults/cases.ts"
import * as Wire from "../../remote/test/faults/wire.ts"
import * as Content from "../../remote/test/image.ts"
import * as DockerRegistry from "../src/DockerRegistry.ts"
import * as FaultProxy from "../src/FaultProxy.ts"
import { measured, type Outcome, peers } from "../src/measured.ts"

const user = Credential.basic("ann", "s3cret")
const size = sizes.large
const bytes = Content.bytes(size, 7)
const small = Content.bytes(1024 * 1024, 7)
const places = Array.from({ length: 16 }, (_, at) => at * 64 * 1024)

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

const run = Effect.fnUntraced(function*(fault: Case, layer: Uint8Array = bytes) {
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

/**
 * What a case may cost more than in process. Distribution 2 forgets a session whose request broke off, or whose newest URL the
 * client was not told. Distribution 3 keeps what arrived, but on a busy machine may not know of it yet when it is asked.
 */
const extra = (peer: "registry" | "docker-registry", { target = [] }: Case): number =>
  0.1 + (peer === "docker-registry" ? target.length : 0.5 * Math.min(target.length, 1))

/** What each case came to, as a row; with what the others came to, where they were measured. */
const line = (
  { name, row = "" }: Case,
  outcome: Outcome,
  { down, seconds, up }: Effect.Success<ReturnType<typeof run>>
) => {
  const others = measured.get(name)
  const came = `${outcome} ${seconds.toFixed(1)} s, ${down.toFixed(2)} down, ${up.toFixed(2)} up`
  return `| ${(others === undefined ? [row, name, came] : [name, came, ...others]).join(" | ")} |`
}

/** The rows of the table of faults that single faults show; B24, restarts in a larger copy, has a test of its own. */
const rows = "B05 B11 B12 B16 B17 B18 B19 B20 B21 B22 B23 B25 B33 B34 B35 B36 B37 B38".split(" ")

interface Ran {
  readonly fault: Case
  readonly outcome: Outcome
  readonly line: string
}

const table = (peer: string, ran: ReadonlyArray<Ran>) => {
  const lines = (isMeasured: boolean) =>
    ran.filter(({ fault }) => measured.has(fault.name) === isMeasured).map(({ line }) => line)
  return [
    "",
    `| before ${peer} | effect-oci | ${peers.join(" | ")} |`,
    "|---|---|---|---|---|---|",
    ...lines(true),
    "",
    `| row | before ${peer} | effect-oci |`,
    "|---|---|---|",
    ...lines(false)
  ].join("\n")
}

for (const peer of ["registry", "docker-registry"] as const) {
  const ran = new Map<string, Ran>()

  describe(`single faults before ${peer}`, () => {
    layer(Layer.provideMerge(registries(peer), NodeServices.layer), { excludeTestServices: true })((it) => {
      it.effect.each(cases(size))(
        "$name",
        ({ name }) =>
          Effect.gen(function*() {
            // Dates in it are those of now.
            const fault = cases(size, yield* Clock.currentTimeMillis).find((one) => one.name === name)!
            const seen = yield* run(fault)
            const { down, exit, isSame, seconds, up } = seen
            const outcome: Outcome = isSame ? "ok" : "fails"
            ran.set(fault.name, { fault, outcome, line: line(fault, outcome, seen) })
            assert.isTrue(hasMet(fault, seen))
            assert.deepStrictEqual(strays(seen), [])
            if (fault.fails) assert.isTrue(Exit.isFailure(exit) && !Cause.hasDies(exit.cause), String(exit))
            else assert.isTrue(isSame, String(exit))
            assert.isAtLeast(seconds, fault.least ?? 0)
            if (fault.within === 0) assert.isAtMost(seconds, 1)
            const more = extra(peer, fault)
            assert.isAtMost(down, (fault.down ?? 1) + more)
            assert.isAtMost(up, (fault.up ?? 1) + more)
          })
      )

      // What is on its way when a connection is cut has been sent; what arrived is not sent again, where the registry kept it.
      it.effect.each(places)(
        "ends right where a blob of 1 MiB is cut at byte %d, down and up",
        (at) =>
          Effect.gen(function*() {
            const source = [Fault.truncate(at, { end: "reset" }).on("GET", "/blobs/sha256:")]
            const down = yield* run({ name: "", source }, small)
            assert.isTrue(hasMet({ name: "", source }, down) && down.isSame, String(down.exit))
            assert.isAtMost(down.down, 1.13)
            const target = [Fault.reset(at).on("PUT", "/blobs/uploads/")]
            const up = yield* run({ name: "", target }, small)
            assert.isTrue(hasMet({ name: "", target }, up) && up.isSame, String(up.exit))
            assert.isAtMost(up.up, 2)
          })
      )

      it.effect("survives 41 of the 43 faults that others were measured with, and fails the two that nobody can survive", () =>
        Effect.gen(function*() {
          const of = [...measured.keys()].map((name) => ran.get(name))
          yield* Console.log(table(peer, [...ran.values()]))
          const shown = new Set([...ran.values()].map(({ fault }) => fault.row))
          assert.deepStrictEqual(rows.filter((row) => !shown.has(row)), [])
          assert.isTrue(of.every((one) => one !== undefined))
          assert.strictEqual(of.filter((one) => one?.outcome === "ok").length, 41)
        }))
    })
  })
}
