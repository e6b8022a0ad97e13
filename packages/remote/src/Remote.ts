/**
 * Registries as a program uses them: from a reference to an image in one line, from one registry to another in the next.
 *
 * @since 1.0.0
 */
import * as Bytes from "@effect-oci/content/Bytes"
import { ContentError, Invalid } from "@effect-oci/content/ContentError"
import type { CopyError } from "@effect-oci/content/CopyError"
import type { Source, Store } from "@effect-oci/content/Store"
import * as WriteGraph from "@effect-oci/content/WriteGraph"
import type { NameError } from "@effect-oci/name/NameError"
import * as Reference from "@effect-oci/name/Reference"
import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import type * as Platform from "@effect-oci/spec/Platform"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import { Transport } from "@effect-oci/transport/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Artifact from "./Artifact.ts"
import * as Attachment from "./Attachment.ts"
import * as Blobs from "./Blobs.ts"
import * as Catalog from "./Catalog.ts"
import * as Documents from "./Documents.ts"
import * as Extent from "./Extent.ts"
import * as Image from "./Image.ts"
import * as ImageIndex from "./ImageIndex.ts"
import * as Deletion from "./internal/deletion.ts"
import * as PlatformInput from "./internal/platform.ts"
import * as Request from "./internal/request.ts"
import * as Manifests from "./Manifests.ts"
import * as Referrers from "./Referrers.ts"
import * as RemoteStore from "./RemoteStore.ts"
import * as Sync from "./Sync.ts"
import * as Tags from "./Tags.ts"

/**
 * A reference, or text that is one.
 *
 * @category models
 * @since 1.0.0
 */
export type Input = Reference.Reference | string

/**
 * What is copied: a reference, something that was read from a registry, or content of any source.
 *
 * @category models
 * @since 1.0.0
 */
export type Copyable =
  | Input
  | { readonly store: Source; readonly descriptor: Descriptor.Descriptor }

/**
 * A manifest that was read, and where it is.
 *
 * @category models
 * @since 1.0.0
 */
export interface Fetched {
  readonly store: Store
  readonly descriptor: Descriptor.Descriptor
  readonly bytes: Uint8Array
}

/**
 * Options for `delete`.
 *
 * @category options
 * @since 1.0.0
 */
export interface DeleteOptions {
  /**
   * Also deletes what refers to it, and what refers to that.
   *
   * @default false
   */
  readonly referrers?: boolean | undefined
}

/**
 * What was copied, and where to.
 *
 * @category models
 * @since 1.0.0
 */
export interface Copied extends WriteGraph.Report {
  readonly descriptor: Descriptor.Descriptor
  /**
   * The target, with the digest that is there now.
   */
  readonly reference: Reference.Reference
}

/**
 * What would be copied, and where to.
 *
 * @category models
 * @since 1.0.0
 */
export interface Planned {
  readonly descriptor: Descriptor.Descriptor
  readonly reference: Reference.Reference
  readonly plan: WriteGraph.Plan
}

/**
 * What can be done with registries.
 *
 * @category services
 * @since 1.0.0
 */
