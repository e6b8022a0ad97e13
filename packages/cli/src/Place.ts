/**
 * Where content is copied from and to: a reference, or `oci:FOLDER`, a layout folder on this machine.
 *
 * @since 1.0.0
 */
import { ContentError, Invalid } from "@effect-oci/content/ContentError"
import * as MemoryStore from "@effect-oci/content/MemoryStore"
import type { Store } from "@effect-oci/content/Store"
import * as WriteGraph from "@effect-oci/content/WriteGraph"
import * as OciLayout from "@effect-oci/layout/OciLayout"
import * as Digest from "@effect-oci/name/Digest"
import * as Reference from "@effect-oci/name/Reference"
import * as Tag from "@effect-oci/name/Tag"
import * as Extent from "@effect-oci/remote/Extent"
import * as Foreign from "@effect-oci/remote/Foreign"
import { Remote } from "@effect-oci/remote/Remote"
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

/**
 * A layout folder, and what of it is meant.
 *
 * @category models
 * @since 1.0.0
 */
export interface Folder {
  readonly path: string
  readonly tag: Tag.Tag | undefined
  readonly digest: Digest.Digest | undefined
}

const prefix = "oci:"

/**
 * Reads `oci:FOLDER[:TAG][@DIGEST]`; nothing where the text is a reference.
 *
 * @category decoding
 * @since 1.0.0
 */
export const folder = (text: string): Folder | undefined => {
  if (!text.startsWith(prefix)) return undefined
  const rest = text.slice(prefix.length)
  const at = rest.lastIndexOf("@")
  const digest = at === -1 ? undefined : Result.getOrUndefined(Digest.parse(rest.slice(at + 1)))
  const named = digest === undefined ? rest : rest.slice(0, at)
  // What is behind the last colon is a tag where it can be one: a path has a slash of either kind there, or no colon.
  const colon = named.lastIndexOf(":")
  const tag = colon < 1 ? undefined : Result.getOrUndefined(Tag.parse(named.slice(colon + 1)))
  return { path: tag === undefined ? named : named.slice(0, colon), tag, digest }
}

/**
 * A place as a person writes it, or a folder.
 *
 * @category models
 * @since 1.0.0
 */
export type Place = string | Folder

const folderOf = (place: Place): Folder | undefined => typeof place === "string" ? folder(place) : place

/** A reference is left to `Remote`, a folder is opened. */
const sourceOf = (place: Place) => {
  const at = folderOf(place)
  return at === undefined ? Effect.succeed(String(place)) : opened(at)
}

/** A reference, as what there is to copy, and where. */
const placed = Effect.fnUntraced(function*(text: string) {
  const remote = yield* Remote
  const { repository } = yield* Effect.fromResult(Reference.parse(text))
  const store: Store = yield* remote.store(repository)
  return { store, descriptor: yield* remote.head(text) }
})

const opened = Effect.fnUntraced(function*(at: Folder) {
  const layout = yield* OciLayout.open(at.path)
  const identifier = at.digest ?? at.tag
  const store: Store = layout
  return {
    store,
    descriptor: identifier === undefined ? yield* OciLayout.sole(layout) : yield* layout.resolve(identifier)
  }
})

/**
 * What was copied, or would be.
 *
 * @category models
 * @since 1.0.0
 */
export interface Target {
  /**
   * As it may be copied from.
   */
  readonly name: string
  readonly descriptor: Descriptor.Descriptor
}

/** What goes to a folder: known before anything is made there. */
const layoutTarget = Effect.fnUntraced(function*(from: Place, to: Folder, options: Extent.Options) {
  const tags = [...(options.tags ?? []), ...(to.tag === undefined ? [] : [to.tag])]
  const source = yield* sourceOf(from)
  const there = typeof source === "string" ? yield* placed(source) : source
  const { descriptor, roots } = yield* Extent.of(there, { ...options, tags })
  if (to.digest !== undefined && to.digest !== descriptor.digest) {
    return yield* new ContentError({
      operation: "write",
      location: to.path,
      reason: new Invalid({ detail: `the target is named by ${to.digest}, the source is ${descriptor.digest}` })
    })
  }
  const name = `${prefix}${to.path}${to.tag === undefined ? "" : `:${to.tag}`}@${descriptor.digest}`
  return { descriptor, tags, name, roots }
})

/**
 * Copies from anywhere to anywhere.
 *
 * @category copying
 * @since 1.0.0
 */
export const copy = (from: Place, to: Place, options: Extent.Options) => withForeign(options, copyTo(from, to, options))

/** Layers that are elsewhere are fetched from there only by who asks for them. */
const withForeign = <A, E, R>(options: Extent.Options, self: Effect.Effect<A, E, R>) =>
  options.foreign === true ? Effect.provide(self, Foreign.layer) : self

const copyTo = Effect.fnUntraced(function*(from: Place, to: Place, options: Extent.Options) {
  const target = folderOf(to)
  if (target === undefined) {
    const remote = yield* Remote
    const copied = yield* remote.copy(yield* sourceOf(from), String(to), options)
    return { ...copied, name: String(copied.reference) }
  }
  const { name, roots, tags } = yield* layoutTarget(from, target, options)
  const layout = yield* OciLayout.make(target.path)
  const report = yield* WriteGraph.run(WriteGraph.to(layout, roots), options)
  // All roots are of one manifest.
  const descriptor = report.roots[0]!
  // Without a tag the layout could not say what in it was meant.
  if (tags.length === 0) yield* layout.list(descriptor)
  return { ...report, descriptor, name }
})

/**
 * Plans such a copy. A folder that is not there is planned for as an empty one, and not made.
 *
 * @category copying
 * @since 1.0.0
 */
export const plan = Effect.fnUntraced(function*(from: Place, to: Place, options: Extent.Options) {
  const target = folderOf(to)
  if (target === undefined) {
    const remote = yield* Remote
    const planned = yield* remote.plan(yield* sourceOf(from), String(to), options)
    return { plan: planned.plan, descriptor: planned.descriptor, name: String(planned.reference) }
  }
  const { descriptor, name, roots } = yield* layoutTarget(from, target, options)
  const layout: Store = yield* Effect.catchIf(
    OciLayout.open(target.path),
    (error) => error.reason._tag === "NotFound",
    () => Effect.succeed(MemoryStore.make(target.path))
  )
  return { plan: yield* WriteGraph.plan(WriteGraph.to(layout, roots), options), descriptor, name }
})
