/**
 * Walks a graph of writes, discovering it as it goes. One fiber a node; a node holds a permit only while it works.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import { ContentError, Invalid } from "../ContentError.ts"
import * as CopyError from "../CopyError.ts"
import type { Target } from "../Store.ts"
import type * as WriteGraph from "../WriteGraph.ts"
import type { WriteNode, Written } from "../WriteNode.ts"

export interface Entry {
  readonly node: WriteNode
  readonly depth: number
  needs: ReadonlyArray<Entry>
  isPresent: boolean
  isDiscovered: boolean
  written: Written | undefined
  readonly done: Deferred.Deferred<void, CopyError.CopyError>
}

interface Options extends WriteGraph.Options {
  readonly mode: "plan" | "write"
  readonly known?: ReadonlyMap<string, boolean> | undefined
}

export const sizeOf = (node: WriteNode): Option.Option<number> =>
  node.kind === "tag" ? Option.none() : Option.map(node.descriptor, (descriptor) => descriptor.size)

const refused = (node: WriteNode, target: Target, detail: string) =>
  CopyError.at("source", node.id)(
    new ContentError({ operation: "read", location: target.location, reason: new Invalid({ detail }) })
  )

/**
 * For a target that does not see yet, or has lost, what it was sent. Registries whose storage is spread out are known for
 * it.
 */
const incomplete = Schedule.exponential("500 millis").pipe(
  Schedule.setInputType<CopyError.CopyError>(),
  Schedule.while(({ input }) => input.reason.reason._tag === "Incomplete"),
  Schedule.upTo({ times: 3 })
)

/** Whether `to` is among what `from` needs, directly or not. */
const leadsTo = (from: Entry, to: Entry): boolean => {
  const seen = new Set<Entry>()
  const stack = [from]
  for (let entry = stack.pop(); entry !== undefined; entry = stack.pop()) {
    if (entry === to) return true
    if (seen.has(entry)) continue
    seen.add(entry)
    stack.push(...entry.needs)
  }
  return false
}

export const walk = Effect.fnUntraced(function*(
  target: Target,
  roots: ReadonlyArray<WriteNode>,
  options: Options
): Effect.fn.Return<ReadonlyMap<string, Entry>, CopyError.CopyError> {
  const maxDepth = options.maxDepth ?? 8
  const maxNodes = options.maxNodes ?? 100_000
  const emit = options.onEvent ?? (() => {})
  const permits = yield* Semaphore.make(options.concurrency ?? 16)
  const entries = new Map<string, Entry>()

  const body = Effect.gen(function*() {
    const fibers = yield* FiberSet.make<void, CopyError.CopyError>()
    const fork = yield* FiberSet.runtime(fibers)<never>()

    const enter = (node: WriteNode, depth: number): Entry => {
      const existing = entries.get(node.id)
      if (existing !== undefined) return existing
      const entry: Entry = {
        node,
        depth,
        needs: [],
        isPresent: false,
        isDiscovered: false,
        written: undefined,
        done: Deferred.makeUnsafe()
      }
      entries.set(node.id, entry)
      emit({ _tag: "Found", id: node.id, kind: node.kind, label: node.label, size: sizeOf(node) })
      fork(Effect.onExit(visit(entry), (exit) => Deferred.done(entry.done, exit)))
      return entry
    }

    const needsOf = (entry: Entry, nodes: ReadonlyArray<WriteNode>) =>
      Effect.suspend(() => {
        const depth = entry.node.kind === "tag" ? entry.depth : entry.depth + 1
        const tooDeep = nodes.find((node) => node.kind === "manifest")
        if (tooDeep !== undefined && depth > maxDepth) {
          return Effect.fail(refused(tooDeep, target, `nested deeper than ${maxDepth} levels`))
        }
        if (entries.size + nodes.length > maxNodes) {
          return Effect.fail(refused(entry.node, target, `leads to more than ${maxNodes} pieces of content`))
        }
        const needs = nodes.map((node) => enter(node, depth))
        // Digests cannot form a cycle, but nodes that others make may, and would wait for each other forever.
        if (needs.some((need) => leadsTo(need, entry))) {
          return Effect.fail(refused(entry.node, target, "needs itself"))
        }
        entry.needs = [...entry.needs, ...needs]
        return Effect.void
      })

    const isPresent = (node: WriteNode) => {
      const known = options.known?.get(node.id)
      return known === undefined ? permits.withPermit(node.isPresent(target)) : Effect.succeed(known)
    }

    const finish = (entry: Entry, written: Written): void => {
      entry.written = written
      emit({ _tag: "Done", id: entry.node.id, outcome: written.outcome, size: written.descriptor.size })
    }

    const visit = Effect.fnUntraced(function*(entry: Entry): Effect.fn.Return<void, CopyError.CopyError> {
      const { node } = entry
      entry.isPresent = yield* isPresent(node)
      if (entry.isPresent && Option.isSome(node.descriptor)) {
        return finish(entry, { outcome: "present", descriptor: node.descriptor.value, bytes: Option.none() })
      }
      yield* discover(entry)
      if (options.mode === "plan") return
      yield* complete(entry)
    })

    const discover = Effect.fnUntraced(function*(entry: Entry): Effect.fn.Return<void, CopyError.CopyError> {
      yield* needsOf(entry, entry.node.needs)
      yield* needsOf(entry, yield* permits.withPermit(entry.node.discover))
      entry.isDiscovered = true
      yield* Effect.forEach(entry.needs, (need) => Deferred.await(need.done), {
        concurrency: "unbounded",
        discard: true
      })
    })

    const complete = (entry: Entry): Effect.Effect<void, CopyError.CopyError> => {
      const { node } = entry
      const write = Effect.suspend(() => {
        emit({ _tag: "Started", id: node.id })
        const progress = (bytes: number) => emit({ _tag: "Bytes", id: node.id, bytes })
        // Every need is done, so each has its result.
        return node.write({ target, needs: entry.needs.map((need) => need.written!), progress })
      })
      let attempts = 0
      return Effect.suspend(() => attempts++ === 0 ? Effect.void : repair(entry)).pipe(
        Effect.andThen(permits.withPermit(write)),
        Effect.retry(incomplete),
        Effect.map((written) => finish(entry, written))
      )
    }

    /** Writes again what a target lacks though it had taken it, or had said that it was there. */
    const repair = (entry: Entry): Effect.Effect<void, CopyError.CopyError> =>
      Effect.forEach(
        entry.needs.filter(({ node }) => Option.isSome(node.descriptor)),
        Effect.fnUntraced(function*(need) {
          if (yield* permits.withPermit(need.node.isPresent(target))) return
          if (!need.isDiscovered) yield* discover(need)
          yield* complete(need)
        }),
        { concurrency: "unbounded", discard: true }
      )

    const wanted = roots.map((node) => enter(node, 0))
    const exit = yield* Effect.exit(
      Effect.forEach(wanted, (entry) => Deferred.await(entry.done), { concurrency: "unbounded", discard: true })
    )
    if (Exit.isFailure(exit) && options.onFailure === "finish") yield* FiberSet.awaitEmpty(fibers)
    yield* exit
  })

  yield* Effect.mapError(Effect.scoped(body), (error) => {
    const written = [...entries.values()].filter((entry) => entry.written !== undefined).length
    return new CopyError.CopyError({ ...error, written })
  })
  return entries
})
