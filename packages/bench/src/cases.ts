/**
 * What is compared.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import * as Content from "./Content.ts"
import * as Link from "./Link.ts"
import * as Measure from "./Measure.ts"
import * as Registries from "./Registries.ts"
import type { Figures } from "./Table.ts"
import * as Tools from "./Tools.ts"

/** Runs one round of one tool; nothing where the tool cannot do it. */
export type Round = (tool: Tools.Tool) => Effect.Effect<Figures | undefined, Measure.RunFailed, Scope.Scope>

export interface Case {
  readonly title: string
  readonly rounds: number
  /** Tools that take part, by name; all that can, unless told. */
  readonly tools?: ReadonlyArray<string>
  /** What the others are compared with, where other things take part than tools. */
  readonly base?: string
  readonly prepare: Effect.Effect<Round, Measure.RunFailed, Scope.Scope>
}

const MiB = 1024 * 1024

let names = 0
const fresh = (): string => `r${++names}`

/** How regctl is told that a registry is spoken to in clear; the others have a flag for it, or know loopback. */
const environment = (folder: string, hosts: ReadonlyArray<string>): Record<string, string> => {
  const config = path.join(folder, "regctl.json")
  Registries.write(
    config,
    JSON.stringify({ hosts: Object.fromEntries(hosts.map((host) => [host, { tls: "disabled" }])) })
  )
  return { REGCTL_CONFIG: config, DOCKER_CONFIG: folder }
}

/** Runs a program and counts what registries were asked meanwhile. */
const counted = Effect.fnUntraced(function*(
  argv: ReadonlyArray<string>,
  env: Record<string, string>,
  registries: ReadonlyArray<Registries.Registry>
) {
  const sum = () => registries.reduce((all, registry) => all + (registry.requests() ?? 0), 0)
  const before = sum()
  // Whoever waits for the disk waits for what others have left to it, too.
  yield* Measure.program(["sync"], { env })
  const cost = yield* Measure.program(argv, { env })
  // Logs are written behind.
  yield* Effect.sleep("100 millis")
  return { ...cost, requests: sum() - before }
})

type Make = (folder: string) => void

type Start = Effect.Effect<Registries.Registry, Measure.RunFailed, Scope.Scope>

/** Two registries of one kind, the image in the first; far away where a round trip is given. */
const between = Effect.fnUntraced(function*(make: Make, roundTrip?: number, registry: Start = Registries.distribution) {
  const folder = yield* Registries.folder
  const layout = path.join(folder, "layout")
  make(layout)
  const source = yield* registry
  const target = yield* registry
  const from = roundTrip === undefined ? source.host : yield* Link.make(source.host, roundTrip)
  const to = roundTrip === undefined ? target.host : yield* Link.make(target.host, roundTrip)
  const env = environment(folder, [from, to, source.host])
  yield* Measure.program(Tools.ours.push!(layout, `${source.host}/bench/image:1`), { env })
  return { from: `${from}/bench/image:1`, to, env, layout, source, target }
})

const copy = (make: Make, roundTrip?: number, registry: Start = Registries.distribution) =>
  Effect.map(
    between(make, roundTrip, registry),
    ({ env, from, source, target, to }): Round => (tool) =>
      tool.copy === undefined
        ? Effect.undefined
        : counted(tool.copy(from, `${to}/bench/${fresh()}:1`), env, [source, target])
  )

/** What is there already is copied once more. */
const copyAgain = (make: Make, roundTrip?: number) =>
  Effect.map(between(make, roundTrip), ({ env, from, source, target, to }): Round => {
    const done = new Set<string>()
    return Effect.fnUntraced(function*(tool) {
      if (tool.copy === undefined) return undefined
      const argv = tool.copy(from, `${to}/bench/${tool.name}:1`)
      if (!done.has(tool.name)) yield* Measure.program(argv, { env })
      done.add(tool.name)
      return yield* counted(argv, env, [source, target])
    })
  })

const pull = (make: Make) =>
  Effect.map(between(make), ({ env, from, source }): Round =>
    Effect.fnUntraced(function*(tool) {
      const folder = path.join(yield* Registries.folder, "pulled")
      return tool.pull === undefined ? undefined : yield* counted(tool.pull(from, folder), env, [source])
    }))

