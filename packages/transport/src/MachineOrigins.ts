/**
 * How hosts are reached, as this machine is set up: proxies in the environment, certificates in the folders of Docker and
 * Podman, mirrors and more in their files.
 *
 * @since 1.0.0
 */
import * as Registry from "@effect-oci/name/Registry"
import * as Json from "@effect-oci/spec/Json"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Insecure from "./internal/insecure.ts"
import * as Mirror from "./Mirror.ts"
import * as Origin from "./Origin.ts"
import * as Proxy from "./Proxy.ts"
import * as Realm from "./Realm.ts"
import * as RegistriesConf from "./RegistriesConf.ts"

const home = Config.option(
  Config.NonEmptyString("HOME").pipe(Config.orElse(() => Config.NonEmptyString("USERPROFILE")))
)

/** Nothing where there is nothing, or nothing that this user may read. */
const orNothing = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A | undefined, never, R> =>
  Effect.orElseSucceed(self, () => undefined)

/**
 * The certificates of a folder as Docker and Podman keep them for one host: each `*.crt` is believed, `*.cert` with the
 * `*.key` of its name is shown.
 *
 * @category reading
 * @since 1.0.0
 */
export const tlsOf = Effect.fnUntraced(function*(
  folder: string
): Effect.fn.Return<Origin.Tls | undefined, never, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = ((yield* orNothing(fs.readDirectory(folder))) ?? []).toSorted()
  const read = (name: string) => orNothing(fs.readFileString(path.join(folder, name)))
  const ca = (yield* Effect.forEach(names.filter((name) => name.endsWith(".crt")), read))
    .filter((text) => text !== undefined)
  const client = names.find((name) => name.endsWith(".cert") && names.includes(name.replace(/\.cert$/, ".key")))
  const cert = client === undefined ? undefined : yield* read(client)
  const key = client === undefined ? undefined : yield* read(client.replace(/\.cert$/, ".key"))
  if (ca.length === 0 && (cert === undefined || key === undefined)) return undefined
  return {
    ...(ca.length === 0 ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key: Redacted.make(key, { label: "client key" }) })
  }
})

/**
 * The folders that hold one folder of certificates for each `host[:port]`; those of the user first.
 *
 * @category config
 * @since 1.0.0
 */
export const certificateFolders: Effect.Effect<ReadonlyArray<string>, Config.ConfigError, Path.Path> = Effect.gen(
  function*() {
    const path = yield* Path.Path
    const own = Option.getOrUndefined(yield* home)
    return [
      ...(own === undefined
        ? []
        : [".docker", ".config/docker", ".config/containers"].map((by) => path.join(own, by, "certs.d"))),
      "/etc/docker/certs.d",
      "/etc/containers/certs.d"
    ]
  }
)

/**
 * The hosts that have certificates in one of the folders.
 *
 * @category reading
 * @since 1.0.0
 */
export const certificates = Effect.fnUntraced(function*(
  folders: ReadonlyArray<string>
): Effect.fn.Return<Origin.Lookup, never, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const entries: Array<readonly [string, Origin.Origin]> = []
  for (const folder of folders) {
    for (const host of (yield* orNothing(fs.readDirectory(folder))) ?? []) {
      const tls = yield* tlsOf(path.join(folder, host))
      // Of the user's and the machine's the user's; not a mixture of both.
      if (tls !== undefined && !entries.some(([other]) => other === host)) entries.push([host, { tls }])
    }
  }
  return Origin.fromEntries(entries)
})

const strings = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value) ? value.filter((one) => typeof one === "string") : []

