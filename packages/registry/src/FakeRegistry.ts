/**
 * Registries in process, behind an `HttpClient`: the same code that `effect-oci serve` puts on a port, for any host names
 * and without a socket.
 *
 * @since 1.0.0
 */
import type * as Digest from "@effect-oci/name/Digest"
import * as Reference from "@effect-oci/name/Reference"
import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Auth from "./Auth.ts"
import type { Content } from "./FakeImage.ts"
import * as Fault from "./Fault.ts"
import * as InProcess from "./internal/inProcess.ts"
import * as Redact from "./internal/redact.ts"
import * as Link from "./Link.ts"
import * as MemoryStorage from "./MemoryStorage.ts"
import * as RegistryServer from "./RegistryServer.ts"
import * as Seed from "./Seed.ts"
import * as Settings from "./Settings.ts"
import { Storage, type Stored } from "./Storage.ts"
import * as Traffic from "./Traffic.ts"

/**
 * One registry and what is particular to it.
 *
 * @category options
 * @since 1.0.0
 */
export interface Host {
  /**
   * As in references: `ghcr.io`, `localhost:5000`.
   */
  readonly name: string
  readonly auth?: Auth.Options | undefined
  readonly settings?: Partial<Settings.Settings> | undefined
  readonly link?: Link.Options | undefined
}

/**
 * Options for `layer`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * The registries there are, such as `ghcr.io`, each of them once. Each has a storage of its own; any other host is unknown.
   */
  readonly hosts: ReadonlyArray<string | Host>
  /**
   * For the hosts that have none of their own.
   */
  readonly auth?: Auth.Options | undefined
  /**
   * For the hosts that have none of their own.
   */
  readonly settings?: Partial<Settings.Settings> | undefined
  /**
   * What a registry of this name keeps its content in: asked for each of them, and again by `reset`. One that is not empty, or
   * that another registry has, is a defect.
   *
   * @default MemoryStorage.make
   */
  readonly storage?: ((name: string) => Effect.Effect<Storage["Service"]>) | undefined
  /**
   * How far away the hosts are that have no link of their own, and how wide the way to each of them is.
   */
  readonly link?: Link.Options | undefined
  /**
   * What there is from the start, and again after `reset`: content by its reference.
   */
  readonly seed?: Seed.Seed | undefined
  /**
   * What goes wrong from the start, and again after `reset`.
   */
  readonly faults?: ReadonlyArray<Fault.Fault> | undefined
}

/**
 * A request that was made, without its secrets.
 *
 * @category models
 * @since 1.0.0
 */
export interface Made {
  /**
   * When it was made, in milliseconds since 1970.
   */
  readonly at: number
  /**
   * Whether it would have gone in clear text or over TLS.
   */
  readonly protocol: "http" | "https"
  readonly method: string
  readonly host: string
  readonly path: string
  /**
   * With its question mark, empty if there is none; of what the specification does not know, the names only.
   */
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
  /**
   * Nothing as long as there is no reply, and where the connection was cut.
   */
  readonly status: number | undefined
  /**
   * Who asked, if the registry knows.
   */
  readonly user: string | undefined
  /**
   * The bytes of its body that were read.
   */
  readonly received: number
}

/**
 * What a test can do with the registries behind the `HttpClient`, and see of them. What it does itself passes no
 * authentication, meets no faults and is not among the `requests`.
 *
 * @category services
 * @since 1.0.0
 */
export class FakeRegistry extends Context.Service<FakeRegistry, {
  /**
   * Puts content into a repository, under a tag if the reference has one. Whatever is wrong with it is a defect.
   */
  readonly seed: (
    reference: string,
    content: Content | Effect.Effect<Content>
  ) => Effect.Effect<Descriptor.Descriptor>
  /**
   * The repositories of a registry, by the names that `tags` takes, in order.
   */
  readonly repositories: (registry: string) => Effect.Effect<ReadonlyArray<string>>
  /**
   * The tags of a repository, in order.
   */
  readonly tags: (repository: string) => Effect.Effect<ReadonlyArray<string>>
  /**
   * A manifest as it was pushed.
   */
  readonly manifest: (reference: string) => Effect.Effect<Option.Option<Stored>>
  /**
   * The digests of a repository's blobs, in order.
   */
  readonly blobs: (repository: string) => Effect.Effect<ReadonlyArray<Digest.Digest>>
  /**
   * A blob of `repository@digest`.
   */
  readonly blob: (reference: string) => Effect.Effect<Option.Option<Uint8Array>>
  /**
   * Every request so far, oldest first.
   */
  readonly requests: Effect.Effect<ReadonlyArray<Made>>
  /**
   * Orders faults, after those that are still to come. One at a host that is not there is a defect.
   */
  readonly inject: (...faults: ReadonlyArray<Fault.Fault>) => Effect.Effect<void>
  /**
   * How many requests have met a fault.
   */
  readonly struck: Effect.Effect<number>
  /**
   * The faults that have met no request, in the order in which they were ordered.
   */
  readonly unmet: Effect.Effect<ReadonlyArray<Fault.Fault>>
  /**
   * Starts all registries anew, as they were at first, and forgets requests and faults.
   */
  readonly reset: Effect.Effect<void>
}>()("@effect-oci/registry/FakeRegistry") {}

const untagged = { defaultTag: "" }

type Making = { -readonly [K in keyof Made]: Made[K] }

interface Opened {
  readonly app: InProcess.App
  readonly storage: Storage["Service"]
}

