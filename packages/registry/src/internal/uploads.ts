/**
 * `/v2/<name>/blobs/uploads/` and the sessions below it.
 */
import * as Digest from "@effect-oci/name/Digest"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { Storage, type StorageError, type Upload } from "../Storage.ts"
import * as Reply from "./reply.ts"

type Return = Effect.fn.Return<Reply.Reply, StorageError, Storage>

// Relative, so that no Host header finds its way into it.
const at = (repository: string, id: string) => `/v2/${repository}/blobs/uploads/${id}`

const session = (status: number, repository: string, upload: Upload) =>
  Reply.empty(status, {
    location: at(repository, upload.id),
    "docker-upload-uuid": upload.id,
    range: `0-${Math.max(upload.size - 1, 0)}`
  })

const created = (repository: string, digest: Digest.Digest) =>
  Reply.empty(201, { location: `/v2/${repository}/blobs/${digest}`, "docker-content-digest": digest })

const invalidDigest = (text: string) =>
  Reply.failure(
    400,
    "DIGEST_INVALID",
    Result.match(Digest.parse(text), { onFailure: (error) => error.message, onSuccess: () => "" })
  )

/** A body that breaks off leaves the upload with what had arrived. */
const broken = Reply.failure(400, "BLOB_UPLOAD_INVALID", "the body ended early")

export const open = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  query: URLSearchParams
): Return {
  if (request.method !== "POST") return Reply.notAllowed("POST")
  const storage = yield* Storage
  const mount = query.get("mount")
  const algorithm = query.get("digest-algorithm")
  if (algorithm !== null && algorithm !== "sha256" && algorithm !== "sha512") {
    return Reply.failure(400, "DIGEST_INVALID", "the digest algorithm is not supported")
  }
  if (mount !== null) {
    const digest = Digest.parse(mount)
    if (Result.isFailure(digest)) return invalidDigest(mount)
    const from = query.get("from")
    const source = from === null ? yield* storage.findBlob(digest.success) : Option.some(from)
    if (Option.isSome(source) && Option.isSome(yield* storage.blobSize(source.value, digest.success))) {
      yield* storage.linkBlob(repository, digest.success)
      return created(repository, digest.success)
    }
  }
  const upload = yield* storage.createUpload(repository)
  const text = query.get("digest")
  return text === null ? session(202, repository, upload) : yield* finish(request, repository, upload, text)
})

export const resume = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  id: string,
  query: URLSearchParams
): Return {
  const storage = yield* Storage
  const upload = yield* storage.upload(repository, id)
  switch (request.method) {
    case "GET":
      return session(204, repository, upload)
    case "DELETE":
      yield* storage.cancel(repository, id)
      return Reply.empty(204)
    case "PATCH": {
      const from = startOf(request, upload)
      if (from !== upload.size) return outOfOrder(repository, upload)
      return yield* storage.append(repository, id, from, request.stream).pipe(
        Effect.map((appended) => session(202, repository, appended)),
        Effect.catchTag("HttpServerError", () => Effect.succeed(broken))
      )
    }
    case "PUT": {
      if (startOf(request, upload) !== upload.size) return outOfOrder(repository, upload)
      const digest = query.get("digest")
      return digest === null
        ? Reply.failure(400, "DIGEST_INVALID", "the digest is missing")
        : yield* finish(request, repository, upload, digest)
    }
    default:
      return Reply.notAllowed("GET, PATCH, PUT, DELETE")
  }
})

const finish = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  upload: Upload,
  text: string
): Return {
  const digest = Digest.parse(text)
  if (Result.isFailure(digest)) return invalidDigest(text)
  const storage = yield* Storage
  return yield* storage.append(repository, upload.id, upload.size, request.stream).pipe(
    Effect.andThen(storage.commit(repository, upload.id, digest.success)),
    Effect.as(created(repository, digest.success)),
    Effect.catchTag("HttpServerError", () => Effect.succeed(broken))
  )
})

/** Where the bytes of a request begin: what it says, or right after what is there (Docker's streamed PATCH). */
const startOf = (request: HttpServerRequest.HttpServerRequest, upload: Upload): number => {
  const header = request.headers["content-range"]
  if (header === undefined) return upload.size
  const match = /^(?:bytes[ =])?(\d{1,16})-\d{1,16}(?:\/.*)?$/.exec(header)
  return match === null ? -1 : Number(match[1])
}

const outOfOrder = (repository: string, upload: Upload) =>
  Reply.failure(416, "BLOB_UPLOAD_INVALID", `the upload has ${upload.size} bytes`, {
    location: at(repository, upload.id),
    range: `0-${Math.max(upload.size - 1, 0)}`
  })
