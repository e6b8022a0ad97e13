/**
 * Registries in process, behind an `HttpClient`: the same code that `effect-oci serve` puts on a port, for any host names
 * and without a socket.
 *
 * @since 1.0.0
 */
import * as Reference from "@effect-oci/name/Reference"
import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { HttpClientError, TransportError } from "effect/http/HttpClientError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Auth from "./Auth.ts"
import * as MemoryStorage from "./MemoryStorage.ts"
import * as RegistryServer from "./RegistryServer.ts"
import { Storage, type Stored } from "./Storage.ts"

/**
 * Options for `layer`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * The registries there are, such as `ghcr.io`. Each has a storage of its own; any other host is unknown.
   */
  readonly hosts: ReadonlyArray<string>
  readonly auth?: Auth.Options | undefined
}

/**
 * A request that was made, without its secrets.
 *
 * @category models
 * @since 1.0.0
 */
export interface Made {
  readonly method: string
  readonly host: string
  readonly path: string
  readonly query: string
  readonly status: number
}

/**
 * What a test can see of the registries behind the `HttpClient`.
 *
 * @category services
 * @since 1.0.0
 */
export class FakeRegistry extends Context.Service<FakeRegistry, {
  /**
   * The tags of a repository, in order.
   */
  readonly tags: (repository: string) => Effect.Effect<ReadonlyArray<string>>
  /**
   * A manifest as it was pushed.
   */
  readonly manifest: (reference: string) => Effect.Effect<Option.Option<Stored>>
  /**
   * Every request so far, oldest first.
   */
  readonly requests: Effect.Effect<ReadonlyArray<Made>>
}>()("@effect-oci/registry/FakeRegistry") {}

const make = Effect.fnUntraced(function*(options: Options) {
  const requests: Array<Made> = []
  const apps = new Map<
    string,
    Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>
  >()
  const storages = new Map<string, Storage["Service"]>()
  for (const host of options.hosts) {
    const registry = Registry.parseUnsafe(host)
    const storage = yield* MemoryStorage.make
    const served = Effect.provideService(RegistryServer.app, Storage, storage)
    apps.set(Registry.apiHost(registry), options.auth === undefined ? served : yield* Auth.guard(served, options.auth))
    storages.set(registry.name, storage)
  }

  const client = HttpClient.make((request, url) =>
    Effect.suspend(() => {
      const app = apps.get(url.host)
      if (app === undefined) {
        const cause = Object.assign(new Error(`getaddrinfo ENOTFOUND ${url.hostname}`), { code: "ENOTFOUND" })
        return Effect.fail(new HttpClientError({ reason: new TransportError({ request, cause }) }))
      }
      const incoming = HttpServerRequest.fromClientRequest(request)
      return app.pipe(
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          incoming.modify({
            url: url.pathname + url.search,
            headers: { ...incoming.headers, host: url.host },
            protocol: url.protocol === "https:" ? "https" : "http"
          })
        ),
        Effect.map((response) => {
          requests.push({
            method: request.method,
            host: url.host,
            path: url.pathname,
            query: url.search,
            status: response.status
          })
          return HttpServerResponse.toClientResponse(response, { request })
        })
      )
    })
  )

  const storageOf = (repository: Repository.Repository) => storages.get(repository.registry.name)

  return Context.make(HttpClient.HttpClient, client).pipe(Context.add(FakeRegistry, {
    tags: (name) =>
      Effect.suspend(() => {
        const repository = Repository.parseUnsafe(name)
        return storageOf(repository)?.tags(repository.path) ?? Effect.succeedNone
      }).pipe(Effect.map(Option.getOrElse((): ReadonlyArray<string> => [])), Effect.orDie),
    manifest: (text) =>
      Effect.suspend(() => {
        const reference = Reference.parseUnsafe(text)
        const identifier = Reference.identifier(reference)
        const storage = storageOf(reference.repository)
        return storage === undefined || identifier === undefined
          ? Effect.succeedNone
          : storage.manifest(reference.repository.path, identifier)
      }).pipe(Effect.orDie),
    requests: Effect.sync(() => [...requests])
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