const make = Effect.fnUntraced(function*(options: Options) {
  const plan = Fault.plan()
  const requests: Array<Making> = []
  let registries: ReadonlyMap<string, Opened> = new Map()

  const open = Effect.gen(function*() {
    const opened = new Map<string, Opened>()
    for (const given of options.hosts) {
      const host: Host = typeof given === "string" ? { name: given } : given
      const name = Registry.apiHost(Registry.parseUnsafe(host.name))
      if (opened.has(name)) return yield* Effect.die(new Error(`there are two registries ${host.name} among the hosts`))
      const auth = host.auth ?? options.auth
      const storage = yield* options.storage?.(host.name) ?? MemoryStorage.make
      const isShared = [...opened.values()].some((other) => other.storage === storage)
      if (isShared || (yield* Effect.orDie(storage.repositories)).length > 0) {
        return yield* Effect.die(new Error(`the storage of ${host.name} is not empty, or not its own`))
      }
      const settings = { ...Settings.defaults, ...options.settings, ...host.settings }
      const served = Effect.provideService(RegistryServer.app, Storage, storage)
      const guarded = auth === undefined ? served : yield* Auth.guard(served, auth)
      const linked = yield* Link.guard(Fault.guard(guarded, plan), host.link ?? options.link ?? {})
      const app = Effect.provideService(linked, Settings.Settings, settings)
      opened.set(name, { app, storage })
    }
    registries = opened
  })

  const client = HttpClient.make((request, url) =>
    Effect.clockWith((clock) => {
      const registry = registries.get(url.host)
      if (registry === undefined) return InProcess.unknownHost(request, url)
      const { host, pathname: path, search: query } = url
      const made: Making = {
        at: clock.currentTimeMillisUnsafe(),
        protocol: InProcess.protocolOf(url),
        method: request.method,
        host,
        path,
        query: Redact.query(query),
        headers: Redact.headersOf(request.headers),
        status: undefined,
        user: undefined,
        received: 0
      }
      requests.push(made)
      const watch: Traffic.Watch = {
        asks: (user) => void (made.user = user),
        receives: (size) => void (made.received += size)
      }
      return InProcess.run(registry.app, request, url).pipe(
        Effect.provideService(Traffic.Watching, watch),
        Effect.tap(({ status }) => Effect.sync(() => Object.assign(made, { status })))
      )
    })
  )

  const registryOf = (host: string): Effect.Effect<Opened> =>
    Effect.suspend(() => {
      const found = registries.get(host)
      return found === undefined
        ? Effect.die(new Error(`there is no registry ${host} among the hosts`))
        : Effect.succeed(found)
    })

  const storageOf = ({ registry }: Repository.Repository) =>
    Effect.map(registryOf(Registry.apiHost(registry)), ({ storage }) => storage)

  const within = <A>(
    name: string,
    use: (storage: Storage["Service"], repository: string) => Effect.Effect<A, unknown>
  ): Effect.Effect<A> =>
    Effect.suspend(() => {
      const repository = Repository.parseUnsafe(name)
      return Effect.flatMap(storageOf(repository), (storage) => use(storage, repository.path))
    }).pipe(Effect.orDie)

  const seed = Effect.fnUntraced(function*(text: string, content: Content | Effect.Effect<Content>) {
    const { digest, repository, tag } = Reference.parseUnsafe(text, untagged)
    return yield* Seed.put(yield* storageOf(repository), { repository: repository.path, tag, digest }, content)
  })
  const inject = Effect.fnUntraced(function*(...faults: ReadonlyArray<Fault.Fault>) {
    for (const { host } of faults) if (host !== undefined) yield* registryOf(host)
    yield* plan.inject(...faults)
  })
  const start = Effect.gen(function*() {
    yield* open
    yield* inject(...options.faults ?? [])
    for (const [text, content] of Object.entries(options.seed ?? {})) yield* seed(text, content)
  })
  yield* start

  return Context.make(HttpClient.HttpClient, client).pipe(Context.add(FakeRegistry, {
    seed,
    repositories: (text) =>
      Effect.gen(function*() {
        const registry = Registry.parseUnsafe(text)
        const { storage } = yield* registryOf(Registry.apiHost(registry))
        return (yield* Effect.orDie(storage.repositories)).map((path) => `${registry.name}/${path}`)
      }),
    tags: (name) =>
      within(
        name,
        (storage, repository) => Effect.map(storage.tags(repository), Option.getOrElse((): ReadonlyArray<string> => []))
      ),
    manifest: (text) =>
      Effect.suspend(() => {
        const reference = Reference.parseUnsafe(text)
        const identifier = Reference.identifier(reference)
        return identifier === undefined ? Effect.succeedNone : within(
          reference.repository.name,
          (storage, repository) => storage.manifest(repository, identifier)
        )
      }),
    blobs: (name) => within(name, (storage, repository) => storage.blobs(repository)),
    blob: (text) =>
      Effect.suspend(() => {
        const { digest, repository } = Reference.parseUnsafe(text, untagged)
        return digest === undefined ?
          Effect.succeedNone :
          within(repository.name, (storage, path) =>
            Effect.flatMap(storage.blobSize(path, digest), (size) =>
              Option.isNone(size) ? Effect.succeedNone : Effect.asSome(
                Effect.flatMap(storage.readBlob(path, digest, 0, size.value), Stream.mkUint8Array)
              )))
      }),
    requests: Effect.sync(() => requests.map((made) => ({ ...made }))),
    inject,
    struck: plan.struck,
    unmet: plan.unmet,
    reset: Effect.gen(function*() {
      requests.length = 0
      yield* plan.clear
      yield* start
    })
  }))
})

/**
 * Registries in process. Nothing of the program under test changes but this layer.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer = (options: Options): Layer.Layer<FakeRegistry | HttpClient.HttpClient> =>
  Layer.effectContext(make(options))
