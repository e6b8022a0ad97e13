/**
 * `/v2/<name>/blobs/uploads/` and the sessions below it.
 */
import * as Hasher from "@effect-oci/content/Hasher"
import * as Digest from "@effect-oci/name/Digest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import { Access, Owner } from "../Access.ts"
import type { Settings } from "../Settings.ts"
import type { Storage, StorageError, Upload } from "../Storage.ts"
import * as Body from "./body.ts"
import * as Reply from "./reply.ts"

type Return = Effect.Effect<Reply.Reply, StorageError>

/**
 * What the storage calls the upload that this client knows by an id: where uploads are somebody's, by the same id another one
 * knows another upload, of which there is none. So nothing has to be kept of whose it is.
 */
const nameOf = (id: string): Effect.Effect<string> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const owner = Context.get(context, Owner)
    if (owner === undefined) return Effect.succeed(id)
    const owned = new TextEncoder().encode(JSON.stringify([owner, id]))
    return Effect.succeed(Digest.hex(Hasher.digestOf(Context.get(context, Hasher.Hashing), owned)))
  })

// Relative, so that no Host header finds its way into it.
const at = (repository: string, id: string) => `/v2/${repository}/blobs/uploads/${id}`

const session = (status: number, repository: string, upload: Upload, more: Readonly<Record<string, string>> = {}) =>
  Reply.empty(status, {
    location: at(repository, upload.id),
    "docker-upload-uuid": upload.id,
    range: `0-${Math.max(upload.size - 1, 0)}`,
    ...more
  })

const created = (repository: string, digest: Digest.Digest) =>
  Reply.empty(201, { location: `/v2/${repository}/blobs/${digest}`, "docker-content-digest": digest })

/** A body that breaks off leaves the upload with what had arrived. */
const broken = (error: Body.Broken) => Effect.succeed(Body.reply(error, "BLOB_UPLOAD_INVALID"))

/** Gives a blob of another repository to this one, if there is one that the client may read. */
const mount = Effect.fnUntraced(function*(
  storage: Storage["Service"],
  repository: string,
  digest: Digest.Digest,
  from: string | null
): Effect.fn.Return<boolean, StorageError> {
  const mayPull = yield* Access
  const sources = from === null ? yield* storage.findBlob(digest) : [from]
  for (const source of sources) {
    if (mayPull(source, "pull") && (yield* storage.linkBlob(repository, digest, source))) return true
  }
  return false
})

export const open = (
  storage: Storage["Service"],
  settings: Settings,
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  query: URLSearchParams
): Return => {
  const algorithm = query.get("digest-algorithm")
  if (algorithm !== null && algorithm !== "sha256" && algorithm !== "sha512") {
    return Effect.succeed(Reply.failure(400, "DIGEST_INVALID", "the digest algorithm is not supported"))
  }
  const begin = Effect.suspend(() => {
    const text = query.get("digest")
    const id = crypto.randomUUID()
    return text !== null ? whole(storage, request, repository, text) : Effect.map(
      Effect.flatMap(nameOf(id), (name) => storage.createUpload(repository, algorithm ?? undefined, name)),
      ({ size }) =>
        session(
          202,
          repository,
          { id, size },
          settings.chunkMinLength === 0 ? {} : {
            "oci-chunk-min-length": String(settings.chunkMinLength)
          }
        )
    )
  })
  const mounted = query.get("mount")
  return mounted === null ? begin : Reply.withDigest(mounted, (digest) =>
    Effect.flatMap(
      mount(storage, repository, digest, query.get("from")),
      (isMounted) => isMounted ? Effect.succeed(created(repository, digest)) : begin
    ))
}

/** Takes a blob that comes in one request. */
const whole = (
  storage: Storage["Service"],
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  text: string
): Return =>
  Reply.withDigest(
    text,
    (digest) =>
      Effect.acquireUseRelease(
        storage.createUpload(repository, Digest.algorithm(digest)),
        (upload) => finish(storage, request, repository, upload, digest),
        // Nobody knows of this upload, so nobody could go on with it.
        (upload, exit) => Exit.isSuccess(exit) ? Effect.void : Effect.ignore(storage.cancel(repository, upload.id))
      ).pipe(Effect.catchTag("Broken", broken))
  )

