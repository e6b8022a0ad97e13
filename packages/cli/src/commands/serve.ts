import * as Registry from "@effect-oci/name/Registry"
import type * as Auth from "@effect-oci/registry/Auth"
import type * as Traffic from "@effect-oci/registry/Traffic"
import type { Upstreams } from "@effect-oci/registry/Upstreams"
import { Remote } from "@effect-oci/remote/Remote"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { setFlagsFromString } from "node:v8"
import { report } from "../Failed.ts"
import * as Flags from "../Flags.ts"

/** What a server needs is loaded here only: it takes longer than most commands take in all. */
const load = Effect.promise(async () => {
  // Requests leave much that is garbage soon after. A young generation that stays small is collected often: five thousand
  // small uploads take 160 MB then, not 260, and no more time.
  setFlagsFromString("--semi-space-growth-factor=1")
  return {
    NodeRegistry: await import("@effect-oci/node/NodeRegistry"),
    Policy: await import("@effect-oci/registry/Policy"),
    SelfSigned: await import("@effect-oci/node/SelfSigned"),
    Users: await import("@effect-oci/registry/Users")
  }
})

const listening = {
  host: Flag.String("host").pipe(
    Flag.withDescription("the address to listen on; this machine's own unless told"),
    Flag.withDefault("127.0.0.1")
  ),
  port: Flag.Int("port").pipe(
    Flag.withDescription("the port to listen on; 0, or nothing, is any that is free"),
    Flag.filter((port) => port >= 0 && port <= 65_535, () => "0 to 65535"),
    Flag.withDefault(0)
  ),
  answerFor: Flag.String("answer-for").pipe(
    Flag.withDescription("a host name that requests may be for, besides this machine's own; repeatable"),
    Flag.atLeast(0)
  )
}

const allowing = {
  readOnly: Flag.Boolean("read-only").pipe(
    Flag.withDescription("refuse all that would change something"),
    Flag.withDefault(false)
  ),
  noDelete: Flag.Boolean("no-delete").pipe(
    Flag.withDescription("refuse to delete tags, manifests and blobs"),
    Flag.withDefault(false)
  ),
  htpasswd: Flag.File("htpasswd", { mustExist: true }).pipe(
    Flag.withDescription("ask for a password, of this file with bcrypt hashes"),
    Flag.optional
  ),
  auth: Flag.Literals("auth", ["basic", "bearer"]).pipe(
    Flag.withDescription("how to ask for it: with each request (basic, unless told), or once for a token"),
    Flag.withDefault("basic")
  ),
  allow: Flag.String("allow").pipe(
    Flag.withDescription(
      "user:repositories:actions, as in ann:team/**:pull,push or :public/*:pull; users may do all unless told; repeatable"
    ),
    Flag.atLeast(0)
  )
}

const keeping = {
  dir: Flag.Directory("dir").pipe(
    Flag.withDescription("the folder that keeps everything; memory does unless one is given"),
    Flag.optional
  ),
  pruneAfter: Flag.Int("prune-after").pipe(
    Flag.withDescription(
      "with --dir, after how many days blobs go that no manifest names and nobody asked for; never unless given"
    ),
    // What is being pushed is named by no manifest yet.
    Flags.positive,
    Flag.optional
  ),
  noSync: Flag.Boolean("no-sync").pipe(
    Flag.withDescription(
      "with --dir, do not wait for the disk: faster, and what was pushed last may be gone after a loss of power"
    ),
    Flag.withDefault(false)
  ),
  proxy: Flag.String("proxy").pipe(
    Flag.withDescription("a registry to stand for: get from it what is asked for and keep it; repeatable"),
    Flag.atLeast(0)
  ),
  tls: Flag.Directory("tls").pipe(
    Flag.withDescription("serve over TLS with cert.pem and key.pem of this folder, which are made if it has neither"),
    Flag.optional
  ),
  log: Flag.Literals("log", ["none", "json"]).pipe(
    Flag.withDescription("what to write to stderr about each request"),
    Flag.withDefault("none")
  )
}

