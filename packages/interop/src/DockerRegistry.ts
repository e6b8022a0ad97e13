/**
 * A `docker-registry` on loopback that lives as long as its scope.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Stream from "effect/Stream"
import * as Peer from "./Peer.ts"

/**
 * A running registry: the host and port to name it by, its URL, and the folder it keeps everything in.
 */
export interface DockerRegistry {
  readonly host: string
  readonly url: string
  readonly folder: string
}

/**
 * What {@link Options.basicAuth} asks for.
 */
export const login = { username: "alice", password: "correct horse" } as const

/**
 * {@link login} as a line of an htpasswd file, with bcrypt, the only hash that registries read.
 */
export const htpasswd = `${login.username}:$2y$05$d0e07ZhHbI4HKS5a6QT6duG/21T4geE33R6nAjyHuPwPMaAu4Vc7q\n`

/**
 * How to run a registry.
 */
export interface Options {
  /**
   * Debian's docker-registry (distribution 2) or distribution 3.
   *
   * @default "docker-registry"
   */
  readonly peer?: "docker-registry" | "registry" | undefined
  /**
   * Ask for Basic credentials, those of {@link login}.
   *
   * @default false
   */
  readonly basicAuth?: boolean | undefined
  /**
   * Ask for tokens of a token server.
   */
  readonly tokenAuth?: {
    readonly realm: string
    readonly service: string
    readonly issuer: string
    readonly rootcertbundle: string
  } | undefined
  /**
   * Where it keeps everything, if it is to outlive the scope.
   *
   * @default a temporary folder
   */
  readonly folder?: string | undefined
  /**
   * As `host:port`, for one that is started again.
   *
   * @default any port of 127.0.0.1 that is free
   */
  readonly host?: string | undefined
}

// Port 0: the kernel picks a free one and the registry logs it.
const config = (folder: string, { basicAuth = false, host = "127.0.0.1:0", tokenAuth }: Options) => ({
  version: "0.1",
  log: { level: "info", accesslog: { disabled: true } },
  storage: {
    filesystem: { rootdirectory: `${folder}/data` },
    delete: { enabled: true },
    maintenance: { uploadpurging: { enabled: false } }
  },
  http: { addr: host, secret: "interop" },
  ...(basicAuth ? { auth: { htpasswd: { realm: "interop", path: `${folder}/htpasswd` } } } : {}),
  ...(tokenAuth === undefined ? {} : { auth: { token: tokenAuth } })
})

/**
 * Starts a registry in a temporary folder and waits until it listens.
 */
export const make = Effect.fnUntraced(function*(options: Options = {}) {
  const { peer = "docker-registry" } = options
  const fs = yield* FileSystem.FileSystem
  const folder = options.folder ?? (yield* fs.makeTempDirectoryScoped({ prefix: `${peer}-` }))
  yield* fs.writeFileString(`${folder}/htpasswd`, htpasswd)
  // JSON is YAML
  yield* fs.writeFileString(`${folder}/config.yml`, JSON.stringify(config(folder, options)))

  const handle = yield* ChildProcess.make(Peer.locate(peer), ["serve", `${folder}/config.yml`], {
    stdin: "ignore",
    stdout: "ignore",
    detached: false,
    extendEnv: true,
    env: { OTEL_TRACES_EXPORTER: "none" },
    forceKillAfter: "5 seconds"
  })
  const listening = yield* Deferred.make<string, Peer.PeerError>()
  let last = ""
  // The log is read to its end, or the registry would stand still once the pipe is full.
  const log = Stream.runForEach(Stream.splitLines(Stream.decodeText(handle.stderr)), (line) => {
    last = line
    const host = /listening on (127\.0\.0\.1:\d+)/.exec(line)?.[1]
    return host === undefined ? Effect.void : Deferred.succeed(listening, host)
  })
  const died = Effect.suspend(() =>
    Deferred.fail(listening, new Peer.PeerError({ peer, detail: `stopped before it listened: ${last}` }))
  )
  yield* Effect.forkScoped(Effect.ensuring(log, died))
  const host = yield* Deferred.await(listening).pipe(
    Effect.timeoutOrElse({
      duration: "20 seconds",
      orElse: () => Effect.fail(new Peer.PeerError({ peer, detail: `does not listen: ${last}` }))
    })
  )
  return { host, url: `http://${host}`, folder } satisfies DockerRegistry
})
