/**
 * A registry: the distribution specification as an Effect HTTP app over a `Storage`.
 *
 * OCI distribution specification, main branch.
 *
 * @since 1.0.0
 */
import * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Result from "effect/Result"
import * as Blobs from "./internal/blobs.ts"
import * as Lists from "./internal/lists.ts"
import * as Manifests from "./internal/manifests.ts"
import * as Reply from "./internal/reply.ts"
import * as Uploads from "./internal/uploads.ts"
import type { Storage, StorageError } from "./Storage.ts"

const part = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*"
const route = new RegExp(`^/v2/(${part}(?:/${part})*)/(blobs/uploads|blobs|manifests|tags|referrers)(?:/([^/]*))?$`)

/**
 * Answers one request.
 *
 * **Details**
 *
 * The path is matched as it was sent: percent escapes and dot segments are no part of any name.
 *
 * @category handling
 * @since 1.0.0
 */
export const app: Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest | Storage
> = Effect.gen(function*() {
  const request = yield* HttpServerRequest.HttpServerRequest
  const question = request.url.indexOf("?")
  const path = question === -1 ? request.url : request.url.slice(0, question)
  const query = new URLSearchParams(question === -1 ? "" : request.url.slice(question + 1))
  const response = yield* Effect.catch(
    answer(request, path, query),
    (error: StorageError) => Effect.succeed(Reply.fromStorage(error))
  )
  return HttpServerResponse.setHeader(response, "docker-distribution-api-version", "registry/2.0")
})

const answer = (
  request: HttpServerRequest.HttpServerRequest,
  path: string,
  query: URLSearchParams
): Effect.Effect<Reply.Reply, StorageError, Storage> => {
  if (path === "/v2/" || path === "/v2") {
    return Effect.succeed(
      request.method === "GET" || request.method === "HEAD"
        ? HttpServerResponse.jsonUnsafe({})
        : Reply.notAllowed("GET, HEAD")
    )
  }
  if (path === "/v2/_catalog") return Lists.catalog(request, query)
  if (path.length > 1024) return Effect.succeed(Reply.failure(414, "NAME_INVALID", "the path is too long"))
  const match = route.exec(path)
  if (match === null) return Effect.succeed(Reply.failure(404, "NAME_INVALID", "no such endpoint, or not a valid name"))
  const [, repository, kind, rest] = match
  switch (kind) {
    case "blobs/uploads":
      return rest === undefined || rest === ""
        ? Uploads.open(request, repository!, query)
        : Uploads.resume(request, repository!, rest, query)
    case "blobs":
      return withDigest(rest, (digest) => Blobs.handle(request, repository!, digest))
    case "referrers":
      return withDigest(rest, (digest) => Lists.referrers(request, repository!, digest, query))
    case "tags":
      return rest === "list"
        ? Lists.tags(request, repository!, query)
        : Effect.succeed(Reply.failure(404, "UNSUPPORTED", "no such endpoint"))
    default: {
      if (rest?.includes(":") === true) {
        return withDigest(rest, (digest) => Manifests.handle(request, repository!, digest, query))
      }
      return Result.match(Tag.parse(rest ?? ""), {
        onFailure: (error) =>
          Effect.succeed(
            // A name that cannot exist is not found; only writing it is an error of the writer.
            request.method === "PUT"
              ? Reply.failure(400, "NAME_INVALID", error.message)
              : Reply.failure(404, "MANIFEST_UNKNOWN", error.message)
          ),
        onSuccess: (tag) => Manifests.handle(request, repository!, tag, query)
      })
    }
  }
}

const withDigest = (
  text: string | undefined,
  use: (digest: Digest.Digest) => Effect.Effect<Reply.Reply, StorageError, Storage>
): Effect.Effect<Reply.Reply, StorageError, Storage> =>
  Result.match(Digest.parse(text ?? ""), {
    onFailure: (error) => Effect.succeed(Reply.failure(400, "DIGEST_INVALID", error.message)),
    onSuccess: use
  })
