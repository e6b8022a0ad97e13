/**
 * Registries as a program uses them: from a reference to an image in one line, from one registry to another in the next.
 *
 * @since 1.0.0
 */
import { ContentError, Invalid } from "@effect-oci/content/ContentError"
import * as Copy from "@effect-oci/content/Copy"
import type { CopyError } from "@effect-oci/content/CopyError"
import type { Source, Store } from "@effect-oci/content/Store"
import type * as WriteGraph from "@effect-oci/content/WriteGraph"
import type { NameError } from "@effect-oci/name/NameError"
import * as Reference from "@effect-oci/name/Reference"
import * as Repository from "@effect-oci/name/Repository"
import * as Tag from "@effect-oci/name/Tag"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Platform from "@effect-oci/spec/Platform"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import { Transport } from "@effect-oci/transport/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Image from "./Image.ts"
import * as Request from "./internal/request.ts"
import * as Manifests from "./Manifests.ts"
import * as RemoteStore from "./RemoteStore.ts"
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
  ) => Effect.Effect<Store, NameError>
  /**
   * A manifest, uninterpreted as far as it is unknown: schema 1 and other types are passed on as they are.
   */
  readonly get: (reference: Input) => Effect.Effect<Image.Fetched & { readonly store: Store }, ContentError | NameError>
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
   * An index.
   */
  readonly index: (reference: Input) => Effect.Effect<Image.Index, ContentError | NameError>
  /**
   * The bytes of a blob, verified.
   */
  readonly blob: (reference: Input) => Stream.Stream<Uint8Array, ContentError | NameError>
  /**
   * Copies content, with all that it leads to, to a reference: under its tag where it has one.
   */
  readonly copy: (
    from: Copyable,
    to: Input,
    options?: Copy.Options | undefined
  ) => Effect.Effect<Copied, ContentError | CopyError | NameError>
  /**
   * Names what a reference stands for a second time, in the same repository.
   */
  readonly tag: (reference: Input, tag: string) => Effect.Effect<Descriptor.Descriptor, ContentError | NameError>
  /**
   * Deletes a tag, or by digest a manifest with all its tags.
   */
  readonly delete: (reference: Input) => Effect.Effect<void, RegistryError | NameError>
  /**
   * The tags of a repository, page by page.
   */
  readonly list: (
    repository: Repository.Repository | string,
    options?: Tags.Options | undefined
  ) => Stream.Stream<string, RegistryError | NameError>
}>()("@effect-oci/remote/Remote") {}

const referenceOf = (input: Input): Effect.Effect<Reference.Reference, NameError> =>
  typeof input === "string" ? Effect.fromResult(Reference.parse(input)) : Effect.succeed(input)

const repositoryOf = (input: Repository.Repository | string): Effect.Effect<Repository.Repository, NameError> =>
  typeof input === "string" ? Effect.fromResult(Repository.parse(input)) : Effect.succeed(input)

const invalid = (location: string, detail: string) =>
  new ContentError({ operation: "read", location, reason: new Invalid({ detail }) })

const platformOf = (
  input: string | Platform.Platform | undefined
): Effect.Effect<Platform.Platform, ContentError> => {
  if (typeof input === "object") return Effect.succeed(input)
  return Result.match(Platform.parse(input ?? "linux/amd64"), {
    onFailure: (error) => Effect.fail(invalid("platform", error.message)),
    onSuccess: Effect.succeed
  })
}

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
    const fetched = yield* Image.document(store, { ...descriptor, data: bytes })
    return { ...fetched, descriptor, store }
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
      const platform = yield* platformOf(options?.platform)
      const fetched = yield* get(input)
      return yield* Image.image(fetched.store, fetched, platform)
    }),
    index: Effect.fn("Remote.index")(function*(input) {
      const fetched = yield* get(input)
      return yield* Image.index(fetched.store, fetched)
    }),
    blob: (input) =>
      Stream.unwrap(Effect.gen(function*() {
        const { reference, store } = yield* open(input)
        if (reference.digest === undefined) return yield* invalid(store.location, "a blob is named by its digest")
        return yield* RemoteStore.blob(reference.repository, reference.digest).pipe(Effect.provideContext(services))
      })),
    copy: Effect.fn("Remote.copy")(function*(from, to, options) {
      const target = yield* open(to, { isTarget: true })
      const source = typeof from === "string" || Reference.isReference(from)
        ? yield* Effect.flatMap(
          open(from),
          ({ identifier, store }) => Effect.map(store.resolve(identifier), (descriptor) => ({ store, descriptor }))
        )
        : from
      const { digest, repository, tag } = target.reference
      if (digest !== undefined && digest !== source.descriptor.digest) {
        return yield* invalid(
          target.store.location,
          `the target is named by ${digest}, the source is ${source.descriptor.digest}`
        )
      }
      const report = yield* Copy.copy(source.store, target.store, source.descriptor, {
        ...options,
        tags: [...(options?.tags ?? []), ...(tag === undefined ? [] : [tag])]
      })
      return { ...report, reference: Reference.make(repository, { tag, digest: source.descriptor.digest }) }
    }),
    tag: Effect.fn("Remote.tag")(function*(input, name) {
      const tag = yield* Effect.fromResult(Tag.parse(name))
      const { descriptor, document, store } = yield* get(input, { isTarget: true })
      yield* store.tag(descriptor, tag, { bytes: document.bytes })
      return descriptor
    }),
    delete: Effect.fn("Remote.delete")(function*(input) {
      const reference = yield* referenceOf(input)
      const identifier = Reference.identifier(reference) ?? Tag.parseUnsafe("latest")
      yield* Effect.provideContext(Manifests.remove(reference.repository, identifier), services)
    }),
    list: (repository, options) =>
      Stream.unwrap(
        Effect.map(repositoryOf(repository), (repository) =>
          Tags.list(repository, options).pipe(Stream.provideContext(services)))
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
