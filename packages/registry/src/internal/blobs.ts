/**
 * `/v2/<name>/blobs/<digest>`
 */
import type * as Digest from "@effect-oci/name/Digest"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Storage, StorageError } from "../Storage.ts"
import * as Conditions from "./conditions.ts"
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
    : Effect.flatMap(
      storage.blobSize(repository, digest),
      (found) =>
        Option.isNone(found)
          ? Effect.succeed(unknown(digest))
          : show(storage, request, repository, digest, found.value)
    )

const show = (
  storage: Storage["Service"],
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  digest: Digest.Digest,
  size: number
): Effect.Effect<Reply.Reply, StorageError> => {
  const refused = Conditions.refused(request, digest)
  if (refused !== undefined) return Effect.succeed(refused)
  const headers = { "docker-content-digest": digest, "accept-ranges": "bytes", etag: `"${digest}"` }
  const give = (status: number, start: number, end: number, headers: Readonly<Record<string, string>>) =>
    Effect.map(
      // Who asks for no bytes waits for none.
      request.method === "HEAD" ? Effect.succeed(Stream.empty) : storage.readBlob(repository, digest, start, end),
      (bytes) => Reply.stream(status, bytes, end - start, headers)
    )
  // A range of what the client has already seen, of which it says that it was something else.
  const stale = request.headers["if-range"] !== undefined && request.headers["if-range"] !== headers.etag
  const range = request.method === "GET" && !stale ? Range.parse(request.headers["range"], size) : undefined
  if (range === "unsatisfiable") {
    const said = { "content-range": `bytes */${size}` }
    return Effect.succeed(Reply.failure(416, "SIZE_INVALID", "the blob has no such bytes", said))
  }
  if (range === undefined) return give(200, 0, size, headers)
  const { end, start } = range
  return give(206, start, end, { ...headers, "content-range": `bytes ${start}-${end - 1}/${size}` })
}

const unknown = (digest: Digest.Digest) => Reply.failure(404, "BLOB_UNKNOWN", `no blob ${digest} in this repository`)
