/**
 * `/v2/<name>/blobs/<digest>`
 */
import type * as Digest from "@effect-oci/name/Digest"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import { Storage, type StorageError } from "../Storage.ts"
import * as Range from "./range.ts"
import * as Reply from "./reply.ts"

export const handle = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  digest: Digest.Digest
): Effect.fn.Return<Reply.Reply, StorageError, Storage> {
  const storage = yield* Storage
  if (request.method === "DELETE") {
    return (yield* storage.deleteBlob(repository, digest)) ? Reply.empty(202) : unknown(digest)
  }
  const found = yield* storage.blobSize(repository, digest)
  if (Option.isNone(found)) return unknown(digest)
  const size = found.value
  const headers = { "docker-content-digest": digest, "accept-ranges": "bytes", etag: `"${digest}"` }
  // A range of what the client has already seen, of which it says that it was something else.
  const stale = request.headers["if-range"] !== undefined && request.headers["if-range"] !== headers.etag
  const range = request.method === "GET" && !stale ? Range.parse(request.headers["range"], size) : undefined
  if (range === "unsatisfiable") {
    return Reply.failure(416, "SIZE_INVALID", "the blob has no such bytes", { "content-range": `bytes */${size}` })
  }
  const { end, start } = range ?? { start: 0, end: size }
  return HttpServerResponse.stream(storage.readBlob(digest, start, end), {
    status: range === undefined ? 200 : 206,
    contentType: "application/octet-stream",
    contentLength: end - start,
    headers: { ...headers, ...(range === undefined ? {} : { "content-range": `bytes ${start}-${end - 1}/${size}` }) }
  })
})

const unknown = (digest: Digest.Digest) => Reply.failure(404, "BLOB_UNKNOWN", `no blob ${digest} in this repository`)
