/**
 * The manifests of a repository: by tag or by digest, read, written and deleted.
 *
 * OCI distribution specification 1.1, "Pulling manifests", "Pushing Manifests", "Content Management".
 *
 * @since 1.0.0
 */
import * as Hasher from "@effect-oci/content/Hasher"
import * as Digest from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import type * as Tag from "@effect-oci/name/Tag"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Json from "@effect-oci/spec/Json"
import * as MediaType from "@effect-oci/spec/MediaType"
import { RegistryError, Unsupported } from "@effect-oci/transport/RegistryError"
import * as ResponseBody from "@effect-oci/transport/ResponseBody"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Result from "effect/Result"
import * as Request from "./internal/request.ts"
import * as Schema1 from "./internal/schema1.ts"

/**
 * A manifest as the registry keeps it: nothing of it was interpreted.
 *
 * @category models
 * @since 1.0.0
 */
export interface Fetched {
  readonly descriptor: Descriptor.Descriptor
  readonly bytes: Uint8Array
  /**
   * The registry's mark of what was read, for `put` to be told what it may replace.
   */
  readonly etag: string | undefined
}

/**
 * The largest manifest that is read, in bytes. The specification asks a registry to take at least 4 MiB.
 *
 * @category constants
 * @since 1.0.0
 */
export const limit = 8 * 1024 * 1024

/** Descriptors whose size is what a registry said in answer to HEAD. */
const told = new WeakSet<Descriptor.Descriptor>()

/**
 * Whether a descriptor comes from `head` and its size is only the registry's word, which some get wrong: the bytes that have
 * the digest have the size.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isTold = (descriptor: Descriptor.Descriptor): boolean => told.has(descriptor)

const accept = MediaType.manifestTypes.join(", ")

const at = (repository: Repository.Repository, identifier: Tag.Tag | Digest.Digest) =>
  Request.path(repository, `manifests/${identifier}`)

const typeOf = (response: HttpClientResponse.HttpClientResponse): string =>
  MediaType.withoutParameters(response.headers["content-type"] ?? "")

/**
 * Reads a manifest, whatever it is.
 *
 * **Details**
 *
 * Its digest is computed from the bytes. Asked for by digest, other bytes are a failure; what headers say does not count.
 * Of whatever type it is, what is no object in JSON is no manifest.
 * At most 8 MiB are read.
 *
 * @category reading
 * @since 1.0.0
 */
export const get = Effect.fn("Manifests.get")(
  (
    repository: Repository.Repository,
    identifier: Tag.Tag | Digest.Digest
  ): Effect.Effect<Fetched, RegistryError, Transport> =>
    Request.elsewhere(repository, identifier, read(repository, identifier))
)

const read = Effect.fnUntraced(function*(
  repository: Repository.Repository,
  identifier: Tag.Tag | Digest.Digest
): Effect.fn.Return<Fetched, RegistryError, Transport> {
  const client = yield* Request.client(repository, "pull")
  const response = yield* client.get(at(repository, identifier), { headers: { accept } })
  const bytes = yield* ResponseBody.bytes(response, limit)
  const start = yield* Hasher.Hashing
  const mediaType = typeOf(response)
  // Not even of a type that nobody here reads: something on the way answers, such as the page that a network has one log in on.
  if (!Json.beginsObject(bytes)) {
    return yield* Request.mismatch(response, `no manifest: ${mediaType || "of no type at all"}`)
  }
  // The digest of a signed schema 1 manifest is that of what was signed.
  const hashed = mediaType === MediaType.dockerSchema1Signed ? Schema1.payload(bytes) ?? bytes : bytes
  const digest = Hasher.digestOf(start, hashed, Digest.isDigest(identifier) ? Digest.algorithm(identifier) : "sha256")
  if (Digest.isDigest(identifier) && digest !== identifier) {
    return yield* Request.mismatch(response, `the bytes have digest ${digest}`)
  }
  return {
    descriptor: Descriptor.make({ mediaType, digest, size: bytes.length }),
    bytes,
    etag: response.headers["etag"]
  }
})

/**
 * What a tag or digest stands for, without its bytes.
 *
 * **Details**
 *
 * Digest and size are the registry's word for it. The digest is verified when the manifest is read, and the size is then
 * that of the bytes. Registries that do not say all of it in answer to HEAD are asked by GET.
 *
 * @category reading
 * @since 1.0.0
 */
