/**
 * What a run has found: an entry for each node at each target, and who waits for whom. Nothing is done here.
 */
import type * as Repository from "@effect-oci/name/Repository"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { ContentError, Invalid } from "../ContentError.ts"
import * as CopyError from "../CopyError.ts"
import type { Target } from "../Store.ts"
import type { Discovered, Others, WriteNode } from "../WriteNode.ts"
import * as Entry from "./entry.ts"

export interface Options {
  readonly maxDepth: number
  readonly maxNodes: number
  readonly hasOneTarget: boolean
  /** Is told of each entry as it is made. */
  readonly found: (entry: Entry.Entry) => void
}

/** Enough to choose from: a base layer may be in as many repositories as a registry has, and each of them would look at all. */
const mostMounts = 8

const refused = (entry: Entry.Entry, subject: WriteNode, detail: string) =>
  Result.fail(
    CopyError.at("source", subject.id)(
      new ContentError({ operation: "read", location: entry.target.location, reason: new Invalid({ detail }) })
    )
  )

/** Names for things, each its own: one that is taken gets a number. */
const namer = <A>() => {
  const names = new Map<A, string>()
  const taken = new Map<string, number>()
  return (thing: A, wish: string): string => {
    const known = names.get(thing)
    if (known !== undefined) return known
    const count = (taken.get(wish) ?? 0) + 1
    taken.set(wish, count)
    const name = count === 1 ? wish : `${wish} (${count})`
    names.set(thing, name)
    return name
  }
}

export type Entries = ReturnType<typeof make>

export const make = ({ found, hasOneTarget, maxDepth, maxNodes }: Options) => {
  const all = new Map<string, Entry.Entry>()
  const targets = namer<Target>()
  const nodes = namer<WriteNode>()
  const elders = new Map<string, Array<Entry.Entry>>()
  const sharing = new Map<WriteNode, Array<Entry.Entry>>()
  const held = { bytes: 0 }

  /** The entries of the same blob for the target's registry, oldest first. */
  const siblings = (node: WriteNode, target: Target): Array<Entry.Entry> | undefined => {
    if (node.kind !== "blob" || Option.isNone(node.descriptor) || Option.isNone(target.repository)) return undefined
    const key = `${target.repository.value.registry.name} ${node.id}`
    const known = elders.get(key) ?? []
    elders.set(key, known)
    return known
  }

  const enter = (node: WriteNode, target: Target, depth: number): Entry.Entry => {
    const { kind } = node
    // A repository is one target however many stores were made of it; other stores are themselves.
    const location = Option.match(target.repository, {
      onNone: () => targets(target, target.location),
      onSome: ({ name }) => name
    })
    // So is content whose digest is known, and other content is itself.
    const id = Option.isNone(node.descriptor) && kind !== "tag" ? nodes(node, node.id) : node.id
    const key = `${location} ${kind} ${id}`
    const existing = all.get(key)
    if (existing !== undefined) return existing
    const others = siblings(node, target)
    const entry = Entry.make(node, target, depth, { key, id, location }, others?.[0])
    others?.push(entry)
    all.set(key, entry)
    sharing.set(node, [...(sharing.get(node) ?? []), entry])
    found(entry)
    return entry
  }

  /** Enters what was asked for; a tag cannot stand for two things. */
  const enterRoot = (node: WriteNode, target: Target): Result.Result<Entry.Entry, CopyError.CopyError> => {
    const entry = enter(node, target, 0)
    const digests = Option.zipWith(entry.node.descriptor, node.descriptor, (one, other) => [one.digest, other.digest])
    return node.kind === "tag" && Option.exists(digests, ([one, other]) => one !== other)
      ? refused(entry, node, `two manifests are wanted under the tag ${node.label}`)
      : Result.succeed(entry)
  }

  /** Enters what an entry leads to. */
  const add = (
    entry: Entry.Entry,
    { follows = [], needs }: Discovered
  ): Result.Result<void, CopyError.CopyError> => {
    const depth = entry.node.kind === "manifest" ? entry.depth + 1 : entry.depth
    const tooDeep = (nodes: ReadonlyArray<WriteNode>) =>
      nodes.find(({ kind }) => kind === "manifest" && depth > maxDepth)
    const deep = tooDeep(needs)
    if (deep !== undefined) return refused(entry, deep, `nested deeper than ${maxDepth} levels`)
    if (all.size + needs.length + follows.length > maxNodes) {
      return refused(entry, entry.node, `leads to more than ${maxNodes} pieces of content`)
    }
    const needed = needs.map((node) => enter(node, entry.target, depth))
    // Digests cannot form a cycle, but nodes that others make may, and would wait for each other forever.
    if (needed.some((need) => !need.follows.includes(entry) && Entry.leadsTo(need, entry))) {
      return refused(entry, entry.node, "needs itself")
    }
    entry.needs = needed
    for (const need of needed) need.dependents++
    for (const node of follows) {
      const deep = tooDeep([node])
      if (deep !== undefined) return refused(entry, deep, `nested deeper than ${maxDepth} levels`)
      const follower = enter(node, entry.target, depth)
      // What a registry calls a referrer of its own referrer is none.
      if (!Entry.leadsTo(follower, entry)) entry.follows = [...entry.follows, follower]
    }
    return Result.void
  }

  /** All entries of the same node. */
  const alike = (entry: Entry.Entry): ReadonlyArray<Entry.Entry> => sharing.get(entry.node)!

  const mountFrom = (entry: Entry.Entry): ReadonlyArray<Repository.Repository> => {
    const found: Array<Repository.Repository> = []
    for (const { target, written } of siblings(entry.node, entry.target) ?? []) {
      if (written !== undefined) found.push(...Option.toArray(target.repository))
      if (found.length >= mostMounts) break
    }
    return Entry.mountable(entry.target, [...found, ...entry.node.mountFrom])
  }

  /** Other targets for the same node; one that waits for an elder does not read. */
  const othersOf = (entry: Entry.Entry): Others | undefined =>
    hasOneTarget ? undefined : {
      held,
      arrive: () => {
        entry.hasArrived = true
      },
      areExpected: () =>
        alike(entry).some((other) =>
          other !== entry && other.elder === undefined && !other.hasArrived && !other.isSettled
        )
    }

  /** Lets go of what was read for those that are settled, and for those that needed it. */
  const settle = (entry: Entry.Entry): void => {
    entry.isSettled = true
    if (alike(entry).every(({ isSettled }) => isSettled)) entry.node.release?.()
    for (const need of entry.needs) {
      if (--need.dependents === 0 && need.depth > 0 && need.written !== undefined) {
        need.written = { ...need.written, bytes: Option.none() }
      }
    }
  }

  return { all, enterRoot, add, alike, mountFrom, othersOf, settle }
}
