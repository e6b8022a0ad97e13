/**
 * Walks a graph of writes, discovering it as it goes. One fiber a node; a node holds a slot of the budget only while it
 * works.
 */
import type * as Repository from "@effect-oci/name/Repository"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Budget from "../Budget.ts"
import { ContentError, Incomplete, Invalid } from "../ContentError.ts"
import * as CopyError from "../CopyError.ts"
import type { Target } from "../Store.ts"
import * as Transfer from "../Transfer.ts"
import type * as WriteGraph from "../WriteGraph.ts"
import { type Discovered, originOf, type Others, type WriteNode, type Written } from "../WriteNode.ts"
import * as Flights from "./flights.ts"

export interface Entry {
  readonly item: Transfer.Item
  readonly node: WriteNode
  readonly target: Target
  readonly depth: number
  needs: ReadonlyArray<Entry>
  follows: ReadonlyArray<Entry>
  /** The same blob on its way to another repository of the registry, from which it can be mounted then. */
  readonly elder: Entry | undefined
  isPresent: boolean
  isDiscovered: boolean
  /** Whether it is there, or never will be. */
  isSettled: boolean
  /** Whether it reads what others read, too. */
  hasArrived: boolean
  written: Written | undefined
  /** Ends when the node itself is there. */
  readonly there: Deferred.Deferred<void, CopyError.CopyError>
  /** Ends when what follows the node is there, too. */
  readonly done: Deferred.Deferred<void, CopyError.CopyError>
}

interface Options extends WriteGraph.Options {
  readonly mode: "plan" | "write"
  readonly known?: ReadonlyMap<string, boolean> | undefined
}

export const sizeOf = (node: WriteNode): Option.Option<number> =>
  node.kind === "tag" || node.kind === "referrer"
    ? Option.none()
    : Option.map(node.descriptor, (descriptor) => descriptor.size)

const refused = (entry: Entry, subject: WriteNode, detail: string) =>
  CopyError.at("source", subject.id)(
    new ContentError({ operation: "read", location: entry.target.location, reason: new Invalid({ detail }) })
  )

/** Repositories of the target's own registry, other than itself: what it may be asked to mount from. */
export const mountable = (
  target: Target,
  from: ReadonlyArray<Repository.Repository>
): ReadonlyArray<Repository.Repository> =>
  Option.match(target.repository, {
    onNone: () => [],
    onSome: (own) => from.filter(({ path, registry }) => registry.name === own.registry.name && path !== own.path)
  })

/** Enough to choose from: a base layer may be in as many repositories as a registry has, and each of them would look at all. */
const mostMounts = 8

