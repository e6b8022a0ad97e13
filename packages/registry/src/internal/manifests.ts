/**
 * `/v2/<name>/manifests/<reference>`
 */
import * as Bytes from "@effect-oci/content/Bytes"
import * as Hasher from "@effect-oci/content/Hasher"
import * as Digest from "@effect-oci/name/Digest"
import * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { Settings } from "../Settings.ts"
import { Storage, type StorageError, type Stored } from "../Storage.ts"
import * as Body from "./body.ts"
import * as Conditions from "./conditions.ts"
import * as Reply from "./reply.ts"

export const handle = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  identifier: Tag.Tag | Digest.Digest,
  query: URLSearchParams
): Effect.fn.Return<Reply.Reply, StorageError, Storage> {
  const storage = yield* Storage
  switch (request.method) {
    case "PUT":
      return yield* put(request, repository, identifier, query)
    case "DELETE":
      return yield* remove(request, repository, identifier)
    default:
      return Option.match(yield* storage.manifest(repository, identifier), {
        onNone: unknown,
        onSome: (stored) => Conditions.refused(request, stored.digest) ?? show(stored)
      })
  }
})

const unknown = () => Reply.failure(404, "MANIFEST_UNKNOWN", "no such manifest in this repository")

const show = ({ again, bytes, digest, mediaType }: Stored): Reply.Reply => {
  const headers = { "docker-content-digest": digest, etag: `"${digest}"` }
  return again === undefined
    ? Reply.bytes(bytes, mediaType, headers)
    : Reply.stream(200, again, bytes.length, headers, mediaType)
}

const remove = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  identifier: Tag.Tag | Digest.Digest
): Effect.fn.Return<Reply.Reply, StorageError, Storage> {
  const storage = yield* Storage
  const holds = Conditions.of(request)
  const removed = yield* storage.deleteManifest(repository, identifier, holds)
  return removed ? Reply.empty(202) : holds === undefined ? unknown() : Conditions.failed
})

const put = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  repository: string,
  identifier: Tag.Tag | Digest.Digest,
  query: URLSearchParams
): Effect.fn.Return<Reply.Reply, StorageError, Storage> {
  const storage = yield* Storage
  const { incomplete, manifestLimit: limit, referrers, sparse } = yield* Settings
  const body = yield* Effect.result(Bytes.collect({ location: repository, limit })(Body.stream(request)))
  if (Result.isFailure(body)) {
    return body.failure._tag === "ContentError"
      ? Reply.failure(413, "SIZE_INVALID", `a manifest may have ${limit} bytes`)
      : Body.reply(body.failure, "MANIFEST_INVALID")
  }
  const bytes = body.success
  const byDigest = Digest.isDigest(identifier)
  const algorithm = byDigest ? Digest.algorithm(identifier) : "sha256"
  const digest = Hasher.digestOf(yield* Hasher.Hashing, bytes, algorithm)
  if (byDigest && digest !== identifier) {
    return Reply.failure(400, "DIGEST_INVALID", `the manifest has digest ${digest}`)
  }
  const tags = (byDigest ? query.getAll("tag") : [identifier]).map(Tag.parse)
  const wrong = tags.find(Result.isFailure)
  if (wrong !== undefined) return Reply.failure(400, "NAME_INVALID", wrong.failure.message)
  const parsed = Document.parse(bytes, request.headers["content-type"])
  if (Result.isFailure(parsed)) return Reply.failure(400, "MANIFEST_INVALID", parsed.failure.message)
  const document = parsed.success
  const mayLack = incomplete || (sparse && document._tag === "ImageIndex")
  const missing = mayLack ? undefined : yield* firstMissing(repository, document)
  if (missing !== undefined) {
    return Reply.failure(404, "MANIFEST_BLOB_UNKNOWN", `${missing.digest} is not in this repository`)
  }
  const subject = subjectOf(document, digest)
  const holds = Conditions.of(request)
  const isPut = yield* storage.putManifest(repository, { digest, mediaType: document.mediaType, bytes }, {
    tags: tags.flatMap((tag) => Result.isSuccess(tag) ? [tag.success] : []),
    subject,
    condition: holds && { identifier, holds }
  })
  if (!isPut) return Conditions.failed
  const headers = {
    location: `/v2/${repository}/manifests/${digest}`,
    "docker-content-digest": digest,
    ...(Option.isSome(subject) && referrers ? { "oci-subject": subject.value.digest } : {})
  }
  const response = Reply.empty(201, headers)
  const accepted = byDigest ? query.getAll("tag") : []
  return accepted.length === 0 ? response : HttpServerResponse.setHeader(response, "oci-tag", accepted.join(", "))
})

/** What the manifest names and the repository has not. Foreign layers are elsewhere by design. */
const firstMissing = Effect.fnUntraced(function*(
  repository: string,
  document: Document.Document
): Effect.fn.Return<Descriptor.Descriptor | undefined, StorageError, Storage> {
  const storage = yield* Storage
  for (const descriptor of Document.successors(document)) {
    if (MediaType.isForeign(descriptor.mediaType)) continue
    const has = MediaType.isDocument(descriptor.mediaType)
      ? Option.isSome(yield* storage.manifest(repository, descriptor.digest))
      : Option.isSome(yield* storage.blobSize(repository, descriptor.digest)) ||
        (document._tag === "ImageIndex" && Option.isSome(yield* storage.manifest(repository, descriptor.digest)))
    if (!has) return descriptor
  }
  return undefined
})

/** What a manifest refers to, and how it is listed there. */
export const subjectOf = (document: Document.Document, digest: Digest.Digest) => {
  const subject = document._tag === "Opaque" ? undefined : document.subject
  return subject === undefined
    ? Option.none()
    : Option.some({ digest: subject.digest, referrer: referrerOf(document, digest) })
}

const referrerOf = (document: Document.Document, digest: Digest.Digest): Descriptor.Descriptor => {
  const artifactType = document._tag === "Manifest"
    ? document.artifactType ?? document.config.mediaType
    : document._tag === "ImageIndex"
    ? document.artifactType
    : undefined
  return {
    mediaType: document.mediaType,
    digest,
    size: document.bytes.length,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(document._tag === "Opaque" || Object.keys(document.annotations).length === 0
      ? {}
      : { annotations: document.annotations })
  }
}
