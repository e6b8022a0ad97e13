/**
 * Walks a graph of writes, discovering it as it goes. One fiber for each entry that is begun; it holds a slot of the budget
 * only while it works.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Budget from "../Budget.ts"
import * as CopyError from "../CopyError.ts"
import * as Transfer from "../Transfer.ts"
import type * as WriteGraph from "../WriteGraph.ts"
import { originOf, type Written } from "../WriteNode.ts"
import * as Completion from "./completion.ts"
import * as Entries from "./entries.ts"
import * as Entry from "./entry.ts"
import * as Gate from "./gate.ts"

interface Options extends WriteGraph.Options {
  readonly mode: "plan" | "write"
  readonly known?: ReadonlyMap<string, boolean> | undefined
}

export interface Walked {
  readonly entries: ReadonlyMap<string, Entry.Entry>
  /** In the order of the roots. */
  readonly roots: ReadonlyArray<Entry.Entry>
}

export const walk = Effect.fnUntraced(function*(
  roots: ReadonlyArray<WriteGraph.Root>,
  options: Options
): Effect.fn.Return<Walked, CopyError.CopyError> {
  const tell = Transfer.teller(options.onEvent)
  const budget = options.budget ?? Budget.make(options)
  const rooted: Array<Entry.Entry> = []
  let undiscovered = 0
  /** Entries that were made and not set off yet: first it is noted who waits for whom. */
  let fresh: Array<Entry.Entry> = []

  const found = (entry: Entry.Entry): void => {
    undiscovered++
    tell({ _tag: "Found", item: entry.item })
    fresh.push(entry)
  }

  const discovered = (entry: Entry.Entry): void => {
    if (entry.isDiscovered) return
    entry.isDiscovered = true
    if (--undiscovered === 0) tell({ _tag: "Planned" })
  }

  const entries = Entries.make({
    maxDepth: options.maxDepth ?? 8,
    maxNodes: options.maxNodes ?? 100_000,
    hasOneTarget: roots.every(({ target }) => target === roots[0]!.target),
    found
  })

  /** A slot at the target, unless the node only fetches, and at the source where it reads from there. */
  const within = (entry: Entry.Entry, does: "writes" | "reads" | "asks" | "fetches") =>
    budget.within(
      [
        ...(does === "fetches" ? [] : [originOf(entry.target)]),
        ...(does === "asks" ? [] : Option.toArray(Option.map(entry.node.source, originOf)))
      ],
      {
        group: entry.node.kind === "blob" ? entry.node : undefined,
        turn: entry.turn,
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

  const finish = (entry: Entry.Entry, written: Written): Effect.Effect<void> => {
    entry.written = written
    entry.isSettled = true
    tell({ _tag: "Done", item: entry.item, outcome: written.outcome, size: written.descriptor.size })
    return Effect.asVoid(Deferred.succeed(entry.there, undefined))
  }

  const body = Effect.gen(function*() {
    const fibers = yield* FiberSet.make<void, CopyError.CopyError>()
    const fork = yield* FiberSet.runtime(fibers)<never>()
    const gate = Gate.make(
      2 * budget.concurrency,
      (entry) => void fork(visit(entry).pipe(Effect.onExit((exit) => settle(entry, exit)))),
      entries.alike
    )

    const settle = (entry: Entry.Entry, exit: Exit.Exit<void, CopyError.CopyError>) =>
      Effect.suspend(() => {
        entries.settle(entry)
        return Effect.andThen(Deferred.done(entry.there, exit), Deferred.done(entry.done, exit))
      }).pipe(Effect.andThen(Effect.sync(() => {
        gate.leave(entry)
        // A listener that throws is heard of by nobody here: by now nobody waits for this entry.
        discovered(entry)
      })))

    const start = (): void => {
      const all = fresh
      fresh = []
      for (const entry of all) if (Gate.isLeaf(entry)) discovered(entry)
      gate.enter(all)
    }

    /** A dry run reads no blobs, and what can be mounted is not read. */
    const isToBeRead = ({ elder, node, target }: Entry.Entry): boolean =>
      options.mode === "write" && elder === undefined && Entry.mountable(target, node.mountFrom).length === 0

    /** Whether it is there; what is read ahead is let go of where it is, and where it is not waited for. */
    const look = (entry: Entry.Entry): Effect.Effect<void, CopyError.CopyError> => {
      const { ahead, isPresent } = entry.node
      const known = options.known?.get(entry.item.key)
      if (known !== undefined) {
        entry.isPresent = known
        return Effect.void
      }
      const asked = Effect.map(isPresent(entry.target), (is) => void (entry.isPresent = is))
      if (ahead === undefined || entry.node.kind === "blob" && !isToBeRead(entry)) return within(entry, "asks")(asked)
      if (entry.node.kind !== "blob") {
        return Effect.flatMap(
          Effect.forkChild(ahead),
          (reading) =>
            Effect.flatMap(asked, () => entry.isPresent ? Fiber.interrupt(reading) : Effect.asVoid(Fiber.join(reading)))
        ).pipe(within(entry, "reads"))
      }
      // What a blob has to wait for at the target, it does not have to wait for with its bytes: each takes its own slot. Bytes that
      // were not to be had are not asked for again.
      return Effect.flatMap(
        Effect.forkChild(within(entry, "fetches")(ahead)),
        (reading) =>
          Effect.flatMap(
            within(entry, "asks")(asked),
            () => entry.isPresent ? Fiber.interrupt(reading) : Effect.asVoid(reading.pollUnsafe() ?? Effect.void)
          )
      )
    }

    const discover = Effect.fnUntraced(function*(entry: Entry.Entry): Effect.fn.Return<void, CopyError.CopyError> {
      const discovery = entry.node.discover(entry.target, entry.isPresent)
      if (discovery !== undefined) {
        // What was planned has been read.
        const isFree = Option.isNone(entry.node.source) || options.known?.has(entry.item.key) === true
        yield* Effect.fromResult(entries.add(entry, yield* isFree ? discovery : within(entry, "reads")(discovery)))
        // What waits inside a gate waits for nobody outside of the same.
        if (Gate.isLeaf(entry)) gate.leave(entry)
        start()
        for (const other of [...entry.needs, ...entry.follows]) {
          if (!Gate.isLeaf(other) && other.depth <= entry.depth) gate.hurry(other)
        }
      }
      discovered(entry)
    })

    const visit = Effect.fnUntraced(function*(entry: Entry.Entry): Effect.fn.Return<void, CopyError.CopyError> {
      const { node } = entry
      yield* look(entry)
      yield* discover(entry)
      if (entry.isPresent && Option.isSome(node.descriptor)) {
        yield* finish(entry, { outcome: "present", descriptor: node.descriptor.value, bytes: Option.none() })
      }
      yield* Entry.awaitNeeds(entry)
      if (options.mode === "plan") {
        yield* Deferred.succeed(entry.there, undefined)
      } else if (entry.written === undefined) {
        yield* elder(entry)
        yield* complete(entry)
      }
      yield* Entry.awaitFollowers(entry)
    }, (effect, entry) => Effect.tapError(effect, (error) => Effect.sync(() => failed(entry, error))))

    /** Waits for whoever sends the same blob to the same registry: what is there can be mounted. */
    const elder = (entry: Entry.Entry): Effect.Effect<void> =>
      entry.elder === undefined ? Effect.void : Effect.ignore(Deferred.await(entry.elder.there))

    /** Told once, by the node that has failed and not by those that needed it. */
    const told = new Set<CopyError.CopyError>()
    const failed = (entry: Entry.Entry, error: CopyError.CopyError): void => {
      if (told.has(error)) return
      told.add(error)
      tell({ _tag: "Failed", item: entry.item, detail: error.message })
    }

    const complete = Completion.make({
      entries,
      tell,
      within,
      renew: (entry) => Effect.andThen(discover(entry), Effect.suspend(() => Entry.awaitNeeds(entry))),
      finish,
      verify: options.verify === true
    })

    // So many roots at a time: of a million of them, few are ever half done.
    const concurrency = options.mode === "plan" ? "unbounded" : 256
    const wanted = roots.map(({ node, target }, at) =>
      Effect.flatMap(Effect.suspend(() => Effect.fromResult(entries.enterRoot(node, target))), (entry) => {
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
    const written = [...entries.all.values()].filter((entry) => entry.written !== undefined).length
    return new CopyError.CopyError({ ...error, written })
  })
  return { entries: entries.all, roots: rooted }
})
