/**
 * A registry on a port.
 *
 * @since 1.0.0
 */
import * as Reference from "@effect-oci/name/Reference"
import * as Auth from "@effect-oci/registry/Auth"
import * as DiskStorage from "@effect-oci/registry/DiskStorage"
import * as Fault from "@effect-oci/registry/Fault"
import * as Link from "@effect-oci/registry/Link"
import * as MemoryStorage from "@effect-oci/registry/MemoryStorage"
import * as PullThrough from "@effect-oci/registry/PullThrough"
import * as Quota from "@effect-oci/registry/Quota"
import * as RegistryServer from "@effect-oci/registry/RegistryServer"
import * as Seed from "@effect-oci/registry/Seed"
import * as Settings from "@effect-oci/registry/Settings"
import { collecting, Storage, type StorageError } from "@effect-oci/registry/Storage"
import * as Traffic from "@effect-oci/registry/Traffic"
import * as Upstreams from "@effect-oci/registry/Upstreams"
import * as Users from "@effect-oci/registry/Users"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import type { ServeError } from "effect/http/HttpServerError"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import * as Server from "./internal/server.ts"
import * as NodeConnection from "./NodeConnection.ts"
import * as NodeHasher from "./NodeHasher.ts"
import * as NodePasswords from "./NodePasswords.ts"
import type * as SelfSigned from "./SelfSigned.ts"

/**
 * Options for `serve`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * The address to listen on. Only this machine's own unless told.
   *
   * @default "127.0.0.1"
   */
  readonly host?: string | undefined
  /**
   * The port to listen on; 0 is any that is free.
   *
   * @default 0
   */
  readonly port?: number | undefined
  /**
   * Serves over TLS, with a certificate of one's own or of `SelfSigned.make`.
   */
  readonly tls?: SelfSigned.Pair | undefined
  readonly auth?: Auth.Options | undefined
  /**
   * What keeps everything, to be looked at besides; `dir` and `disk` are of no matter then.
   */
  readonly storage?: Storage["Service"] | undefined
  /**
   * The folder that keeps everything. Without one it is kept in memory, and gone when the registry stops.
   */
  readonly dir?: string | undefined
  /**
   * How it is kept in the folder.
   */
  readonly disk?: DiskStorage.Options | undefined
  /**
   * What the registry allows.
   */
  readonly settings?: Partial<Omit<Settings.Settings, "hosts">> | undefined
  /**
   * Further names to answer for, with a port or at any.
   *
   * @default on an address of this machine's own that and `localhost`, else all
   */
  readonly answerFor?: ReadonlyArray<string> | undefined
  readonly quota?: Quota.Options | undefined
  /**
   * How many connections there are at a time. Further ones are closed.
   *
   * @default 4096
   */
  readonly connections?: number | undefined
  /**
   * Hears of each request when it is over.
   */
  readonly tell?: ((entry: Traffic.Entry) => Effect.Effect<void>) | undefined
  /**
   * What goes wrong: from the start, or as a plan that more is injected into.
   */
  readonly faults?: ReadonlyArray<Fault.Fault> | Fault.Plan | undefined
  /**
   * How far away it seems, and how wide the way to it.
   */
  readonly link?: Link.Options | undefined
  /**
   * The registries it stands for: what it lacks it gets from there and keeps, and nobody pushes to it.
   */
  readonly upstreams?: Upstreams.Upstreams | undefined
  /**
   * What there is from the start: content by a reference without a registry, such as `acme/app:1.2`.
   */
  readonly seed?: Seed.Seed | undefined
}

/** The names of this machine that no page from elsewhere can give itself. */
const loopback = ["localhost", "127.0.0.1", "[::1]"]

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || host.startsWith("127.")

const settingsOf = ({ answerFor = [], host = "127.0.0.1", settings, upstreams }: Options): Settings.Settings => ({
  ...Settings.defaults,
  ...settings,
  readOnly: upstreams !== undefined || settings?.readOnly === true,
  // Names are compared with what a client says in lower case.
  hosts: isLoopback(host) || answerFor.length > 0
    ? [...loopback, host, ...answerFor].map((name) => name.toLowerCase())
    : undefined
})

/** Answers: the registry, behind whoever lets in, with what goes wrong before it and whoever watches before all. */
const answering = Effect.fnUntraced(function*(options: Options, storage: Storage["Service"]) {
  const { auth, faults = [], tell, upstreams } = options
  const kept = upstreams === undefined
    ? storage
    : yield* PullThrough.make(storage, {
      sourceOf: Upstreams.sourceOf(upstreams),
      tagsOf: Upstreams.tagsOf(upstreams)
    })
  const guarded = auth === undefined ? RegistryServer.app : yield* Auth.guard(RegistryServer.app, auth)
  const broken = yield* Link.guard(
    Fault.guard(
      upstreams === undefined ? guarded : Upstreams.guard(guarded, upstreams),
      "next" in faults ? faults : Fault.plan(...faults)
    ),
    options.link ?? {}
  )
  const watched = Traffic.guard(
    broken,
    (entry) => tell === undefined ? Traffic.measure(entry) : Effect.andThen(Traffic.measure(entry), tell(entry))
  )
  // What a client has given up is given up, which a server's handlers are not by themselves.
  yield* Traffic.redacting(HttpServer.serveEffect(Effect.interruptible(NodeConnection.breaking(watched)))).pipe(
    Effect.provideService(Storage, yield* Quota.limit(kept, options.quota)),
    Effect.provideService(Settings.Settings, settingsOf(options))
  )
})

const storageOf = ({ dir, disk }: Options) =>
  (dir === undefined ? MemoryStorage.make : Effect.provide(DiskStorage.make(dir, disk), NodeServices.layer))
    .pipe(
      Effect.provide(NodeHasher.layer)
    )

/**
 * Serves a registry, from memory or a folder, until its scope is closed; gives `host:port` as references name it.
 *
 * **Details**
 *
 * When the scope is closed, it takes no more connections and lets the requests that there are finish, for up to two
 * seconds.
 *
 * @category serving
 * @since 1.0.0
 */
export const serve = Effect.fn("NodeRegistry.serve")(function*(
  options: Options = {}
): Effect.fn.Return<string, ServeError | StorageError, Scope.Scope> {
  const storage = options.storage ?? (yield* storageOf(options))
  yield* Effect.forkScoped(collecting(storage))
  yield* Effect.forEach(Object.entries(options.seed ?? {}), ([text, content]) => {
    const { digest, repository, tag } = Reference.parseUnsafe(`localhost/${text}`, { defaultTag: "" })
    return Seed.put(storage, { repository: repository.path, tag, digest }, content)
  }, { discard: true })
  // Before the server: requests that there are when it stops may still wait for theirs.
  const compare = yield* NodePasswords.make
  const server = yield* Server.make({
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    tls: options.tls,
    connections: options.connections ?? 4096
  })
  yield* answering(options, storage).pipe(
    Effect.provideService(HttpServer.HttpServer, server),
    Effect.provideService(Users.Comparing, compare)
  )
  const { address } = server
  return address._tag === "UnixPathAddress" ? address.path : NetAddress.formatInet(address)
})
