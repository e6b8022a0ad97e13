/**
 * Lists of referrers under a tag, for registries that keep none: read, and changed by many at once without loss.
 */
import * as Hasher from "@effect-oci/content/Hasher"
import * as Digest from "@effect-oci/name/Digest"
import type * as Repository from "@effect-oci/name/Repository"
import * as Tag from "@effect-oci/name/Tag"
import * as Descriptor from "@effect-oci/spec/Descriptor"
import * as Document from "@effect-oci/spec/Document"
import { format, isObject, type JsonObject } from "@effect-oci/spec/Json"
import * as MediaType from "@effect-oci/spec/MediaType"
import { ProtocolViolation, RegistryError } from "@effect-oci/transport/RegistryError"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Manifests from "../Manifests.ts"
import * as Known from "./known.ts"
import * as Request from "./request.ts"

export const tagOf = (subject: Digest.Digest): Tag.Tag =>
  Tag.parseUnsafe(
    `${Digest.algorithm(subject).slice(0, 32)}-${Digest.hex(subject).slice(0, 64)}`.replace(/[^A-Za-z0-9_.-]/g, "-")
  )

interface List {
  readonly etag: string | undefined
  readonly index: Document.ImageIndex
}

const get = (repository: Repository.Repository, subject: Digest.Digest) =>
  Manifests.get(repository, tagOf(subject)).pipe(Effect.catchIf(Request.isNotFound, () => Effect.undefined))

/** The list; nothing where there is none; and why what is there is not one. */
const listOf = (
  { bytes, descriptor, etag }: Manifests.Fetched,
  subject: Digest.Digest
): Result.Result<List, string> => {
  // GitLab takes the tag for the digest, and answers with the subject itself.
  if (descriptor.digest === subject) return Result.fail("the registry takes the tag of the list for the subject")
  const index = Document.parse(bytes, descriptor.mediaType)
  if (Result.isFailure(index)) return Result.fail(index.failure.message)
  return index.success._tag === "ImageIndex" && index.success.mediaType === MediaType.ociIndex
    ? Result.succeed({ etag, index: index.success })
    : Result.fail(`under the tag of the list is ${index.success.mediaType}, not an index`)
}

export const read = (
  repository: Repository.Repository,
  subject: Digest.Digest
): Stream.Stream<Descriptor.Descriptor, RegistryError, Transport> =>
  Stream.unwrap(Effect.map(get(repository, subject), (found) => {
    const list = found === undefined ? undefined : Result.getOrUndefined(listOf(found, subject))
    return Stream.fromIterable(list?.index.manifests ?? [])
  }))

/** What one caller wants; another may want the same, and be refused it. */
interface Change {
  readonly referrer: Digest.Digest
  readonly to: Descriptor.Descriptor | undefined
}

type Changes = Map<Digest.Digest, Descriptor.Descriptor | undefined>

/** Changes that wait for their turn at a list. */
interface Waiting {
  readonly gate: Semaphore.Semaphore
  readonly changes: Set<Change>
  users: number
}

/** Adds a referrer to the list, or takes it out; whether there was anything to do. */
export const change = Effect.fnUntraced(function*(
  repository: Repository.Repository,
  subject: Digest.Digest,
  referrer: Digest.Digest,
  to: Descriptor.Descriptor | undefined
): Effect.fn.Return<boolean, RegistryError, Transport> {
  const known = yield* Known.of(repository)
  const lists = known.lists as Map<string, Waiting>
  const key = `${repository.path} ${subject}`
  const list = lists.get(key) ?? { gate: Semaphore.makeUnsafe(1), changes: new Set<Change>(), users: 0 }
  lists.set(key, list)
  list.users++
  const mine: Change = { referrer, to }
  list.changes.add(mine)
  // Whoever comes to it first writes for all that wait, so that the others find nothing left to do.
  const turn = Effect.suspend(() => {
    if (!list.changes.has(mine)) return Effect.succeed(true)
    const taken = [...list.changes]
    list.changes.clear()
    return Effect.onError(
      write(repository, subject, new Map(taken.map(({ referrer, to }) => [referrer, to]))),
      () =>
        Effect.sync(() => {
          const later = [...list.changes]
          list.changes.clear()
          for (const change of [...taken, ...later]) if (change !== mine) list.changes.add(change)
        })
    )
  })
  return yield* list.gate.withPermit(turn).pipe(
    Effect.onInterrupt(() => Effect.sync(() => void list.changes.delete(mine))),
    Effect.ensuring(Effect.sync(() => {
      if (--list.users === 0) lists.delete(key)
    }))
  )
})

