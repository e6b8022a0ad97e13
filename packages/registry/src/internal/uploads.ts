/**
 * `/v2/<name>/blobs/uploads/` and the sessions below it.
 */
import * as Digest from "@effect-oci/name/Digest"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Result from "effect/Result"
import { Access } from "../Access.ts"
import { Settings } from "../Settings.ts"
import { Storage, type StorageError, type Upload } from "../Storage.ts"
import * as Body from "./body.ts"
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
const broken = (error: Body.Broken) => Effect.succeed(Body.reply(error, "BLOB_UPLOAD_INVALID"))

export const open = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  query: URLSearchParams
): Return {
  const storage = yield* Storage
  const mount = query.get("mount")
  const algorithm = query.get("digest-algorithm")
  if (algorithm !== null && algorithm !== "sha256" && algorithm !== "sha512") {
    return Reply.failure(400, "DIGEST_INVALID", "the digest algorithm is not supported")
  }
  if (mount !== null) {
    const digest = Digest.parse(mount)
    if (Result.isFailure(digest)) return invalidDigest(mount)
    const mayPull = yield* Access
    const from = query.get("from")
    const sources = from === null ? yield* storage.findBlob(digest.success) : [from]
    for (const source of sources) {
      if (mayPull(source, "pull") && (yield* storage.linkBlob(repository, digest.success, source))) {
        return created(repository, digest.success)
      }
    }
  }
  const text = query.get("digest")
  if (text === null) {
    const upload = yield* storage.createUpload(repository, algorithm ?? undefined)
    const response = session(202, repository, upload)
    const { chunkMinLength } = yield* Settings
    return chunkMinLength === 0
      ? response
      : HttpServerResponse.setHeader(response, "oci-chunk-min-length", String(chunkMinLength))
  }
  const digest = Digest.parse(text)
  if (Result.isFailure(digest)) return invalidDigest(text)
  const upload = yield* storage.createUpload(repository, Digest.algorithm(digest.success))
  // Nobody else knows of this upload, so nobody could go on with it.
  return yield* Effect.onError(
    finish(request, repository, upload, digest.success),
    () => Effect.ignore(storage.cancel(repository, upload.id))
  ).pipe(Effect.catchTag("Broken", broken))
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
    case "DELETE":
      yield* storage.cancel(repository, id)
      return Reply.empty(204)
    case "PATCH": {
      if (startOf(request, upload) !== upload.size) return outOfOrder(repository, upload)
      const { chunkMinLength } = yield* Settings
      const length = request.headers["content-length"]
      if (length !== undefined && Number(length) < chunkMinLength) {
        return Reply.failure(400, "SIZE_INVALID", `a chunk but the last has at least ${chunkMinLength} bytes`)
      }
      return yield* storage.append(repository, id, upload.size, Body.stream(request)).pipe(
        Effect.map((appended) => session(202, repository, appended)),
        Effect.catchTag("Broken", broken)
      )
    }
    case "PUT": {
      if (startOf(request, upload) !== upload.size) return outOfOrder(repository, upload)
      const text = query.get("digest")
      if (text === null) return Reply.failure(400, "DIGEST_INVALID", "the digest is missing")
      const digest = Digest.parse(text)
      return Result.isFailure(digest)
        ? invalidDigest(text)
        : yield* Effect.catchTag(finish(request, repository, upload, digest.success), "Broken", broken)
    }
    default:
      return session(204, repository, upload)
  }
})

/** Adds the request's body to the upload and makes a blob of it. */
const finish = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  upload: Upload,
  digest: Digest.Digest
): Effect.fn.Return<Reply.Reply, StorageError | Body.Broken, Storage> {
  const storage = yield* Storage
  // Most requests that complete an upload bring nothing more.
  if (!Body.isNone(request)) yield* storage.append(repository, upload.id, upload.size, Body.stream(request))
  yield* storage.commit(repository, upload.id, digest)
  return created(repository, digest)
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
