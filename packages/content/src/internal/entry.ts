/**
 * One node at one target, and how far it has come.
 */
import type * as Repository from "@effect-oci/name/Repository"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Budget from "../Budget.ts"
import type * as CopyError from "../CopyError.ts"
import type { Target } from "../Store.ts"
import type * as Transfer from "../Transfer.ts"
import type { WriteNode, Written } from "../WriteNode.ts"

export interface Entry {
  readonly item: Transfer.Item
  readonly node: WriteNode
  readonly target: Target
  readonly depth: number
  readonly turn: Budget.Turn
  needs: ReadonlyArray<Entry>
  follows: ReadonlyArray<Entry>
  /** How many that need it are not settled. */
  dependents: number
  /** The same blob on its way to another repository of the registry, from which it can be mounted then. */
  readonly elder: Entry | undefined
  isPresent: boolean
  isDiscovered: boolean
  /** Whether it is there, or never will be. */
  isSettled: boolean
  /** Whether it reads what others read, too. */
  hasArrived: boolean
  /** How many bytes of it were told of. */
  moved: number
  written: Written | undefined
  /** Ends when the node itself is there. */
  readonly there: Deferred.Deferred<void, CopyError.CopyError>
  /** Ends when what follows the node is there, too. */
  readonly done: Deferred.Deferred<void, CopyError.CopyError>
}

const sizeOf = (node: WriteNode): Option.Option<number> =>
  node.kind === "tag" || node.kind === "referrer"
    ? Option.none()
    : Option.map(node.descriptor, (descriptor) => descriptor.size)

export const make = (
  node: WriteNode,
  target: Target,
  depth: number,
  name: Pick<Transfer.Item, "key" | "id" | "location">,
  elder: Entry | undefined
): Entry => ({
  item: { ...name, kind: node.kind, label: node.label, size: sizeOf(node) },
  node,
  target,
  depth,
  turn: { ticket: undefined },
  needs: [],
  follows: [],
  dependents: 0,
  elder,
  isPresent: false,
  isDiscovered: false,
  isSettled: false,
  hasArrived: false,
  moved: 0,
  written: undefined,
  there: Deferred.makeUnsafe(),
  done: Deferred.makeUnsafe()
})

/** Repositories of the target's own registry, other than itself: what it may be asked to mount from. */
export const mountable = (
  target: Target,
  from: ReadonlyArray<Repository.Repository>
): ReadonlyArray<Repository.Repository> =>
  Option.match(target.repository, {
    onNone: () => [],
    onSome: (own) => from.filter(({ path, registry }) => registry.name === own.registry.name && path !== own.path)
  })

/** Whether `to` is among what `from` leads to, directly or not. */
export const leadsTo = (from: Entry, to: Entry): boolean => {
  const seen = new Set<Entry>()
  const stack = [from]
  for (let entry = stack.pop(); entry !== undefined; entry = stack.pop()) {
    if (entry === to) return true
    if (seen.has(entry)) continue
    seen.add(entry)
    stack.push(...entry.needs, ...entry.follows)
  }
  return false
}

/** What a node waits for of the others: a follower for its manifest alone, which in turn waits for it. */
export const awaitNeeds = (entry: Entry) =>
  awaitAll(entry.needs, (need) => need.follows.includes(entry) ? need.there : need.done)

export const awaitFollowers = (entry: Entry) => awaitAll(entry.follows, (follower) => follower.done)

const awaitAll = (
  entries: ReadonlyArray<Entry>,
  of: (entry: Entry) => Deferred.Deferred<void, CopyError.CopyError>
) =>
  entries.length === 0
    ? Effect.void
    : Effect.forEach(entries, (entry) => Deferred.await(of(entry)), { concurrency: "unbounded", discard: true })