export class Remote extends Context.Service<Remote, {
  /**
   * A repository as a place to read from and write to.
   */
  readonly store: (
    repository: Repository.Repository | string,
    options?: RemoteStore.Options | undefined
  ) => Effect.Effect<RemoteStore.RemoteStore, NameError>
  /**
   * A manifest as it is: its bytes, its media type, and its digest, verified. Schema 1 and other types that this library does
   * not read are as good as any, and can be copied from what this gives.
   */
  readonly get: (reference: Input) => Effect.Effect<Fetched, ContentError | NameError>
  /**
   * What a reference stands for, without reading it.
   */
  readonly head: (reference: Input) => Effect.Effect<Descriptor.Descriptor, ContentError | NameError>
  /**
   * An image, or the one that an index offers for the platform.
   *
   * `platform` is `linux/amd64` unless told.
   */
  readonly image: (
    reference: Input,
    options?: { readonly platform?: string | Platform.Platform | undefined } | undefined
  ) => Effect.Effect<Image.Image, ContentError | NameError>
  /**
   * The images for several platforms, in their order.
   */
  readonly images: (
    reference: Input,
    options: { readonly platforms: ReadonlyArray<string | Platform.Platform> }
  ) => Effect.Effect<ReadonlyArray<Image.Image>, ContentError | NameError>
  /**
   * An index.
   */
  readonly index: (reference: Input) => Effect.Effect<ImageIndex.ImageIndex, ContentError | NameError>
  /**
   * An artifact: a manifest that may hold anything.
   */
  readonly artifact: (reference: Input) => Effect.Effect<Artifact.Artifact, ContentError | NameError>
  /**
   * A layer of which only the digest is known.
   */
  readonly layer: (reference: Input) => Effect.Effect<Image.ImageLayer, ContentError | NameError>
  /**
   * The bytes of a blob, verified unless they begin at an offset. With a `concurrency`, in several parts at once.
   */
  readonly blob: (
    reference: Input,
    options?: Blobs.ParallelOptions | undefined
  ) => Stream.Stream<Uint8Array, ContentError | NameError>
  /**
   * What refers to a manifest: its signatures, SBOMs and the like.
   */
  readonly referrers: (
    reference: Input,
    options?: Referrers.Options | undefined
  ) => Stream.Stream<Descriptor.Descriptor, ContentError | RegistryError | NameError>
  /**
   * Copies content, with all that it leads to, to a reference: under its tag where it has one.
   */
  readonly copy: (
    from: Copyable,
    to: Input,
    options?: Extent.Options | undefined
  ) => Effect.Effect<Copied, ContentError | CopyError | NameError>
  /**
   * What a copy would write, and in which order; nothing is written. `WriteGraph` runs a plan, draws it and sums it up.
   */
  readonly plan: (
    from: Copyable,
    to: Input,
    options?: Extent.Options | undefined
  ) => Effect.Effect<Planned, ContentError | CopyError | NameError>
  /**
   * Brings the tags of a repository to another one, and tells of each as it is done. One that fails stops no other.
   */
  readonly sync: (
    from: Repository.Repository | string,
    to: Repository.Repository | string,
    options?: Sync.Options | undefined
  ) => Stream.Stream<Sync.Synced, RegistryError | NameError>
  /**
   * Writes an artifact that is about what the reference stands for.
   */
  readonly attach: (
    subject: Input,
    attachment: Omit<Attachment.Attachment, "subject">,
    options?: WriteGraph.Options | undefined
  ) => Effect.Effect<Copied, ContentError | CopyError | NameError>
  /**
   * Names what a reference stands for a second time, in the same repository.
   */
  readonly tag: (reference: Input, tag: string) => Effect.Effect<Descriptor.Descriptor, ContentError | NameError>
  /**
   * Takes a tag away. What it stood for stays.
   */
  readonly untag: (reference: Input) => Effect.Effect<void, ContentError | RegistryError | NameError>
  /**
   * Deletes a manifest, and with it all its tags. It is named by its digest, for a tag does not say what else is lost.
   */
  readonly delete: (
    reference: Input,
    options?: DeleteOptions | undefined
  ) => Effect.Effect<void, ContentError | RegistryError | NameError>
  /**
   * Deletes a blob, named by its digest.
   */
  readonly deleteBlob: (reference: Input) => Effect.Effect<void, ContentError | RegistryError | NameError>
  /**
   * The tags of a repository, page by page.
   */
  readonly list: (
    repository: Repository.Repository | string,
    options?: Tags.Options | undefined
  ) => Stream.Stream<string, RegistryError | NameError>
  /**
   * The repositories of a registry, page by page, where it tells.
   */
  readonly catalog: (
    registry: Registry.Registry | string,
    options?: Catalog.Options | undefined
  ) => Stream.Stream<string, RegistryError | NameError>
}>()("@effect-oci/remote/Remote") {}

