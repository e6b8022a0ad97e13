/**
 * A repository of a registry as a place that content is read from and written to.
 *
 * @since 1.0.0
 */
import * as Bytes from "@effect-oci/content/Bytes"
import {
  ContentError,
  Incomplete,
  Invalid,
  NotFound,
  Refused,
  Unavailable,
  Unsupported
} from "@effect-oci/content/ContentError"
import type { Store } from "@effect-oci/content/Store"
import * as Successors from "@effect-oci/content/Successors"
import * as Verify from "@effect-oci/content/Verify"
import * as Digest from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import type * as Tag from "@effect-oci/name/Tag"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import { isRegistryError, type RegistryError } from "@effect-oci/transport/RegistryError"
import { Transport } from "@effect-oci/transport/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Blobs from "./Blobs.ts"
import { Foreign } from "./Foreign.ts"
import * as Request from "./internal/request.ts"
import * as Steady from "./internal/steady.ts"
import * as Waits from "./internal/waits.ts"
import * as Manifests from "./Manifests.ts"
import * as Referrers from "./Referrers.ts"
import * as Tags from "./Tags.ts"
import * as Uploads from "./Uploads.ts"

/**
 * What a `RegistryError` means for content, wherever it is kept. The error itself stays its cause.
 *
 * @category errors
 * @since 1.0.0
 */
export const contentError =
  (operation: ContentError["operation"], location: string) => (error: RegistryError): ContentError =>
    new ContentError({ operation, location, reason: reasonOf(error), cause: error })

// What registries say of a manifest that names what they do not have.
const incomplete = new Set(["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"])

const reasonOf = (error: RegistryError): ContentError["reason"] => {
  if (
    error.method === "PUT" && "diagnostics" in error.reason &&
    error.reason.diagnostics.some(({ code }) => incomplete.has(code))
  ) {
    return new Incomplete({ detail: error.message })
  }
  switch (error.reason._tag) {
    case "NotFound":
      return new NotFound({ what: error.url })
    case "Unauthorized":
    case "Denied":
    case "Rejected":
    case "NoCredentials":
    case "NoToken":
    case "InternalAddress":
    case "Blocked":
      return new Refused({ detail: error.message })
    case "Unsupported":
      return new Unsupported({ detail: error.message })
    case "ContentMismatch":
      return new Invalid({ detail: error.reason.detail })
    case "ProtocolViolation":
      return new Invalid({ detail: error.reason.detail })
    case "RateLimited":
    case "Unavailable":
    case "SessionLost":
      return new Unavailable({ detail: error.message })
    case "Unreachable":
      return error.reason.transient
        ? new Unavailable({ detail: error.message })
        : new Refused({ detail: error.message })
  }
}

const isWrong = ({ reason }: ContentError): boolean =>
  reason._tag === "DigestMismatch" || reason._tag === "SizeMismatch" || reason._tag === "Invalid"

/**
 * Options for `make`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * Whether it is about to be written to: tokens are then asked for reading and writing from the start.
   *
   * @default false
   */
  readonly isTarget?: boolean | undefined
  /**
   * Tags that a manifest is going to be given: they are set with it, where the registry can, instead of by a request of their
   * own.
   */
  readonly tags?: { readonly of: Digest.Digest; readonly names: ReadonlyArray<Tag.Tag> } | undefined
}

/**
 * A repository as a place.
 *
 * @category models
 * @since 1.0.0
 */
export interface RemoteStore extends Store {
  /**
   * All its tags, page by page.
   */
  readonly tags: Stream.Stream<string, ContentError>
  /**
   * The size of a blob of which only the digest is known.
   */
  readonly sizeOf: (digest: Digest.Digest) => Effect.Effect<number, ContentError>
}

