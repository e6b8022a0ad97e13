/**
 * Sees to it that what an entry stands for is at its target: written by one at a time, again where the target has lost it or
 * does not see yet what it names, and confirmed where that is asked for.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { ContentError, Incomplete } from "../ContentError.ts"
import * as CopyError from "../CopyError.ts"
import type { Happened } from "../Transfer.ts"
import { originOf, type Written } from "../WriteNode.ts"
import type { Entries } from "./entries.ts"
import type { Entry } from "./entry.ts"
import * as Flights from "./flights.ts"

type Does = "writes" | "reads" | "asks"

export interface Options {
  readonly entries: Entries
  readonly tell: (happened: Happened) => void
  /** Runs something with a slot for it. */
  readonly within: (entry: Entry, does: Does) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Finds what an entry needs, and sees to it that it is there. */
  readonly renew: (entry: Entry) => Effect.Effect<void, CopyError.CopyError>
  /** Is told of what is there. */
  readonly finish: (entry: Entry, written: Written) => Effect.Effect<void>
  readonly verify: boolean
}

/**
 * For a target that does not see yet, or has lost, what it was sent. Registries whose storage is spread out are known for
 * it: some take half a minute to see a manifest.
 */
const unsettled = ({ reason, side }: CopyError.CopyError): boolean =>
  side === "target" && (reason.reason._tag === "Incomplete" ||
    reason.reason._tag === "NotFound" && (reason.operation === "tag" || reason.operation === "read"))

const settling = Schedule.exponential("500 millis").pipe(
  Schedule.setInputType<CopyError.CopyError>(),
  Schedule.while(({ input }) => unsettled(input)),
  Schedule.upTo({ times: 6 })
)

const lacking = (entry: Entry, digest: string) =>
  CopyError.at("target", digest)(
    new ContentError({
      operation: "write",
      location: entry.target.location,
      reason: new Incomplete({ detail: `${digest} is not there, though ${entry.item.id} names it` })
    })
  )

export const make = ({ entries, finish, renew, tell, verify, within }: Options) => {
  const move = (entry: Entry, bytes: number): void => {
    entry.moved += bytes
    tell({ _tag: "Bytes", item: entry.item, bytes })
  }

  const write = (entry: Entry) =>
    Effect.suspend(() => {
      tell({ _tag: "Started", item: entry.item })
      // What is written anew moves anew.
      if (entry.moved !== 0) move(entry, -entry.moved)
      return entry.node.write({
        target: entry.target,
        // Every need is done, so each has its result.
        needs: entry.needs.map((need) => need.written!),
        mountFrom: entries.mountFrom(entry),
        others: entries.othersOf(entry),
        progress: (bytes) => move(entry, bytes)
      })
    }).pipe(within(entry, "writes"))

  /** One writer at a time for content of a repository, among all runs of this process. */
  const alone = (entry: Entry): Effect.Effect<Written, CopyError.CopyError> => {
    const { node, target } = entry
    if (node.kind !== "blob" || Option.isNone(node.descriptor) || Option.isNone(target.repository)) {
      return write(entry)
    }
    const descriptor = node.descriptor.value
    return Effect.map(
      Flights.alone(
        `${target.repository.value.name}@${descriptor.digest}`,
        write(entry),
        within(entry, "asks")(node.isPresent(target))
      ),
      Option.getOrElse((): Written => ({ outcome: "present", descriptor, bytes: Option.none() }))
    )
  }

  const waits = (entry: Entry) =>
    Schedule.tap(settling, ({ duration, input }) =>
      Effect.sync(() =>
        tell({
          _tag: "Waiting",
          item: entry.item,
          origin: originOf(entry.target),
          millis: Duration.toMillis(duration),
          isRateLimited: false,
          detail: input.message
        })
      ))

  const confirmed = (entry: Entry) => Effect.tap(alone(entry), (written) => confirm(entry, written))

  /** What mostly succeeds is not worth a schedule before it has failed. */
  const again = (entry: Entry, first: CopyError.CopyError): Effect.Effect<Written, CopyError.CopyError> => {
    let attempts = 0
    return Effect.suspend(() =>
      attempts++ === 0 ? Effect.fail(first) : Effect.andThen(repair(entry, attempts), confirmed(entry))
    ).pipe(Effect.retry(waits(entry)))
  }

  const complete = (entry: Entry): Effect.Effect<void, CopyError.CopyError> =>
    Effect.suspend(() => confirmed(entry)).pipe(
      Effect.catchIf(unsettled, (error) => again(entry, error)),
      Effect.flatMap((written) => finish(entry, written))
    )

  /**
   * Writes again what a target lacks though it had taken it. What it only had said to have is believed once more, and then
   * no longer.
   */
  const repair = (entry: Entry, attempt: number): Effect.Effect<void, CopyError.CopyError> =>
    Effect.forEach(
      entry.needs.filter(({ node }) => Option.isSome(node.descriptor) && node.kind !== "referrer"),
      Effect.fnUntraced(function*(need) {
        const isClaimed = need.written?.outcome !== "sent"
        if (!(isClaimed && attempt > 2) && (yield* within(need, "asks")(need.node.isPresent(need.target)))) return
        // Each need is done.
        tell({ _tag: "Retrying", item: need.item, was: need.written!.outcome })
        if (need.isPresent) {
          need.isPresent = false
          yield* renew(need)
        }
        yield* complete(need)
      }),
      { concurrency: "unbounded", discard: true }
    )

  /** Asks the target for what it says to have, once a manifest names it. */
  const confirm = (entry: Entry, { descriptor }: Written): Effect.Effect<void, CopyError.CopyError> => {
    if (!verify || entry.node.kind !== "manifest") return Effect.void
    const named = entry.needs.filter(({ node }) => node.kind === "blob" || node.kind === "manifest")
    return Effect.forEach(
      // Each need is done.
      [descriptor, ...named.map(({ written }) => written!.descriptor)],
      (descriptor) =>
        within(entry, "asks")(
          Effect.mapError(entry.target.exists(descriptor), CopyError.at("target", descriptor.digest))
        ).pipe(Effect.filterOrFail((is) => is, () => lacking(entry, descriptor.digest))),
      { concurrency: "unbounded", discard: true }
    )
  }

  return complete
}