export const resume = (
  storage: Storage["Service"],
  settings: Settings,
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  id: string,
  query: URLSearchParams
): Return =>
  Effect.flatMap(Effect.flatMap(nameOf(id), (name) => storage.upload(repository, name)), (kept): Return => {
    const upload = { id, size: kept.size }
    switch (request.method) {
      case "DELETE":
        return Effect.as(storage.cancel(repository, kept.id), Reply.empty(204))
      case "PATCH": {
        const wrong = misplaced(request, repository, upload)
        if (wrong !== undefined) return Effect.succeed(wrong)
        const length = lengthOf(request)
        if (length !== undefined && length < settings.chunkMinLength) {
          const least = settings.chunkMinLength
          return Effect.succeed(Reply.failure(400, "SIZE_INVALID", `a chunk but the last has at least ${least} bytes`))
        }
        return storage.append(repository, kept.id, kept.size, bytesOf(request)).pipe(
          Effect.map(({ size }) => session(202, repository, { id, size })),
          Effect.catchTag("Broken", broken)
        )
      }
      case "PUT": {
        const wrong = misplaced(request, repository, upload)
        if (wrong !== undefined) return Effect.succeed(wrong)
        const text = query.get("digest")
        return text === null
          ? Effect.succeed(Reply.failure(400, "DIGEST_INVALID", "the digest is missing"))
          : Reply.withDigest(text, (digest) =>
            Effect.catchTag(finish(storage, request, repository, kept, digest), "Broken", broken))
      }
      default:
        return Effect.succeed(session(204, repository, upload))
    }
  })

/** Adds the request's body to the upload and makes a blob of it. */
const finish = (
  storage: Storage["Service"],
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  upload: Upload,
  digest: Digest.Digest
): Effect.Effect<Reply.Reply, StorageError | Body.Broken> => {
  const commit = Effect.map(storage.commit(repository, upload.id, digest), () => created(repository, digest))
  // Most requests that complete an upload bring nothing more.
  return Body.isNone(request)
    ? commit
    : Effect.andThen(storage.append(repository, upload.id, upload.size, bytesOf(request)), commit)
}

/** The first and the last of the bytes that a request says it brings. Docker's streamed PATCH says nothing of them. */
const rangeOf = ({ headers }: HttpServerRequest.HttpServerRequest): readonly [number, number] | undefined => {
  const header = headers["content-range"]
  if (header === undefined) return undefined
  const [, start, end] = /^(?:bytes[ =])?(\d{1,16})-(\d{1,16})(?:\/.*)?$/.exec(header) ?? []
  return [Number(start), Number(end)]
}

/** How many bytes a request says it brings, by the length of its body or by their range. */
const lengthOf = (request: HttpServerRequest.HttpServerRequest): number | undefined => {
  const range = rangeOf(request)
  return Body.lengthOf(request) ?? (range && range[1] - range[0] + 1)
}

const bytesOf = (request: HttpServerRequest.HttpServerRequest) => Body.stream(request, lengthOf(request))

/** What is wrong with that: that they do not go on where the upload ends, or that it says two numbers of them. */
const misplaced = (
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  upload: Upload
): Reply.Reply | undefined => {
  const range = rangeOf(request)
  if (range === undefined) return undefined
  const [start, end] = range
  if (start !== upload.size) return outOfOrder(repository, upload)
  const length = Body.lengthOf(request)
  return length === undefined || end - start + 1 === length
    ? undefined
    : Reply.failure(400, "SIZE_INVALID", `the body has ${length} bytes, which is not what its range says`)
}

const outOfOrder = (repository: string, upload: Upload) =>
  Reply.failure(416, "BLOB_UPLOAD_INVALID", `the upload has ${upload.size} bytes`, {
    location: at(repository, upload.id),
    range: `0-${Math.max(upload.size - 1, 0)}`
  })