const push = (make: Make) =>
  Effect.map(between(make), ({ env, layout, target, to }): Round => (tool) =>
    tool.push === undefined
      ? Effect.undefined
      : counted(tool.push(layout, `${to}/bench/${fresh()}:1`), env, [target]))

/** A server on a port of its own. */
const listening = (server: Server) =>
  Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () => Effect.sync(() => (server.closeAllConnections(), server.close()))
  )

/** A repository of so many tags. No registry of ours or others: they take longer to list than any client to read. */
const tags = (count: number) =>
  Effect.gen(function*() {
    const all = Array.from({ length: count }, (_, at) => `v${String(at).padStart(7, "0")}`)
    let requests = 0
    const server = createServer((request, response) => {
      requests++
      const url = new URL(request.url ?? "/", "http://registry")
      if (!url.pathname.endsWith("/tags/list")) return void response.end("{}")
      const n = Math.min(Number(url.searchParams.get("n") ?? 1000) || 1000, 1000)
      const last = url.searchParams.get("last")
      const from = last === null ? 0 : all.indexOf(last) + 1
      const page = all.slice(from, from + n)
      if (from + n < count) {
        response.setHeader("link", `<${url.pathname}?n=${n}&last=${page.at(-1)}>; rel="next"`)
      }
      response.setHeader("content-type", "application/json")
      response.end(JSON.stringify({ name: "bench/tags", tags: page }))
    })
    yield* listening(server)
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const env = environment(yield* Registries.folder, [host])
    const round: Round = Effect.fnUntraced(function*(tool) {
      if (tool.tags === undefined) return undefined
      requests = 0
      return { ...(yield* Measure.program(tool.tags(`${host}/bench/tags`), { env })), requests }
    })
    return round
  })

const digest = (make: Make) =>
  Effect.map(
    between(make),
    ({ env, from, source }): Round => (tool) =>
      tool.digest === undefined ? Effect.undefined : counted(tool.digest(from), env, [source])
  )

/** Here the registries are compared, each used by the same client; the figures are the registry's own. */
const served = (make: Make, direction: "push" | "pull") =>
  Effect.gen(function*() {
    const folder = yield* Registries.folder
    const layout = path.join(folder, "layout")
    make(layout)
    const started = {
      "effect-oci, memory": Registries.inMemory,
      "effect-oci, disk": Registries.onDisk,
      registry: Registries.distribution,
      "ggcr-registry": Registries.ggcr,
      "bare node:http": Registries.bare,
      "bare Effect": Registries.bareEffect
    }
    const client = Tools.peers[0]!
    const round: Round = Effect.fnUntraced(function*(tool) {
      const start = started[tool.name as keyof typeof started]
      // Each round begins with an empty one.
      const registry = yield* start
      const env = environment(folder, [registry.host])
      const reference = `${registry.host}/bench/served:1`
      const pushed = yield* Measure.program(client.push!(layout, reference), { env })
      const before = direction === "push" ? 0 : Measure.cpuOf(registry.pid)
      const { wall } = direction === "push" ? pushed : yield* Measure.program(
        client.pull!(reference, path.join(yield* Registries.folder, "pulled")),
        { env }
      )
      return {
        cpu: Measure.cpuOf(registry.pid) - before,
        wall,
        memory: Measure.peakOf(registry.pid),
        requests: undefined
      }
    })
    return round
  })

