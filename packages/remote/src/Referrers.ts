/**
 * What refers to a manifest: its signatures, SBOMs and whatever else names it as its subject.
 *
 * OCI distribution specification 1.1, "Listing Referrers", "Referrers Tag Schema", "Pushing Manifests with Subject".
 *
 * @since 1.0.0
 */
import type * as Digest from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import type * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import * as MediaType from "@effect-oci/spec/MediaType"
import { SpecError } from "@effect-oci/spec/SpecError"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Fallback from "./internal/fallback.ts"
import * as Known from "./internal/known.ts"
import * as Pages from "./internal/pages.ts"
import * as Request from "./internal/request.ts"

/**
 * Options for `list`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * Only referrers of this type. The registry is asked for them, and where it does not filter they are filtered here.
   */
  readonly artifactType?: string | undefined
  /**
   * Whether the tag that stands in for the endpoint is read, where a registry has none.
   *
   * @default true
   */
  readonly fallback?: boolean | undefined
}

/**
 * The tag that a list of referrers has at registries that have no endpoint for it.
 *
 * @category getters
 * @since 1.0.0
 */
export const tagOf = (subject: Digest.Digest): Tag.Tag => Fallback.tagOf(subject)

// 404 is what the specification has for it; Artifactory says 406, others 400, 405, and old Harbors 401.
const isNoEndpoint = ({ status }: RegistryError): boolean =>
  status === 404 || status === 400 || status === 405 || status === 406 || status === 501 || status === 401

const isOfName = ({ reason }: RegistryError): boolean =>
  "diagnostics" in reason &&
  reason.diagnostics.some(({ code }) => code === "NAME_UNKNOWN" || code === "MANIFEST_UNKNOWN")

/**
 * What refers to a manifest, page by page as it is asked for. A manifest that nothing refers to has an empty list, and so
 * has one that is not there.
 *
 * @category listing
 * @since 1.0.0
 */
export const list = (
  repository: Repository.Repository,
  subject: Digest.Digest,
  options?: Options | undefined
): Stream.Stream<Descriptor.Descriptor, RegistryError, Transport> =>
  Stream.unwrap(Effect.gen(function*() {
    const known = yield* Known.of(repository)
    const fallback = Stream.filter(
      Fallback.read(repository, subject),
      (referrer) => options?.artifactType === undefined || referrer.artifactType === options.artifactType
    )
    if (known.hasReferrers === false && options?.fallback !== false) return fallback
    return yield* endpoint(repository, subject, options?.artifactType).pipe(
      Effect.tap(() => Effect.sync(() => known.hasReferrers = true)),
      Effect.catchIf((error) => isNoEndpoint(error) || isNoIndex(error), (error) => {
        if (options?.fallback === false) return Effect.fail(error)
        // 404 is plain, unless it is of the repository; the others may be of this one request.
        if (error.status === 404 && !isOfName(error)) known.hasReferrers = false
        return Effect.succeed(fallback)
      })
    )
  }))

const notAnIndex = "is not an index"
const isNoIndex = ({ reason }: RegistryError): boolean =>
  reason._tag === "ProtocolViolation" && reason.detail.includes(notAnIndex)

const endpoint = Effect.fnUntraced(function*(
  repository: Repository.Repository,
  subject: Digest.Digest,
  artifactType: string | undefined
) {
  const client = yield* Request.client(repository, "pull")
  const query = artifactType === undefined ? "" : `?artifactType=${encodeURIComponent(artifactType)}`
  return yield* Pages.open({
    client,
    first: Request.path(repository, `referrers/${subject}${query}`),
    headers: { accept: MediaType.ociIndex },
    read: readPage,
    pick: (referrers, response) => filter(response, artifactType)(referrers)
  })
})

const readPage = (
  bytes: Uint8Array,
  response: HttpClientResponse.HttpClientResponse
): Result.Result<ReadonlyArray<Descriptor.Descriptor>, SpecError> => {
  const type = MediaType.withoutParameters(response.headers["content-type"] ?? "")
  const wrong = new SpecError({ document: "referrers", path: "", reason: "MediaType", detail: `${type} ${notAnIndex}` })
  if (type !== MediaType.ociIndex) return Result.fail(wrong)
  return Result.flatMap(
    Document.parse(bytes, type),
    (document) => document._tag === "ImageIndex" ? Result.succeed(document.manifests) : Result.fail(wrong)
  )
}

const filter = (response: HttpClientResponse.HttpClientResponse, artifactType: string | undefined) =>
(
  referrers: ReadonlyArray<Descriptor.Descriptor>
): ReadonlyArray<Descriptor.Descriptor> => {
  if (artifactType === undefined) return referrers
  const applied = (response.headers["oci-filters-applied"] ?? "").split(",").map((name) => name.trim())
  return applied.includes("artifactType")
    ? referrers
    : referrers.filter((referrer) => referrer.artifactType === artifactType)
}

/** Whether the registry keeps lists itself. One that says so of a manifest may lack the endpoint all the same. */
const keepsLists = Effect.fnUntraced(function*(
  repository: Repository.Repository,
  subject: Digest.Digest
): Effect.fn.Return<boolean, RegistryError, Transport> {
  const known = yield* Known.of(repository)
  if (known.hasReferrers === undefined) yield* Stream.runDrain(Stream.take(list(repository, subject), 1))
  return known.hasReferrers === true
})

/**
 * Sees to it that a manifest that was put is in the list of its subject's referrers.
 *
 * **Details**
 *
 * `hasReferrers` is what the registry said of it: where it keeps the list, there is nothing to do. Where it does not, the list
 * under the fallback tag is changed: read, merged, written if nobody else has written it meanwhile, and read again. What
 * changes one list at the same time in this program is one change. What the list holds already is `present`.
 *
 * @category writing
 * @since 1.0.0
 */
export const add = Effect.fn("Referrers.add")(function*(
  repository: Repository.Repository,
  subject: Digest.Digest,
  referrer: Descriptor.Descriptor,
  hasReferrers: boolean
): Effect.fn.Return<"present" | "sent", RegistryError, Transport> {
  if (hasReferrers && (yield* keepsLists(repository, subject))) return "present"
  return (yield* Fallback.change(repository, subject, referrer.digest, referrer)) ? "sent" : "present"
}, Request.asWriter)

/**
 * Takes a manifest that was deleted out of the list of its subject's referrers, where the registry does not.
 *
 * @category deleting
 * @since 1.0.0
 */
export const remove = Effect.fn("Referrers.remove")(function*(
  repository: Repository.Repository,
  subject: Digest.Digest,
  referrer: Digest.Digest
): Effect.fn.Return<void, RegistryError, Transport> {
  if (yield* keepsLists(repository, subject)) return
  yield* Fallback.change(repository, subject, referrer, undefined)
}, Request.asWriter)