/**
 * Makes a store of a repository.
 *
 * **Details**
 *
 * What is a manifest and what a blob, the media type of its descriptor says: registries keep them apart.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = (
  repository: Repository.Repository,
  options?: Options | undefined
): Effect.Effect<RemoteStore, never, Transport> =>
  Effect.map(Transport, (transport): RemoteStore => {
    const location = repository.name
    const reading = options?.isTarget === true ? "push" : "pull"
    const services = Context.make(Transport, transport).pipe(
      Context.add(Request.Reading, reading)
    )
    // Added, not merged: a merge copies the map of all services that there are.
    const served = <A, E, R>(self: Effect.Effect<A, E, R | Transport>): Effect.Effect<A, E, Exclude<R, Transport>> =>
      Effect.updateContext(
        self,
        (before: Context.Context<Exclude<R, Transport>>) =>
          Context.add(Context.add(before, Transport, transport), Request.Reading, reading) as Context.Context<
            R | Transport
          >
      )
    const run = <A>(operation: ContentError["operation"], self: Effect.Effect<A, RegistryError, Transport>) =>
      Effect.mapError(served(self), contentError(operation, location))
    const mapped = <A, E, R>(self: Effect.Effect<A, E | RegistryError, R | Transport>) =>
      Effect.mapError(
        served(self),
        (error) => isRegistryError(error) ? contentError("write", location)(error) : error
      )

    // What this store has done with a manifest's push, and need not be done again.
    const tagged = new Set<Tag.Tag>()
    const referred = new Set<Digest.Digest>()
    const put = Effect.fnUntraced(function*(descriptor: Descriptor.Descriptor, bytes: Uint8Array) {
      const names = options?.tags?.of === descriptor.digest ? options.tags.names : []
      const said = yield* putManifest(repository, descriptor, bytes, names)
      for (const name of names) if (said.tags.includes(name)) tagged.add(name)
      referred.add(descriptor.digest)
    })

    return Waits.told<RemoteStore>(repository.registry.name, {
      location,
      repository: Option.some(repository),
      tags: Tags.list(repository).pipe(
        Stream.provideContext(services),
        Stream.mapError(contentError("list", location)),
        Waits.stream(repository.registry.name)
      ),
      sizeOf: (digest) => run("resolve", Blobs.size(repository, digest)),
      resolve: (identifier) => run("resolve", Manifests.head(repository, identifier)),
      fetch: (descriptor, offset = 0) => {
        const verified = Verify.stream(descriptor, { location, offset })
        if (!MediaType.isDocument(descriptor.mediaType)) {
          return Blobs.get(repository, descriptor, offset).pipe(
            orForeign(descriptor, offset),
            Steady.changed((before: Context.Context<never>) => Context.merge(before, services)),
            Stream.mapError(contentError("read", location)),
            verified,
            // Whoever reads it once more reads it elsewhere.
            Stream.tapError((error) => isWrong(error) ? transport.distrust(repository, descriptor.digest) : Effect.void)
          )
        }
        const bytes = Stream.unwrap(
          Effect.map(
            run("read", Manifests.get(repository, descriptor.digest)),
            ({ bytes }) => Bytes.body(bytes)(offset)
          )
        )
        // The digest was verified where they were read: that of a signed schema 1 manifest is not of its bytes, and a size that
        // was only told is not theirs.
        return descriptor.mediaType === MediaType.dockerSchema1Signed || Manifests.isTold(descriptor)
          ? bytes
          : verified(bytes)
      },
      read: (descriptor) =>
        run("read", Blobs.read(repository, descriptor)).pipe(
          Effect.flatMap((bytes) => Verify.bytes(descriptor, bytes, { location })),
          Effect.tapError((error) => isWrong(error) ? transport.distrust(repository, descriptor.digest) : Effect.void)
        ),
      exists: (descriptor) =>
        MediaType.isDocument(descriptor.mediaType)
          ? run("resolve", Request.asWriter(hasManifest(repository, descriptor))).pipe(
            Effect.catchIf(
              (error) => error.reason._tag === "NotFound" || isWrong(error),
              () => Effect.succeed(false)
            )
          )
          : run("resolve", Request.asWriter(Blobs.exists(repository, descriptor.digest, descriptor.size))),
      push: (descriptor, body, options) =>
        MediaType.isDocument(descriptor.mediaType)
          ? body(0).pipe(
            Bytes.collect({ location }),
            Effect.tap((bytes) => run("write", put(descriptor, bytes))),
            Effect.as("sent" as const)
          )
          : mapped(Uploads.push(repository, descriptor, body, options)),
      referrers: (subject) =>
        Referrers.list(repository, subject).pipe(
          Stream.provideContext(services),
          Stream.mapError(contentError("list", location))
        ),
      refer: (subject, referrer) =>
        referred.has(referrer.digest)
          ? Effect.succeed("present")
          : run("write", Referrers.add(repository, subject, referrer, true)),
      pushStream: (body, options) => mapped(Uploads.pushStream(repository, body, options)),
      tag: (descriptor, tag, options) => {
        if (tagged.delete(tag)) return Effect.void
        const bytes = options?.bytes !== undefined
          ? Effect.succeed(options.bytes)
          : Effect.map(Manifests.get(repository, descriptor.digest), ({ bytes }) => bytes)
        return run("tag", Effect.flatMap(bytes, (bytes) => Manifests.put(repository, tag, descriptor, bytes)))
      }
    })
  })

/** Where two say different sizes for a digest, the bytes decide. */
const hasManifest = Effect.fnUntraced(function*(
  repository: Repository.Repository,
  descriptor: Descriptor.Descriptor
): Effect.fn.Return<boolean, RegistryError, Transport> {
  const { digest } = descriptor
  if ((yield* Manifests.head(repository, digest)).size === descriptor.size) return true
  const { bytes } = yield* Manifests.get(repository, digest)
  return bytes.length === descriptor.size || Manifests.isTold(descriptor)
})

