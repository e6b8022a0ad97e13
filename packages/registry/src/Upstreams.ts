/**
 * The registries that another stands for, and which of their repositories its own are.
 *
 * @since 1.0.0
 */
import type { ContentError } from "@effect-oci/content/ContentError"
import type { Source } from "@effect-oci/content/Store"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import * as Reply from "./internal/reply.ts"
import * as Route from "./internal/route.ts"

/**
 * Registries that may be reached, and how.
 *
 * **Details**
 *
 * The repository `ghcr.io/acme/app` is `acme/app` at the upstream `ghcr.io`. Where there is but one upstream, `acme/app`
 * is as well.
 *
 * @category models
 * @since 1.0.0
 */
export interface Upstreams {
  /**
   * As in references; no other is ever asked.
   */
  readonly hosts: ReadonlyArray<string>
  /**
   * A repository by its name with the registry; nothing if there can be none of that name.
   */
  readonly source: (name: string) => Effect.Effect<Option.Option<Source>>
  /**
   * The tags of a repository, where there is a way to list them. Asked of those only that have a `source`.
   */
  readonly tags?: ((name: string) => Stream.Stream<string, ContentError>) | undefined
}

/** What a repository is called with its registry. */
const nameOf = ({ hosts }: Upstreams, repository: string): string | undefined => {
  const [only, ...others] = hosts
  if (hosts.some((host) => repository.startsWith(`${host}/`))) return repository
  return only === undefined || others.length > 0 ? undefined : `${only}/${repository}`
}

/**
 * Where the content of a repository of one's own is had.
 *
 * @category getting
 * @since 1.0.0
 */
export const sourceOf = (self: Upstreams) => (repository: string): Effect.Effect<Option.Option<Source>> => {
  const name = nameOf(self, repository)
  return name === undefined ? Effect.succeedNone : self.source(name)
}

/**
 * The tags of a repository of one's own, where they can be listed.
 *
 * @category getting
 * @since 1.0.0
 */
export const tagsOf = (self: Upstreams) => (repository: string): Option.Option<Stream.Stream<string, ContentError>> => {
  const name = nameOf(self, repository)
  return name === undefined || self.tags === undefined ? Option.none() : Option.some(self.tags(name))
}

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest | R>

/**
 * Reads from the parameter `ns` which upstream a client means, and says that it did.
 *
 * **Details**
 *
 * It stands before authentication: what is allowed is decided by the repository that is read in the end.
 *
 * @category guarding
 * @since 1.0.0
 */
export const guard = <E, R>(app: App<E, R>, { hosts }: Upstreams): App<E, R> =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { query } = Route.target(request.url)
    const host = query.get("ns")
    if (host === null) return yield* app
    if (!hosts.includes(host)) return Reply.failure(404, "NAME_UNKNOWN", "this registry stands for no such upstream")
    const url = hosts.length === 1 ? request.url : request.url.replace(/^\/v2\/(?!\?|$)/, `/v2/${host}/`)
    const reply = yield* Effect.provideService(app, HttpServerRequest.HttpServerRequest, request.modify({ url }))
    return HttpServerResponse.setHeader(reply, "oci-namespace", host)
  })