/**
 * What the configuration of Docker's daemon says: mirrors of Docker Hub, and hosts that are insecure.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parseDaemon = (bytes: Uint8Array): Result.Result<RegistriesConf.RegistriesConf, string> => {
  const parsed = Json.parse(bytes, "daemon.json")
  if (Result.isFailure(parsed)) return Result.fail(parsed.failure.message)
  const json = Json.isObject(parsed.success) ? parsed.success : {}
  const texts = strings(json["registry-mirrors"])
  const mirrors = texts.flatMap((text) => URL.parse(text) ?? [])
  const of = "docker.io"
  return Result.succeed({
    entries: mirrors.length === 0 ? [] : [{
      of,
      rules: mirrors.map(({ host, pathname }) => ({ of, at: host + pathname.replace(/\/+$/, "") }))
    }],
    wrong: texts.filter((text) => !URL.canParse(text))
      .map((text) => `registry-mirrors: ${JSON.stringify(text)} is not a URL`),
    origins: [
      ...mirrors.filter(({ protocol }) => protocol === "http:")
        .map(({ host }) => [host, { plainHttp: true }] as const),
      // Networks are named as well, which say nothing of a host by its name.
      ...strings(json["insecure-registries"]).filter((host) => !host.includes("/"))
        .map((host) => [host, Insecure.origin(host)] as const)
    ]
  })
}

/** Reads a file that may be missing; one that makes no sense is told of, and left out. */
const readWith = Effect.fnUntraced(function*(
  file: string,
  parse: (bytes: Uint8Array) => Result.Result<RegistriesConf.RegistriesConf, string>
) {
  const fs = yield* FileSystem.FileSystem
  const bytes = yield* orNothing(fs.readFile(file))
  const parsed = bytes === undefined ? undefined : parse(bytes)
  if (parsed === undefined) return undefined
  if (Result.isFailure(parsed)) {
    return yield* Effect.as(Effect.logWarning(`${file} is left out: ${parsed.failure}`), undefined)
  }
  const { entries, origins, wrong } = parsed.success
  for (const what of wrong) yield* Effect.logWarning(`${file}: ${what}; it is left out`)
  // Whoever is refused is told where to look.
  const named = ({ blocked, ...rule }: Mirror.Rule): Mirror.Rule =>
    blocked === undefined ? rule : { ...rule, blocked: `${file}, ${blocked}` }
  return { origins, entries: entries.map(({ of, rules }) => ({ of, rules: rules.map(named) })) }
})

const parseConf = (bytes: Uint8Array) => RegistriesConf.parse(new TextDecoder().decode(bytes))

/**
 * What `daemon.json` and `registries.conf` of this machine and user say, with the files beside it in `registries.conf.d`.
 * What is said of one thing twice, the later file says.
 *
 * @category reading
 * @since 1.0.0
 */
export const configured = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const own = Option.getOrUndefined(yield* home)
  const named = Option.getOrUndefined(yield* Config.option(Config.NonEmptyString("CONTAINERS_REGISTRIES_CONF")))
  const folders = ["/etc", ...(own === undefined ? [] : [path.join(own, ".config")])]
  const read: Array<Omit<RegistriesConf.RegistriesConf, "wrong"> | undefined> = []
  const daemons = [...folders.map((folder) => path.join(folder, "docker")), ...(own ? [path.join(own, ".docker")] : [])]
  for (const folder of daemons) read.push(yield* readWith(path.join(folder, "daemon.json"), parseDaemon))
  // The user's file, or one that is named, stands in place of the machine's.
  const files = named === undefined
    ? folders.map((folder) => path.join(folder, "containers", "registries.conf")).toReversed()
    : [named]
  for (const file of files) {
    const conf = yield* readWith(file, parseConf)
    read.push(conf)
    if (conf !== undefined) break
  }
  for (const folder of named === undefined ? folders : []) {
    const beside = path.join(folder, "containers", "registries.conf.d")
    for (const name of ((yield* orNothing(fs.readDirectory(beside))) ?? []).toSorted()) {
      if (name.endsWith(".conf")) read.push(yield* readWith(path.join(beside, name), parseConf))
    }
  }
  const mirrors = new Map<string, ReadonlyArray<Mirror.Rule>>()
  const origins: Array<readonly [string, Origin.Origin]> = []
  for (const conf of read.filter((conf) => conf !== undefined)) {
    for (const { of, rules } of conf.entries) mirrors.set(of, rules)
    origins.push(...conf.origins)
  }
  return { origins: Origin.fromEntries(origins), mirrors: [...mirrors.values()].flat() }
})