/** What a registry lacks and is meant to be had elsewhere, if that is allowed. */
const orForeign = (descriptor: Descriptor.Descriptor, offset: number) =>
<R>(
  self: Stream.Stream<Uint8Array, RegistryError, R>
): Stream.Stream<Uint8Array, RegistryError, R> =>
  descriptor.urls === undefined || !MediaType.isForeign(descriptor.mediaType) ? self : Stream.unwrap(
    Effect.map(
      Foreign,
      (foreign) =>
        foreign === undefined ?
          self :
          Stream.catchIf(self, Request.isNotFound, () => Blobs.cut(foreign(descriptor), offset, descriptor.size))
    )
  )

/** Puts a manifest, and sees to it that its subject's list of referrers has it. */
const putManifest = Effect.fnUntraced(function*(
  repository: Repository.Repository,
  descriptor: Descriptor.Descriptor,
  bytes: Uint8Array,
  tags: ReadonlyArray<Tag.Tag>
): Effect.fn.Return<Manifests.Put, RegistryError, Transport> {
  // Under its one tag it has the tag from any registry. Of a tag's manifest the digest is the registry's choice.
  const [tag] = Digest.algorithm(descriptor.digest) === "sha256" && tags.length === 1 ? tags : []
  const said = tag === undefined
    ? yield* Manifests.put(repository, descriptor.digest, descriptor, bytes, { tags })
    : { ...yield* Manifests.put(repository, tag, descriptor, bytes), tags }
  const referrer = Option.getOrUndefined(Successors.referrer(descriptor, bytes))
  if (referrer !== undefined) {
    yield* Referrers.add(repository, referrer.subject, referrer.descriptor, said.hasReferrers)
  }
  return said
})

/**
 * The bytes of a blob of which only the digest is known; verified, unless they begin at an offset. In several parts at once
 * if a `concurrency` or `chunkSize` is given.
 *
 * @category reading
 * @since 1.0.0
 */
export const blob = Effect.fnUntraced(function*(
  repository: Repository.Repository,
  digest: Digest.Digest,
  options?: Blobs.ParallelOptions | undefined
): Effect.fn.Return<Stream.Stream<Uint8Array, ContentError>, ContentError, Transport> {
  const location = repository.name
  const size = yield* Effect.mapError(Blobs.size(repository, digest), contentError("resolve", location))
  const descriptor = Descriptor.make({ mediaType: "application/octet-stream", digest, size })
  const { chunkSize, concurrency, offset = 0 } = options ?? {}
  if (offset > size) {
    const detail = `the offset ${offset} is beyond the blob's ${size} bytes`
    return yield* new ContentError({ operation: "read", location, reason: new Invalid({ detail }) })
  }
  if (chunkSize === undefined && concurrency === undefined) return (yield* make(repository)).fetch(descriptor, offset)
  return Blobs.getParallel(repository, descriptor, options).pipe(
    Stream.provideContext(yield* Effect.context<Transport>()),
    Stream.mapError(contentError("read", location)),
    Verify.stream(descriptor, { location, offset })
  )
})
