/**
 * Nodes of what a source has: blobs that are passed on, and manifests and indexes that lead to others.
 */
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import * as MediaType from "@effect-oci/spec/MediaType"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Bytes from "../Bytes.ts"
import * as CopyError from "../CopyError.ts"
import { type Body, type Outcome, smallLimit, type Source, type Target } from "../Store.ts"
import * as Successors from "../Successors.ts"
import type { ContentOptions, WriteNode, Written } from "../WriteNode.ts"
import * as Bodies from "./bodies.ts"
import * as Once from "./once.ts"
import * as Tee from "./tee.ts"

export const make = (source: Source, descriptor: Descriptor.Descriptor, options: ContentOptions): WriteNode =>
  Successors.hasSuccessors(descriptor.mediaType)
    ? document(source, descriptor, options)
    : blob(source, descriptor, options)

/** Bytes that arrived wrong may have been changed on the way: they are fetched once more, and that is all. */
const refetched = <A>(self: Effect.Effect<A, CopyError.CopyError>): Effect.Effect<A, CopyError.CopyError> =>
  Effect.catchIf(
    self,
    ({ reason, side }) =>
      side === "source" && (reason.reason._tag === "DigestMismatch" || reason.reason._tag === "SizeMismatch"),
    () => self
  )

export const isPresent = (descriptor: Descriptor.Descriptor) => (target: Target) =>
  Effect.mapError(target.exists(descriptor), CopyError.at("target", descriptor.digest))

const blob = (source: Source, descriptor: Descriptor.Descriptor, options: ContentOptions): WriteNode => {
  // Named on its way out of the source, so that the target's own failures cannot be taken for it.
  const body: Body<CopyError.CopyError, never> = (offset) =>
    Stream.mapError(source.fetch(descriptor, offset), CopyError.at("source", descriptor.digest))
  const atTarget = CopyError.at("target", descriptor.digest)
  const isSmall = descriptor.size <= smallLimit && descriptor.urls === undefined &&
    !MediaType.isDocument(descriptor.mediaType)
  const small = isSmall && source.read !== undefined
    ? Once.make(refetched(Effect.mapError(source.read(descriptor), CopyError.at("source", descriptor.digest))))
    : undefined
  let tee: Tee.Tee<CopyError.CopyError> | undefined
  const shared = () => tee ??= Tee.make(body, descriptor.size)
  return {
    id: descriptor.digest,
    kind: MediaType.isSchema1(descriptor.mediaType) ? "manifest" : "blob",
    label: descriptor.mediaType,
    descriptor: Option.some(descriptor),
    source: Option.some(source),
    mountFrom: [...Option.toArray(source.repository), ...(options.mountFrom ?? [])],
    isPresent: isPresent(descriptor),
    ahead: options.isNew === true ? small?.get() : undefined,
    discover: () => undefined,
    write: ({ mountFrom, others, progress, target }) => {
      const push = (body: Body<CopyError.CopyError, never>) =>
        Effect.catchTag(
          target.push(descriptor, body, { mountFrom }),
          "ContentError",
          (error) => Effect.fail(atTarget(error))
        )
      const pushed = small === undefined
        ? refetched(push(Bodies.counted(others === undefined ? body : shared().body(others), progress)))
        : push(Bodies.held(small.get()))
      return Effect.map(pushed, (outcome) => {
        if (small !== undefined && outcome === "sent") progress(descriptor.size)
        return { outcome, descriptor, bytes: Option.none() }
      })
    },
    release: () => {
      small?.forget()
      tee?.forget()
    }
  }
}

const document = (source: Source, descriptor: Descriptor.Descriptor, options: ContentOptions): WriteNode => {
  const atSource = CopyError.at("source", descriptor.digest)
  // Read once for discovery, and written from the same bytes, to however many targets.
  const read = Once.make(
    source.fetch(descriptor).pipe(
      Bytes.collect({ location: source.location }),
      Effect.mapError(atSource),
      refetched
    )
  )
  /** What was read is as long as it is, whatever was said of it before. */
  const found = ({ length }: Uint8Array): Descriptor.Descriptor =>
    length === descriptor.size ? descriptor : { ...descriptor, size: length }
  const members = Once.make(
    Effect.flatMap(read.get(), (all) =>
      Effect.fromResult(Successors.of(descriptor, all, source.location)).pipe(
        Effect.mapError(atSource),
        Effect.map((members) =>
          members
            .filter((member) => options.foreign === true || !MediaType.isForeign(member.mediaType))
            .map((member) => make(source, member, options))
        )
      ))
  )
  const { follow } = options
  const followers = follow === undefined ? Effect.succeed([]) : Once.make(follow(source, descriptor, options)).get()
  const self: WriteNode = {
    id: descriptor.digest,
    kind: "manifest",
    label: descriptor.mediaType,
    descriptor: Option.some(descriptor),
    source: Option.some(source),
    mountFrom: [],
    isPresent: isPresent(descriptor),
    ahead: options.isNew === true ? read.get() : undefined,
    discover: (target, isPresent) => {
      if (isPresent && follow === undefined) return undefined
      return Effect.flatMap(members.get(), (needs) =>
        Effect.zipWith(read.get(), followers, (all, followed) => {
          const listed = target.refer === undefined
            ? []
            : Option.toArray(Option.map(Successors.referrer(found(all), all), (referrer) => listing(self, referrer)))
          return {
            // Of what is present only that is looked at which may have followers.
            needs: isPresent ? needs.filter(({ kind }) => kind === "manifest") : needs,
            follows: [...listed, ...followed]
          }
        }))
    },
    write: ({ progress, target }) =>
      Effect.flatMap(read.get(), (all) =>
        target.push(found(all), Bytes.body(all)).pipe(
          Effect.mapError(CopyError.at("target", descriptor.digest)),
          Effect.map((outcome): Written => {
            progress(all.length)
            return { outcome, descriptor: found(all), bytes: Option.some(all) }
          })
        )),
    release: () => {
      read.forget()
      members.forget()
    }
  }
  return self
}

/** The place of a manifest in the list of its subject's referrers, at a target that does not see to it by itself. */
const listing = (of: WriteNode, { descriptor, subject }: Successors.Referrer): WriteNode => ({
  id: `${subject} <- ${descriptor.digest}`,
  kind: "referrer",
  label: subject,
  descriptor: Option.some(descriptor),
  source: Option.none(),
  mountFrom: [],
  isPresent: () => Effect.succeed(false),
  discover: () => Effect.succeed({ needs: [of] }),
  write: ({ target }) =>
    (target.refer === undefined ? Effect.succeed<Outcome>("present") : target.refer(subject, descriptor)).pipe(
      Effect.mapError(CopyError.at("target", `referrers of ${subject}`)),
      Effect.map((outcome): Written => ({ outcome, descriptor, bytes: Option.none() }))
    )
})