const upstreamsOf = Effect.fnUntraced(function*(hosts: ReadonlyArray<string>) {
  if (hosts.length === 0) return undefined
  const remote = yield* Remote
  for (const host of hosts) yield* Effect.fromResult(Registry.parse(host))
  const upstreams: Upstreams = {
    hosts,
    source: (name) => Effect.option(remote.store(name)),
    // Only what is a source is asked for its tags, so the name is one.
    tags: (name) => Stream.unwrap(Effect.map(Effect.orDie(remote.store(name)), ({ tags }) => tags))
  }
  return upstreams
})

const tlsOf = Effect.fnUntraced(function*(folder: string, names: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const cert = `${folder}/cert.pem`
  const key = `${folder}/key.pem`
  if ((yield* fs.exists(cert)) || (yield* fs.exists(key))) {
    return { cert: yield* fs.readFileString(cert), key: yield* fs.readFileString(key) }
  }
  const { SelfSigned } = yield* load
  const pair = yield* SelfSigned.make(["localhost", "127.0.0.1", "::1", ...names])
  yield* fs.makeDirectory(folder, { recursive: true })
  yield* fs.writeFileString(key, pair.key, { mode: 0o600 })
  yield* fs.writeFileString(cert, pair.cert)
  return pair
})

const authOf = Effect.fnUntraced(function*(options: {
  readonly htpasswd: Option.Option<string>
  readonly auth: Auth.Options["scheme"]
  readonly allow: ReadonlyArray<string>
}) {
  const { Policy, Users } = yield* load
  const rules = yield* Effect.forEach(options.allow, (rule) => Effect.fromResult(Policy.parse(rule)))
  if (Option.isNone(options.htpasswd) && rules.length === 0) return undefined
  // Rules without users are rules all the same: what they leave out nobody may do.
  const file = Option.isNone(options.htpasswd)
    ? ""
    : yield* (yield* FileSystem.FileSystem).readFileString(options.htpasswd.value)
  const auth: Auth.Options = { scheme: options.auth, users: yield* Users.htpasswd(file) }
  return rules.length === 0 ? auth : { ...auth, allow: Policy.some(...rules) }
})

/** Who says how a folder is to keep things may believe that one does. */
const checkFolder = (options: {
  readonly dir: Option.Option<string>
  readonly pruneAfter: Option.Option<number>
  readonly noSync: boolean
}) => {
  const flag = Option.isSome(options.dir)
    ? undefined
    : Option.isSome(options.pruneAfter)
    ? "--prune-after"
    : options.noSync
    ? "--no-sync"
    : undefined
  return flag === undefined
    ? Effect.void
    : Effect.fail(new CliError.ValidationError({ message: `${flag} is of use with --dir only` }))
}

const tell = (entry: Traffic.Entry): Effect.Effect<void> =>
  Console.error(JSON.stringify({ ...entry, at: new Date(entry.at).toISOString() }))

export const serve = Command.make(
  "serve",
  { ...listening, ...allowing, ...keeping },
  (options) =>
    report(Effect.scoped(Effect.gen(function*() {
      yield* checkFolder(options)
      const { NodeRegistry } = yield* load
      const { answerFor, host, log, port } = options
      for (const name of answerFor) yield* Effect.fromResult(Registry.parse(name))
      const address = yield* NodeRegistry.serve({
        host,
        port,
        answerFor,
        auth: yield* authOf(options),
        dir: Option.getOrUndefined(options.dir),
        disk: {
          durable: !options.noSync,
          pruneAfter: Option.getOrUndefined(Option.map(options.pruneAfter, Duration.days))
        },
        tls: Option.isNone(options.tls)
          ? undefined
          : yield* tlsOf(options.tls.value, [host, ...answerFor.map((name) => name.replace(/:\d+$/, ""))]),
        upstreams: yield* upstreamsOf(options.proxy),
        tell: log === "json" ? tell : undefined,
        settings: { readOnly: options.readOnly, deletes: !options.noDelete }
      })
      yield* Console.log(address)
      return yield* Effect.never
    })))
).pipe(Command.withDescription("Serves a registry, and prints its address once it listens"))