export const head = Effect.fn("Manifests.head")(function*(
  repository: Repository.Repository,
  identifier: Tag.Tag | Digest.Digest
): Effect.fn.Return<Descriptor.Descriptor, RegistryError, Transport> {
  const client = yield* Request.client(repository, "pull")
  const response = yield* client.head(at(repository, identifier), { headers: { accept } }).pipe(
    Effect.catchIf(Request.isNoHead, () => Effect.undefined)
  )
  const said = response === undefined ? undefined : saidBy(response, identifier)
  if (said === undefined) return (yield* get(repository, identifier)).descriptor
  told.add(said)
  return said
})

const saidBy = (
  response: HttpClientResponse.HttpClientResponse,
  identifier: Tag.Tag | Digest.Digest
): Descriptor.Descriptor | undefined => {
  const size = Request.lengthOf(response)
  const digest = Digest.isDigest(identifier)
    ? Result.succeed(identifier)
    : Digest.parse(response.headers["docker-content-digest"] ?? "")
  const mediaType = typeOf(response)
  // No manifest is empty, whatever some registries say in answer to HEAD, none is larger than what is read, and none is a page.
  return Result.isFailure(digest) || size === undefined || size === 0 || size > limit || mediaType === "" ||
      mediaType === "text/html"
    ? undefined
    : Descriptor.make({ mediaType, digest: digest.success, size })
}

/**
 * What a registry said of a manifest that it took.
 *
 * @category models
 * @since 1.0.0
 */
export interface Put {
  /**
   * Whether it says that it keeps the manifest in the list of its subject's referrers.
   */
  readonly hasReferrers: boolean
  /**
   * The tags of those asked for that it has set.
   */
  readonly tags: ReadonlyArray<string>
}

/**
 * Options for `put`.
 *
 * @category options
 * @since 1.0.0
 */
export interface PutOptions {
  /**
   * Tags to be set with the manifest, where it is put by its digest and the registry knows how to.
   *
   * @default []
   */
  readonly tags?: ReadonlyArray<Tag.Tag> | undefined
  /**
   * The mark of what may be replaced, or `null` where nothing may be there yet. A registry that looks at it refuses
   * otherwise, with status 412; many do not.
   */
  readonly replaces?: string | null | undefined
}

/**
 * Writes a manifest under a tag or under its digest.
 *
 * @category writing
 * @since 1.0.0
 */
export const put = Effect.fn("Manifests.put")(function*(
  repository: Repository.Repository,
  identifier: Tag.Tag | Digest.Digest,
  descriptor: Descriptor.Descriptor,
  bytes: Uint8Array,
  options?: PutOptions | undefined
): Effect.fn.Return<Put, RegistryError, Transport> {
  const client = yield* Request.client(repository, "push")
  const response = yield* client.put(at(repository, identifier), {
    headers: condition(options?.replaces),
    urlParams: Digest.isDigest(identifier) ? (options?.tags ?? []).map((tag) => ["tag", tag] as const) : [],
    body: HttpClientRequest.empty.pipe(HttpClientRequest.bodyUint8Array(bytes, descriptor.mediaType)).body
  })
  yield* ResponseBody.discard(response)
  yield* Request.isWhatWasSent(response, descriptor.digest)
  return {
    hasReferrers: response.headers["oci-subject"] !== undefined,
    tags: (response.headers["oci-tag"] ?? "").split(",").map((tag) => tag.trim()).filter((tag) => tag !== "")
  }
})

const condition = (replaces: string | null | undefined): Record<string, string> =>
  replaces === undefined ? {} : replaces === null ? { "if-none-match": "*" } : { "if-match": replaces }

/**
 * Deletes a tag, or a manifest with all its tags.
 *
 * @category deleting
 * @since 1.0.0
 */
export const remove = Effect.fn("Manifests.remove")(function*(
  repository: Repository.Repository,
  identifier: Tag.Tag | Digest.Digest
): Effect.fn.Return<void, RegistryError, Transport> {
  const client = yield* Request.client(repository, "remove")
  const response = yield* Effect.mapError(
    client.del(at(repository, identifier)),
    (error) => Digest.isDigest(identifier) ? error : noTagsToDelete(error)
  )
  yield* ResponseBody.discard(response)
})

/** docker-registry takes a tag for a digest that is wrong, where it only deletes by digest. */
const noTagsToDelete = (error: RegistryError): RegistryError =>
  error.reason._tag === "Rejected" && error.status === 400
    ? new RegistryError({
      method: error.method,
      url: error.url,
      reason: new Unsupported({ status: error.reason.status, diagnostics: error.reason.diagnostics })
    })
    : error