const referenceOf = (
  input: Input,
  options?: Reference.Options | undefined
): Effect.Effect<Reference.Reference, NameError> =>
  typeof input === "string" ? Effect.fromResult(Reference.parse(input, options)) : Effect.succeed(input)

const repositoryOf = (input: Repository.Repository | string): Effect.Effect<Repository.Repository, NameError> =>
  typeof input === "string" ? Effect.fromResult(Repository.parse(input)) : Effect.succeed(input)

const registryOf = (input: Registry.Registry | string): Effect.Effect<Registry.Registry, NameError> =>
  typeof input === "string" ? Effect.fromResult(Registry.parse(input)) : Effect.succeed(input)

const invalid = (location: string, detail: string) =>
  new ContentError({ operation: "read", location, reason: new Invalid({ detail }) })

/** A target that was asked already what a tag stands for there. It is told once; who asks again asks anew. */
const begun = (target: Store, tag: Tag.Tag, early: Fiber.Fiber<Descriptor.Descriptor, ContentError>): Store => {
  let isTold = false
  return {
    ...target,
    resolve: (identifier) =>
      Effect.suspend(() => {
        if (identifier !== tag || isTold) return target.resolve(identifier)
        isTold = true
        return Fiber.join(early)
      })
  }
}

const isUnknown = (early: Fiber.Fiber<unknown, ContentError>): Effect.Effect<boolean> =>
  Effect.map(
    Fiber.await(early),
    (exit) =>
      Option.match(Exit.findErrorOption(exit), {
        onNone: () => false,
        onSome: ({ reason }) => reason._tag === "NotFound"
      })
  )