/** What a variable lists, separated by commas; an entry that is not of the form fails, with its name and the right form. */
const listed = Effect.fnUntraced(function*<A>(
  name: string,
  form: string,
  parse: (entry: string) => A | undefined
): Effect.fn.Return<ReadonlyArray<A>, Config.ConfigError> {
  const text = Option.getOrElse(yield* Config.option(Config.String(name)), () => "")
  const read: Array<A> = []
  for (const entry of text.split(",").map((one) => one.trim()).filter(Boolean)) {
    const parsed = parse(entry)
    if (parsed === undefined) {
      const message = `${name}: ${JSON.stringify(entry)} is not ${form}`
      return yield* Effect.fail(new Config.ConfigError(new ConfigProvider.SourceError({ message })))
    }
    read.push(parsed)
  }
  return read
})

const isHost = (text: string): boolean => Result.isSuccess(Registry.parse(text))

const hosts = (name: string) => listed(name, "host[:port]", (entry) => isHost(entry) ? entry : undefined)

/**
 * What the environment says of hosts: those of `EFFECT_OCI_PLAIN_HTTP` are spoken to by plain http, those of
 * `EFFECT_OCI_INTERNAL` may be at an internal address. Both are `host[:port]`, separated by commas.
 *
 * @category config
 * @since 1.0.0
 */
export const named: Effect.Effect<Origin.Lookup, Config.ConfigError> = Effect.gen(function*() {
  const plain = yield* hosts("EFFECT_OCI_PLAIN_HTTP")
  const internal = yield* hosts("EFFECT_OCI_INTERNAL")
  return Origin.fromEntries([
    ...internal.map((host) => [host, {}] as const),
    ...plain.map((host) => [host, { plainHttp: true }] as const)
  ])
})

/**
 * The token servers that `EFFECT_OCI_TOKEN_SERVERS` pairs with registries: `registry=host[:port]`, separated by commas.
 *
 * @category config
 * @since 1.0.0
 */
export const tokenServers: Effect.Effect<ReadonlyArray<readonly [string, string]>, Config.ConfigError> = listed(
  "EFFECT_OCI_TOKEN_SERVERS",
  "registry[:port]=host[:port]",
  (pair) => {
    const [registry = "", host = "", ...more] = pair.split("=")
    const parsed = Registry.parse(registry)
    return Result.isFailure(parsed) || !isHost(host) || more.length > 0
      ? undefined
      // As a URL has it.
      : [parsed.success.name, host.toLowerCase().replace(/:443$/, "")] as const
  }
)

/**
 * Reaches hosts as this machine is set up to, by all of the above. Provide it to the layers of the transport and of its
 * `HttpClient`.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<never, Config.ConfigError, FileSystem.FileSystem | Path.Path> = Layer.effectContext(
  Effect.gen(function*() {
    const { mirrors, origins } = yield* configured
    const believed = yield* certificates(yield* certificateFolders)
    return Context.make(Origin.Origins, Origin.firstOf(yield* named, joined(origins, believed))).pipe(
      Context.add(Realm.TrustedRealms, Realm.pairs(yield* tokenServers)),
      Context.add(Proxy.Proxies, yield* Proxy.fromEnvironment),
      Context.add(Mirror.Mirrors, Mirror.fromRules(mirrors))
    )
  })
)

/** A host that is insecure may have certificates as well. */
const joined = (origins: Origin.Lookup, believed: Origin.Lookup): Origin.Lookup => (host) => {
  const [one, two] = [origins(host), believed(host)]
  return { ...two, ...one, ...(one.tls && two.tls ? { tls: { ...two.tls, ...one.tls } } : {}) }
}