const digestOf = (entry: unknown): unknown => isObject(entry) ? entry["digest"] : undefined

const holds = (entries: ReadonlyArray<unknown>, changes: Changes): boolean => {
  const digests = new Set(entries.map(digestOf))
  for (const [digest, to] of changes) if (digests.has(digest) !== (to !== undefined)) return false
  return true
}

/** The entries of others are kept as they are, with the keys that no specification knows. */
const merge = (entries: ReadonlyArray<unknown>, changes: Changes): ReadonlyArray<unknown> => [
  ...entries.filter((entry) => !(changes as Map<unknown, unknown>).has(digestOf(entry))),
  ...[...changes.values()].flatMap((to) => to === undefined ? [] : [Descriptor.toJson(to)])
]

/** Somebody else has written the list since it was read. */
class Overtaken extends Data.TaggedError("Overtaken")<{
  /** What the registry said, where it said so. */
  readonly error?: RegistryError
}> {}

const attempts = 20

/** Whoever was overtaken waits a while of its own, so that many do not meet again and again. */
const backoff = Schedule.spaced("50 millis").pipe(
  Schedule.modifyDelay(({ attempt }) =>
    Effect.map(Random.next, (random) => Duration.millis(random * 100 * Math.min(attempt, 10)))
  ),
  Schedule.upTo({ times: attempts - 1 })
)

const write = (
  repository: Repository.Repository,
  subject: Digest.Digest,
  changes: Changes
): Effect.Effect<boolean, RegistryError, Transport> => {
  const violation = (detail: string) =>
    new RegistryError({
      method: "PUT",
      url: Request.path(repository, `manifests/${tagOf(subject)}`),
      reason: new ProtocolViolation({ detail: `the list of referrers of ${subject} was not changed: ${detail}` })
    })
  const entriesOf = Effect.fnUntraced(function*() {
    const found = yield* get(repository, subject)
    if (found === undefined) return { etag: null, json: {} as JsonObject, entries: [] }
    const list = listOf(found, subject)
    if (Result.isFailure(list)) return yield* violation(list.failure)
    const { json } = list.success.index
    const entries = Array.isArray(json["manifests"]) ? json["manifests"] as ReadonlyArray<unknown> : []
    return { etag: list.success.etag, json, entries }
  })

  let hasWritten = false
  const attempt = Effect.gen(function*() {
    const known = yield* Known.of(repository)
    const before = yield* entriesOf()
    if (holds(before.entries, changes)) return hasWritten
    const entries = merge(before.entries, changes)
    const [spent] = yield* Effect.timed(
      store(repository, subject, { ...before.json, manifests: entries }, before.etag).pipe(
        Effect.catchIf(({ status }) => status === 412 || status === 409, (error) => {
          known.isConditional = true
          return Effect.fail(new Overtaken({ error }))
        })
      )
    )
    // Where nobody is refused, one who read before this write and writes after it undoes it: such a one has written by then.
    if (!known.isConditional) yield* Effect.sleep(Duration.max(Duration.millis(100), Duration.times(spent, 2)))
    hasWritten = true
    if (!holds((yield* entriesOf()).entries, changes)) return yield* new Overtaken({})
    return true
  })

  return Effect.retry(attempt, {
    schedule: backoff,
    while: (error: RegistryError | Overtaken) => error._tag === "Overtaken"
  }).pipe(
    Effect.catchTag("Overtaken", ({ error }) =>
      // Whether others were first, or it is not to be changed at all: only the registry knows.
      Effect.fail(error ?? violation(`others changed it ${attempts} times meanwhile`)))
  )
}

const store = Effect.fnUntraced(function*(
  repository: Repository.Repository,
  subject: Digest.Digest,
  json: JsonObject & { readonly manifests: ReadonlyArray<unknown> },
  replaces: string | null | undefined
): Effect.fn.Return<void, RegistryError, Transport> {
  const index = { schemaVersion: 2, mediaType: MediaType.ociIndex, ...json }
  const bytes = format(index)
  const digest = Hasher.digestOf(yield* Hasher.Hashing, bytes)
  const isEmpty = json.manifests.length === 0
  yield* Manifests.put(
    repository,
    tagOf(subject),
    { mediaType: MediaType.ociIndex, digest, size: bytes.length },
    bytes,
    { replaces }
  )
  // By its digest: a list that somebody else has written meanwhile is another manifest, and stays.
  if (isEmpty) yield* Effect.ignore(Manifests.remove(repository, digest))
})
