/**
 * `/v2/<name>/blobs/<digest>`
 */
import type * as Digest from "@effect-oci/name/Digest"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import type { Storage, StorageError } from "../Storage.ts"
import * as Range from "./range.ts"
import * as Reply from "./reply.ts"

export const handle = (
  storage: Storage["Service"],
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  digest: Digest.Digest
): Effect.Effect<Reply.Reply, StorageError> =>
  request.method === "DELETE"
    ? Effect.map(storage.deleteBlob(repository, digest), (had) => had ? Reply.empty(202) : unknown(digest))
    : Effect.map(
      storage.blobSize(repository, digest),
      (found) => Option.isNone(found) ? unknown(digest) : show(storage, request, repository, digest, found.value)
    )

const show = (
  storage: Storage["Service"],
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  digest: Digest.Digest,
  size: number
): Reply.Reply => {
  const headers = { "docker-content-digest": digest, "accept-ranges": "bytes", etag: `"${digest}"` }
  // A range of what the client has already seen, of which it says that it was something else.
  const stale = request.headers["if-range"] !== undefined && request.headers["if-range"] !== headers.etag
  const range = request.method === "GET" && !stale ? Range.parse(request.headers["range"], size) : undefined
  if (range === "unsatisfiable") {
    return Reply.failure(416, "SIZE_INVALID", "the blob has no such bytes", { "content-range": `bytes */${size}` })
  }
  if (range === undefined) return Reply.stream(200, storage.readBlob(repository, digest, 0, size), size, headers)
  const { end, start } = range
  return Reply.stream(206, storage.readBlob(repository, digest, start, end), end - start, {
    ...headers,
    "content-range": `bytes ${start}-${end - 1}/${size}`
  })
}

const unknown = (digest: Digest.Digest) => Reply.failure(404, "BLOB_UNKNOWN", `no blob ${digest} in this repository`)