/** What so many small requests cost a client of JavaScript, without what it costs to start it. */
const requests = (count: number) =>
  Effect.gen(function*() {
    const body = Buffer.alloc(1000, "a")
    let requests = 0
    const server = createServer((_, response) => {
      requests++
      response.end(body)
    })
    yield* listening(server)
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/bench/small`
    const ask = (tool: Tools.Tool, count: number) =>
      Measure.program([process.execPath, Tools.requests, tool.name, url, String(count)])
    const round: Round = Effect.fnUntraced(function*(tool) {
      const start = yield* ask(tool, 1)
      requests = 0
      const cost = yield* ask(tool, count + 1)
      return { cpu: cost.cpu - start.cpu, wall: cost.wall - start.wall, memory: cost.memory, requests }
    })
    return round
  })

const one = (size: number): Make => (folder) => Content.image(folder, [size])
const platforms: Make = (folder) => Content.index(folder, 5, Array.from({ length: 20 }, () => 2000))
const many: Make = (folder) => Content.index(folder, 50, Array.from({ length: 100 }, () => 1000))
const indexOf = (images: number): Make => (folder) => Content.index(folder, images, [1000])
/** Those that copy indexes. */
const clients = ["effect-oci", "crane", "regctl", "oras", "skopeo"]
const registries = ["effect-oci, memory", "effect-oci, disk", "registry", "ggcr-registry"]
/** How little a request can cost in Node, and in Effect. */
const least = ["bare node:http", "bare Effect"]
const two = ["effect-oci", "crane"]

export const cases: Readonly<Record<string, Case>> = {
  "copy-1g": { title: "Copy of one blob of 1 GiB", rounds: 5, prepare: copy(one(1024 * MiB)) },
  "copy-8x64m": {
    title: "Copy of 8 blobs of 64 MiB",
    rounds: 5,
    prepare: copy((folder) => Content.image(folder, Array.from({ length: 8 }, () => 64 * MiB)))
  },
  "copy-5x20": { title: "Copy of 5 platforms of 20 small layers", rounds: 5, tools: clients, prepare: copy(platforms) },
  "copy-5x20-50ms": {
    title: "Copy of 5 platforms of 20 small layers, 50 ms from either registry",
    rounds: 3,
    tools: clients,
    prepare: copy(platforms, 50)
  },
  "copy-5x20-50ms-light": {
    title:
      "Copy of 5 platforms of 20 small layers, 50 ms from registries that take little of the processors: ours, in memory",
    rounds: 5,
    tools: clients,
    prepare: copy(platforms, 50, Registries.light)
  },
  again: {
    title: "The same copy once more, all being there",
    rounds: 5,
    tools: clients,
    prepare: copyAgain(platforms)
  },
  "again-50ms": {
    title: "The same copy once more, all being there, 50 ms from either registry",
    rounds: 5,
    tools: clients,
    prepare: copyAgain(platforms, 50)
  },
  "pull-1g": { title: "Pull of 1 GiB into an OCI layout", rounds: 5, prepare: pull(one(1024 * MiB)) },
  "push-1g": { title: "Push of 1 GiB from an OCI layout", rounds: 5, prepare: push(one(1024 * MiB)) },
  "copy-5000": {
    title: "Copy of 5,000 blobs of 1,000 bytes, in 50 images",
    rounds: 3,
    tools: clients,
    prepare: copy(many)
  },
  "tags-100k": { title: "List of 100,000 tags", rounds: 5, prepare: tags(100_000) },
  "index-1000": { title: "Copy of an index of 1,000 images", rounds: 3, tools: clients, prepare: copy(indexOf(1000)) },
  digest: { title: "Start-up: `digest` of a tag", rounds: 20, prepare: digest(one(1000)) },
  "requests-2000": {
    title: "2,000 small requests by clients of JavaScript, one after the other",
    rounds: 7,
    tools: ["undici", "HttpClient", "lane", "effect-oci"],
    base: "undici",
    prepare: requests(2000)
  },
  "serve-push-1g": {
    title: "Registries: a push of 1 GiB by crane",
    rounds: 3,
    tools: registries,
    base: "registry",
    prepare: served(one(1024 * MiB), "push")
  },
  "serve-pull-1g": {
    title: "Registries: a pull of 1 GiB by crane",
    rounds: 3,
    tools: registries,
    base: "registry",
    prepare: served(one(1024 * MiB), "pull")
  },
  "serve-push-5000": {
    title: "Registries: a push of 5,000 blobs of 1,000 bytes, in 50 images, by crane",
    rounds: 3,
    tools: [...registries, ...least],
    base: "registry",
    prepare: served(many, "push")
  },
  ...Object.fromEntries([1, 10, 100, 1000].map((images) => [
    `grow-${images}`,
    { title: `Growth: an index of ${images} images`, rounds: 3, tools: two, prepare: copy(indexOf(images)) }
  ])),
  ...Object.fromEntries([64, 1024, 4096].map((size) => [
    `grow-${size}m`,
    { title: `Growth: one blob of ${size} MiB`, rounds: 3, tools: two, prepare: copy(one(size * MiB)) }
  ]))
}