const make = Effect.gen(function*() {
  const services = Context.make(Transport, yield* Transport)

  const open = Effect.fnUntraced(function*(input: Input, options?: RemoteStore.Options) {
    const reference = yield* referenceOf(input)
    const store = yield* Effect.provideContext(RemoteStore.make(reference.repository, options), services)
    const identifier = Reference.identifier(reference)
    if (identifier === undefined) {
      return yield* invalid(store.location, "the reference names neither a tag nor a digest")
    }
    return { reference, store, identifier }
  })

  const get = Effect.fn("Remote.get")(function*(input: Input, options?: RemoteStore.Options) {
    const { identifier, reference, store } = yield* open(input, options)
    // Read by what was asked for, in one request; HEAD first would be a second.
    const { bytes, descriptor } = yield* Effect.provideContext(
      Manifests.get(reference.repository, identifier),
      services
    ).pipe(
      Effect.provideService(Request.Reading, options?.isTarget === true ? "push" : "pull"),
      Effect.mapError(RemoteStore.contentError("read", store.location))
    )
    return { store, descriptor, bytes }
  })

  /** A manifest and the documents it leads to. */
  const read = Effect.fnUntraced(function*(input: Input) {
    const fetched = yield* get(input)
    const root = yield* Documents.interpret(fetched.store, fetched)
    return { root, documents: yield* Documents.make(fetched.store, root) }
  })

  /** What is named by its digest and nothing else will do. */
  const byDigest = Effect.fnUntraced(function*(input: Input, what: string) {
    const { reference, store } = yield* open(input)
    const { digest, repository } = reference
    if (digest === undefined) return yield* invalid(store.location, `${what} is named by its digest: REPOSITORY@DIGEST`)
    return { digest, repository, store }
  })

  /** What is copied, and the roots of the graph that copies it. */
  const prepare = Effect.fnUntraced(function*(from: Copyable, to: Input, options?: Extent.Options) {
    const { digest, repository, tag } = yield* referenceOf(to)
    // What the first tag stands for is asked in any case: with the source, not after it, which is a ping and a HEAD less to
    // wait for where both are far away.
    const early = tag === undefined ? undefined : yield* RemoteStore.make(repository, { isTarget: true }).pipe(
      Effect.flatMap((store) => store.resolve(tag)),
      Effect.provideContext(services),
      Effect.forkChild
    )
    const placed = typeof from === "string" || Reference.isReference(from)
      ? yield* Effect.flatMap(
        open(from),
        ({ identifier, store }) => Effect.map(store.resolve(identifier), (descriptor) => ({ store, descriptor }))
      )
      : from
    const tags = [...(options?.tags ?? []), ...(tag === undefined ? [] : [tag])]
    // A name that was never heard of there most likely stands for what was not either.
    const isNew = early !== undefined && (yield* isUnknown(early))
    const { descriptor, roots } = yield* Extent.of(placed, { isNew, ...options, tags })
    if (digest !== undefined && digest !== descriptor.digest) {
      return yield* invalid(repository.name, `the target is named by ${digest}, the source is ${descriptor.digest}`)
    }
    if (digest === undefined && tags.length === 0) {
      return yield* invalid(repository.name, "the reference names neither a tag nor a digest")
    }
    // With something that has to be there, or to be asked for, before the tags are, they cannot be set with the manifest.
    const isAlone = options?.referrers !== true && options?.digestTags !== true && options?.follow === undefined &&
      options?.verify !== true
    const target = yield* RemoteStore.make(repository, {
      isTarget: true,
      tags: isAlone ? { of: descriptor.digest, names: tags } : undefined
    }).pipe(Effect.provideContext(services))
    return {
      descriptor,
      reference: Reference.make(repository, { tag, digest: descriptor.digest }),
      roots: WriteGraph.to(early === undefined ? target : begun(target, tag!, early), roots)
    }
  })

  return Remote.of({
    store: (repository, options) =>
      Effect.flatMap(
        repositoryOf(repository),
        (repository) => Effect.provideContext(RemoteStore.make(repository, options), services)
      ),
    get: (input) => get(input),
    head: Effect.fn("Remote.head")(function*(input) {
      const { identifier, store } = yield* open(input)
      return yield* store.resolve(identifier)
    }),
    image: Effect.fn("Remote.image")(function*(input, options) {
      const platform = yield* PlatformInput.of(options?.platform ?? "linux/amd64")
      const { documents, root } = yield* read(input)
      return yield* Image.read(documents, root, platform)
    }),
    images: Effect.fn("Remote.images")(function*(input, options) {
      const platforms = yield* Effect.forEach(options.platforms, PlatformInput.of)
      const { documents, root } = yield* read(input)
      return yield* Image.all(documents, root, platforms)
    }),
    index: Effect.fn("Remote.index")(function*(input) {
      const { documents, root } = yield* read(input)
      return yield* ImageIndex.read(documents, root)
    }),
    artifact: Effect.fn("Remote.artifact")(function*(input) {
      const { documents, root } = yield* read(input)
      return yield* Artifact.read(documents, root)
    }),
    layer: Effect.fn("Remote.layer")(function*(input) {
      const { digest, repository, store } = yield* byDigest(input, "a layer")
      const size = yield* Blobs.size(repository, digest).pipe(
        Effect.mapError(RemoteStore.contentError("resolve", store.location)),
        Effect.provideContext(services)
      )
      return Image.layer(store, { mediaType: "application/octet-stream", digest, size })
    }),
    blob: (input, options) =>
      Stream.unwrap(Effect.gen(function*() {
        const { digest, repository } = yield* byDigest(input, "a blob")
        return Bytes.owned(
          yield* RemoteStore.blob(repository, digest, options).pipe(Effect.provideContext(services))
        )
      })),
    referrers: (input, options) =>
      Stream.unwrap(Effect.gen(function*() {
        const { identifier, reference, store } = yield* open(input)
        const digest = reference.digest ?? (yield* store.resolve(identifier)).digest
        return Referrers.list(reference.repository, digest, options).pipe(Stream.provideContext(services))
      })),
    copy: Effect.fn("Remote.copy")(function*(from, to, options) {
      const { reference, roots } = yield* prepare(from, to, options)
      const report = yield* WriteGraph.run(roots, options)
      // All roots are of one manifest.
      return { ...report, descriptor: report.roots[0]!, reference }
    }),
    plan: Effect.fn("Remote.plan")(function*(from, to, options) {
      const { descriptor, reference, roots } = yield* prepare(from, to, options)
      return { descriptor, reference, plan: yield* WriteGraph.plan(roots, options) }
    }),
    sync: (from, to, options) =>
      Stream.unwrap(Effect.gen(function*() {
        const source = yield* repositoryOf(from)
        const target = yield* repositoryOf(to)
        const named = (tag: string) =>
          Effect.map(Effect.fromResult(Tag.parse(tag)), (tag) => ({
            from: Reference.make(source, { tag }),
            to: Reference.make(target, { tag })
          }))
        return Sync.run({
          tags: Tags.list(source).pipe(Stream.provideContext(services)),
          copy: Effect.fnUntraced(function*(tag, options) {
            const { from, to } = yield* named(tag)
            const { descriptor, roots } = yield* prepare(from, to, options)
            return { ...(yield* WriteGraph.run(roots, options)), digest: descriptor.digest }
          }),
          plan: Effect.fnUntraced(function*(tag, options) {
            const { from, to } = yield* named(tag)
            const { descriptor, roots } = yield* prepare(from, to, options)
            return { digest: descriptor.digest, plan: yield* WriteGraph.plan(roots, options) }
          })
        }, options)
      })),
    attach: Effect.fn("Remote.attach")(function*(input, attachment, options) {
      const { repository } = yield* referenceOf(input)
      // Read, for what is written of the subject has to be right.
      const { descriptor: subject, store } = yield* get(input, { isTarget: true })
      const artifact = yield* Attachment.node({ ...attachment, subject })
      const report = yield* WriteGraph.run(WriteGraph.to(store, [artifact]), options)
      const descriptor = report.roots[0]!
      return { ...report, descriptor, reference: Reference.make(repository, { digest: descriptor.digest }) }
    }),
    tag: Effect.fn("Remote.tag")(function*(input, name) {
      const tag = yield* Effect.fromResult(Tag.parse(name))
      const { bytes, descriptor, store } = yield* get(input, { isTarget: true })
      yield* store.tag(descriptor, tag, { bytes })
      return descriptor
    }),
    untag: Effect.fn("Remote.untag")(function*(input) {
      // Nobody loses a tag that was not said.
      const { digest, repository, tag } = yield* referenceOf(input, { defaultTag: "" })
      if (tag === undefined || digest !== undefined) {
        return yield* invalid(repository.name, "a tag that is taken away is named by its name: REPOSITORY:TAG")
      }
      yield* Effect.provideContext(Manifests.remove(repository, tag), services)
    }),
    delete: Effect.fn("Remote.delete")(function*(input, options) {
      const { digest, repository } = yield* byDigest(input, "what is deleted")
      yield* Effect.provideContext(Deletion.manifest(repository, digest, options), services)
    }),
    deleteBlob: Effect.fn("Remote.deleteBlob")(function*(input) {
      const { digest, repository } = yield* byDigest(input, "a blob")
      yield* Effect.provideContext(Blobs.remove(repository, digest), services)
    }),
    list: (repository, options) =>
      Stream.unwrap(
        Effect.map(repositoryOf(repository), (repository) =>
          Tags.list(repository, options).pipe(Stream.provideContext(services)))
      ),
    catalog: (registry, options) =>
      Stream.unwrap(
        Effect.map(registryOf(registry), (registry) =>
          Catalog.list(registry, options).pipe(Stream.provideContext(services)))
      )
  })
})

/**
 * Registries over a `Transport`.
 *
 * @category layers
 * @since 1.0.0
 */
export const layer: Layer.Layer<Remote, never, Transport> = Layer.effect(Remote, make)