/** Whether `to` is among what `from` leads to, directly or not. */
const leadsTo = (from: Entry, to: Entry): boolean => {
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

const awaitAll = (
  entries: ReadonlyArray<Entry>,
  of: (entry: Entry) => Deferred.Deferred<void, CopyError.CopyError>
) => Effect.forEach(entries, (entry) => Deferred.await(of(entry)), { concurrency: "unbounded", discard: true })

export interface Walked {
  readonly entries: ReadonlyMap<string, Entry>
  /** In the order of the roots. */
  readonly roots: ReadonlyArray<Entry>
}

export const walk = Effect.fnUntraced(function*(
  roots: ReadonlyArray<WriteGraph.Root>,
  options: Options
): Effect.fn.Return<Walked, CopyError.CopyError> {
  const maxDepth = options.maxDepth ?? 8
  const maxNodes = options.maxNodes ?? 100_000
  const tell = Transfer.teller(options.onEvent)
  const budget = options.budget ?? Budget.make(options)
  const targets = namer<Target>()
  const nodes = namer<WriteNode>()
  const entries = new Map<string, Entry>()
  const rooted: Array<Entry> = []
  const elders = new Map<string, Array<Entry>>()
  const sharing = new Map<WriteNode, Array<Entry>>()
  const held = { bytes: 0 }
  const hasOneTarget = roots.every(({ target }) => target === roots[0]!.target)
  let undiscovered = 0

  const body = Effect.gen(function*() {
    const fibers = yield* FiberSet.make<void, CopyError.CopyError>()
    const fork = yield* FiberSet.runtime(fibers)<never>()

    /** The entries of the same blob for the target's registry, oldest first. */
    const siblings = (node: WriteNode, target: Target): Array<Entry> | undefined => {
      if (node.kind !== "blob" || Option.isNone(node.descriptor) || Option.isNone(target.repository)) return undefined
      const key = `${target.repository.value.registry.name} ${node.id}`
      const known = elders.get(key) ?? []
      elders.set(key, known)
      return known
    }

    /** Entries that were made and not set off yet: first it is noted who waits for whom. */
    let fresh: Array<Entry> = []
    const start = (): void => {
      const all = fresh
      fresh = []
      for (const entry of all) fork(visit(entry).pipe(Effect.onExit((exit) => settle(entry, exit))))
    }

    const enter = (node: WriteNode, target: Target, depth: number): Entry => {
      const { kind, label } = node
      // A repository is one target however many stores were made of it; other stores are themselves.
      const location = Option.match(target.repository, {
        onNone: () => targets(target, target.location),
        onSome: ({ name }) => name
      })
      // So is content whose digest is known, and other content is itself.
      const id = Option.isNone(node.descriptor) && kind !== "tag" ? nodes(node, node.id) : node.id
      const key = `${location} ${kind} ${id}`
      const existing = entries.get(key)
      if (existing !== undefined) return existing
      const others = siblings(node, target)
      const entry: Entry = {
        item: { key, id, kind, label, size: sizeOf(node), location },
        node,
        target,
        depth,
        needs: [],
        follows: [],
        elder: others?.[0],
        isPresent: false,
        isDiscovered: false,
        isSettled: false,
        hasArrived: false,
        written: undefined,
        there: Deferred.makeUnsafe(),
        done: Deferred.makeUnsafe()
      }
      others?.push(entry)
      entries.set(key, entry)
      sharing.set(node, [...(sharing.get(node) ?? []), entry])
      undiscovered++
      tell({ _tag: "Found", item: entry.item })
      fresh.push(entry)
      return entry
    }

    const settle = (entry: Entry, exit: Exit.Exit<void, CopyError.CopyError>) => {
      discovered(entry)
      entry.isSettled = true
      return Effect.andThen(
        Deferred.done(entry.there, exit),
        Deferred.done(entry.done, exit)
      )
    }

    const discovered = (entry: Entry): void => {
      if (entry.isDiscovered) return
      entry.isDiscovered = true
      if (--undiscovered === 0) tell({ _tag: "Planned" })
    }

    /** A slot at the target, and at the source where the node reads from there. */
    const within = (entry: Entry, does: "writes" | "reads" | "asks") =>
      budget.within(
        [
          originOf(entry.target),
          ...(does === "asks" ? [] : Option.toArray(Option.map(entry.node.source, originOf)))
        ],
        {
          group: entry.node.kind === "blob" ? entry.node : undefined,
          isBulk: does === "writes" && entry.node.kind === "blob" && Budget.isBulk(entry.item.size),
          told: ({ detail, duration, isRateLimited, origin }) =>
            tell({
              _tag: "Waiting",
              item: entry.item,
              origin,
              millis: Duration.toMillis(duration),
              isRateLimited,
              detail
            })
        }
      )

    const isPresent = (entry: Entry) => {
      const known = options.known?.get(entry.item.key)
      return known === undefined
        ? within(entry, "asks")(entry.node.isPresent(entry.target))
        : Effect.succeed(known)
    }

    /** Whether it is there; what is read ahead is let go of where it is, and where it is not waited for. */
    const look = (entry: Entry): Effect.Effect<void, CopyError.CopyError> => {
      const { ahead } = entry.node
      const asked = Effect.map(isPresent(entry), (is) => void (entry.isPresent = is))
      if (ahead === undefined || options.known?.has(entry.item.key) === true) return asked
      return Effect.flatMap(Effect.forkChild(within(entry, "reads")(ahead)), (reading) =>
        asked.pipe(
          Effect.andThen(Effect.suspend(() => entry.isPresent ? Effect.void : Effect.asVoid(Fiber.join(reading)))),
          Effect.onExit(() => Fiber.interrupt(reading))
        ))
    }

    const add = (entry: Entry, { follows = [], needs }: Discovered): Effect.Effect<void, CopyError.CopyError> => {
      const depth = entry.node.kind === "manifest" ? entry.depth + 1 : entry.depth
      const tooDeep = needs.find((node) => node.kind === "manifest")
      if (tooDeep !== undefined && depth > maxDepth) {
        return Effect.fail(refused(entry, tooDeep, `nested deeper than ${maxDepth} levels`))
      }
      if (entries.size + needs.length + follows.length > maxNodes) {
        return Effect.fail(refused(entry, entry.node, `leads to more than ${maxNodes} pieces of content`))
      }
      const needed = needs.map((node) => enter(node, entry.target, depth))
      // Digests cannot form a cycle, but nodes that others make may, and would wait for each other forever.
      if (needed.some((need) => !need.follows.includes(entry) && leadsTo(need, entry))) {
        return Effect.fail(refused(entry, entry.node, "needs itself"))
      }
      entry.needs = needed
      for (const node of follows) {
        if (node.kind === "manifest" && depth > maxDepth) {
          return Effect.fail(refused(entry, node, `nested deeper than ${maxDepth} levels`))
        }
        const follower = enter(node, entry.target, depth)
        // What a registry calls a referrer of its own referrer is none.
        if (!leadsTo(follower, entry)) entry.follows = [...entry.follows, follower]
      }
      start()
      return Effect.void
    }

    const discover = Effect.fnUntraced(function*(entry: Entry): Effect.fn.Return<void, CopyError.CopyError> {
      const discovery = entry.node.discover(entry.target, entry.isPresent)
      if (discovery !== undefined) {
        // What was planned has been read.
        const isFree = Option.isNone(entry.node.source) || options.known?.has(entry.item.key) === true
        yield* add(entry, yield* isFree ? discovery : within(entry, "reads")(discovery))
      }
      discovered(entry)
    })

    /** What a node waits for of the others: a follower for its manifest alone, which in turn waits for it. */
    const awaited = (entry: Entry) =>
      awaitAll(entry.needs, (need) => need.follows.includes(entry) ? need.there : need.done)

    const finish = (entry: Entry, written: Written): Effect.Effect<void> => {
      entry.written = written
      entry.isSettled = true
      tell({ _tag: "Done", item: entry.item, outcome: written.outcome, size: written.descriptor.size })
      return Effect.asVoid(Deferred.succeed(entry.there, undefined))
    }

    const visit = Effect.fnUntraced(function*(entry: Entry): Effect.fn.Return<void, CopyError.CopyError> {
      const { node } = entry
      yield* look(entry)
      yield* discover(entry)
      if (entry.isPresent && Option.isSome(node.descriptor)) {
        yield* finish(entry, { outcome: "present", descriptor: node.descriptor.value, bytes: Option.none() })
      }
      yield* awaited(entry)
      if (options.mode === "plan") {
        yield* Deferred.succeed(entry.there, undefined)
      } else if (entry.written === undefined) {
        yield* elder(entry)
        yield* complete(entry)
      }
      yield* awaitAll(entry.follows, (follower) => follower.done)
    }, (effect, entry) => Effect.tapError(effect, (error) => Effect.sync(() => failed(entry, error))))

    /** Told once, by the node that has failed and not by those that needed it. */
    const told = new Set<CopyError.CopyError>()
    const failed = (entry: Entry, error: CopyError.CopyError): void => {
      if (told.has(error)) return
      told.add(error)
      tell({ _tag: "Failed", item: entry.item, detail: error.message })
    }

    /** Waits for whoever sends the same blob to the same registry: what is there can be mounted. */
    const elder = (entry: Entry): Effect.Effect<void> =>
      entry.elder === undefined ? Effect.void : Effect.ignore(Deferred.await(entry.elder.there))

    const mountFrom = (entry: Entry): ReadonlyArray<Repository.Repository> => {
      const found: Array<Repository.Repository> = []
      for (const { target, written } of siblings(entry.node, entry.target) ?? []) {
        if (written !== undefined) found.push(...Option.toArray(target.repository))
        if (found.length >= mostMounts) break
      }
      return mountable(entry.target, [...found, ...entry.node.mountFrom])
    }

    /** Other targets for the same node; one that waits for an elder does not read. */
    const othersOf = (entry: Entry): Others | undefined =>
      hasOneTarget ? undefined : {
        held,
        arrive: () => {
          entry.hasArrived = true
        },
        areExpected: () =>
          sharing.get(entry.node)!.some((other) =>
            other !== entry && other.elder === undefined && !other.hasArrived && !other.isSettled
          )
      }

    const write = (entry: Entry) =>
      Effect.suspend(() => {
        tell({ _tag: "Started", item: entry.item })
        return entry.node.write({
          target: entry.target,
          // Every need is done, so each has its result.
          needs: entry.needs.map((need) => need.written!),
          mountFrom: mountFrom(entry),
          others: othersOf(entry),
          progress: (bytes) => tell({ _tag: "Bytes", item: entry.item, bytes })
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

    const complete = (entry: Entry): Effect.Effect<void, CopyError.CopyError> => {
      let attempts = 0
      return Effect.suspend(() => attempts++ === 0 ? Effect.void : repair(entry, attempts)).pipe(
        Effect.andThen(alone(entry)),
        Effect.tap((written) => confirm(entry, written)),
        Effect.retry(Schedule.tap(settling, ({ duration, input }) =>
          Effect.sync(() =>
            tell({
              _tag: "Waiting",
              item: entry.item,
              origin: originOf(entry.target),
              millis: Duration.toMillis(duration),
              isRateLimited: false,
              detail: input.message
            })
          ))),
        Effect.flatMap((written) => finish(entry, written))
      )
    }

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
          tell({ _tag: "Retrying", item: need.item })
          if (need.isPresent) {
            need.isPresent = false
            yield* discover(need)
            yield* awaited(need)
          }
          yield* complete(need)
        }),
        { concurrency: "unbounded", discard: true }
      )

    /** Asks the target for what it says to have, once a manifest names it. */
    const confirm = (entry: Entry, { descriptor }: Written): Effect.Effect<void, CopyError.CopyError> => {
      if (options.verify !== true || entry.node.kind !== "manifest") return Effect.void
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

    const lacking = (entry: Entry, digest: string) =>
      CopyError.at("target", digest)(
        new ContentError({
          operation: "write",
          location: entry.target.location,
          reason: new Incomplete({ detail: `${digest} is not there, though ${entry.item.id} names it` })
        })
      )

    // So many roots at a time: of a million of them, few are ever half done.
    const concurrency = options.mode === "plan" ? "unbounded" : 256
    const wanted = roots.map(({ node, target }, at) =>
      Effect.suspend(() => {
        const entry = enter(node, target, 0)
        rooted[at] = entry
        start()
        return Deferred.await(entry.done)
      })
    )
    if (options.onFailure !== "finish") return yield* Effect.all(wanted, { concurrency, discard: true })
    const exits = yield* Effect.forEach(wanted, Effect.exit, { concurrency })
    yield* FiberSet.awaitEmpty(fibers)
    yield* Exit.asVoidAll(exits.filter(Exit.isFailure).slice(0, 1))
  })

  yield* Effect.mapError(Effect.scoped(body), (error) => {
    const written = [...entries.values()].filter((entry) => entry.written !== undefined).length
    return new CopyError.CopyError({ ...error, written })
  })
  return { entries, roots: rooted }
})
