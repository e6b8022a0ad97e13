/**
 * A registry: the distribution specification as an Effect HTTP app over a `Storage`.
 *
 * OCI distribution specification, main branch.
 *
 * @since 1.0.0
 */
import type * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Result from "effect/Result"
import * as Blobs from "./internal/blobs.ts"
import * as Foreign from "./internal/foreign.ts"
import * as Lists from "./internal/lists.ts"
import * as Manifests from "./internal/manifests.ts"
import * as Reply from "./internal/reply.ts"
import * as Route from "./internal/route.ts"
import * as Uploads from "./internal/uploads.ts"
import { Settings } from "./Settings.ts"
import { Storage, type StorageError } from "./Storage.ts"

/**
 * Answers one request.
 *
 * **Details**
 *
 * The path is matched as it was sent: percent escapes and dot segments are no part of any name. `Settings` says what is
 * allowed at all, `Access` what this client may do.
 *
 * @category handling
 * @since 1.0.0
 */
export const app: Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest | Storage
> = Effect.contextWith((context: Context.Context<HttpServerRequest.HttpServerRequest | Storage>) => {
  const request = Context.get(context, HttpServerRequest.HttpServerRequest)
  const settings = Context.get(context, Settings)
  const finish = (reply: Reply.Reply): Reply.Reply => {
    const response = request.method === "HEAD" ? Reply.withoutBody(reply) : reply
    return settings.warnings.length === 0
      ? response
      : HttpServerResponse.setHeader(response, "warning", warning(settings.warnings))
  }
  const { query, route } = Route.target(request.url)
  const allowed = Route.methods(route, settings)
  const refused = Foreign.refused(request, settings) ??
    (allowed?.includes(request.method) === false ? Reply.notAllowed(allowed.join(", ")) : undefined)
  return refused !== undefined ? Effect.succeed(finish(refused)) : Effect.match(
    answer(
      Context.get(context, Storage),
      settings,
      request,
      allowed === undefined && route._tag === "Referrers" ? { _tag: "Unknown" } : route,
      query
    ),
    { onFailure: (error) => finish(Reply.fromStorage(error)), onSuccess: finish }
  )
})

/** As much as the 4096 bytes take that all warnings may have. */
const warning = (texts: ReadonlyArray<string>): string => {
  const all: Array<string> = []
  let room = 4096
  for (const text of texts) {
    const value = `299 - "${text.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, "\\$&")}"`
    room -= value.length + 2
    if (room < 0) break
    all.push(value)
  }
  return all.join(", ")
}

const answer = (
  storage: Storage["Service"],
  settings: Settings,
  request: HttpServerRequest.HttpServerRequest,
  route: Route.Route,
  query: URLSearchParams
): Effect.Effect<Reply.Reply, StorageError, Storage> => {
  switch (route._tag) {
    case "Ping":
      return Effect.succeed(Reply.json({}))
    case "Catalog":
      return Lists.catalog(query)
    case "Uploads":
      return Uploads.open(storage, settings, request, route.repository, query)
    case "Upload":
      return Uploads.resume(storage, settings, request, route.repository, route.id, query)
    case "Blob":
      return Reply.withDigest(route.digest, (digest) => Blobs.handle(storage, request, route.repository, digest))
    case "Manifest":
      return withReference(
        request,
        route.reference,
        (reference) => Manifests.handle(request, route.repository, reference, query)
      )
    case "Tags":
      return Lists.tags(route.repository, query)
    case "Referrers":
      return Reply.withDigest(route.digest, (digest) => Lists.referrers(route.repository, digest, query))
    case "Invalid":
      return Effect.succeed(Reply.failure(404, "NAME_INVALID", route.detail))
    case "TooLong":
      return Effect.succeed(Reply.failure(414, "NAME_INVALID", "the path is too long"))
    case "Token":
    case "Unknown":
      return Effect.succeed(Reply.failure(404, "UNSUPPORTED", "no such endpoint"))
  }
}

const withReference = (
  request: HttpServerRequest.HttpServerRequest,
  text: string,
  use: (reference: Tag.Tag | Digest.Digest) => Effect.Effect<Reply.Reply, StorageError, Storage>
): Effect.Effect<Reply.Reply, StorageError, Storage> => {
  if (text.includes(":")) return Reply.withDigest(text, use)
  return Result.match(Tag.parse(text), {
    onFailure: (error) =>
      Effect.succeed(
        // A name that cannot exist is not found; only writing it is an error of the writer.
        request.method === "PUT"
          ? Reply.failure(400, "NAME_INVALID", error.message)
          : Reply.failure(404, "MANIFEST_UNKNOWN", error.message)
      ),
    onSuccess: use
  })
}
