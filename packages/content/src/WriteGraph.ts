/**
 * Write order as data: what has to be written, what must be there first, planned before it is run.
 *
 * **Details**
 *
 * A registry refuses a manifest before its blobs, and a reader must never see a tag before its manifest. So writes form
 * a graph: nodes are `WriteNode`s, an edge goes from what is needed to what needs it. `plan` discovers the graph and
 * writes nothing; `run` discovers and writes at once, so the first blob flows before the last manifest is read.
 * One node is written once, however many need it.
 *
 * @since 1.0.0
 */
import type * as Descriptor from "@effect-oci/spec/Descriptor"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Graph from "effect/Graph"
import type * as Stream from "effect/Stream"
import type * as Budget from "./Budget.ts"
import type { CopyError } from "./CopyError.ts"
import * as Draw from "./internal/draw.ts"
import * as Entry from "./internal/entry.ts"
import * as Simulate from "./internal/simulate.ts"
import * as Walk from "./internal/walk.ts"
import type { Target } from "./Store.ts"
import * as Transfer from "./Transfer.ts"
import type { WriteNode } from "./WriteNode.ts"

/**
 * What is to be written, and where to.
 *
 * @category models
 * @since 1.0.0
 */
export interface Root {
  readonly target: Target
  readonly node: WriteNode
}

/**
 * Roots for one target.
 *
 * @category constructors
 * @since 1.0.0
 */
export const to = (target: Target, nodes: ReadonlyArray<WriteNode>): ReadonlyArray<Root> =>
  nodes.map((node) => ({ target, node }))

/**
 * What a run will do about a node. Where a registry cannot mount a blob after all, it is sent.
 *
 * - `skip`: the target has it. What it leads to is mostly not looked at
 * - `mount`: another repository of the registry has it, or will have it by then
 *
 * @category models
 * @since 1.0.0
 */
export type Step = "skip" | "mount" | "send" | "tag" | "refer"

/**
 * A node of a plan, as plain data.
 *
 * @category models
 * @since 1.0.0
 */
export interface Planned extends Transfer.Item {
  readonly step: Step
}

/**
 * Why one node comes before another: it is needed, it is what the other is mounted from, or the other follows it, as
 * referrers do.
 *
 * @category models
 * @since 1.0.0
 */
export type Edge = "needs" | "mount" | "follows"

/**
 * What is to be written, and in which order.
 *
 * @category models
 * @since 1.0.0
 */
export interface Plan {
  readonly roots: ReadonlyArray<Root>
  /**
   * Edges go from what must be there first to what comes after it.
   */
  readonly graph: Graph.DirectedGraph<Planned, Edge>
}

/**
 * A plan, or its roots alone: then the graph is discovered while it is written.
 *
 * @category models
 * @since 1.0.0
 */
export type Runnable = Plan | ReadonlyArray<Root>

/**
 * Something that happened while a graph was written.
 *
 * @category models
 * @since 1.0.0
 */
export type Event = Transfer.Event

/**
 * What a run has done.
 *
 * @category models
 * @since 1.0.0
 */
export interface Report {
  /**
   * Nodes the target had. What they lead to is not counted.
   */
  readonly present: number
  readonly mounted: number
  readonly sent: number
  /**
   * The bytes of what was sent.
   */
  readonly bytes: number
  /**
   * What the roots are now, in their order: of a tag its manifest, of what was streamed or read what it turned out to be.
   */
  readonly roots: ReadonlyArray<Descriptor.Descriptor>
}

/**
 * Options for `plan` and `run`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * How many requests and transfers go on at once, for the graph as a whole. A node that waits for others takes none, nor
   * does one that waits before it tries again.
   *
   * @default 128
   */
  readonly concurrency?: number | undefined
  /**
   * How many of them may be blobs of more than 1 MiB, or of a size that nobody knows.
   *
   * @default 16
   */
  readonly transfers?: number | undefined
  /**
   * How many of them at one registry or other place, as long as it bears it: half as many after each time that it says it
   * is too much, and one more after each success.
   *
   * @default as many as in all
   */
  readonly perOrigin?: number | undefined
  /**
   * A budget that is shared with other runs, in place of the three above.
   */
  readonly budget?: Budget.Budget | undefined
  /**
   * What happens to independent writes when one fails. What depends on it is never written.
   *
   * @default "stop"
   */
  readonly onFailure?: "stop" | "finish" | undefined
  /**
   * Asks a target, after each manifest that was written, for the manifest and all it names, by digest and size, and fails
   * where one is missing after all.
   *
   * @default false
   */
  readonly verify?: boolean | undefined
  /**
   * Is told of what happens, as it happens. It has to return at once: `events` is the same as a stream.
   */
  readonly onEvent?: ((event: Event) => void) | undefined
  /**
   * How deep indexes may be nested before they are refused.
   *
   * @default 8
   */
  readonly maxDepth?: number | undefined
  /**
   * How many nodes a graph may have before it is refused.
   *
   * @default 100000
   */
  readonly maxNodes?: number | undefined
}

/**
 * Discovers what has to be written, and writes nothing.
 *
 * @category planning
 * @since 1.0.0
 */
export const plan = Effect.fn("WriteGraph.plan")(function*(
  roots: ReadonlyArray<Root>,
  options?: Options | undefined
): Effect.fn.Return<Plan, CopyError> {
  const { entries } = yield* Walk.walk(roots, { ...options, mode: "plan" })
  return { roots, graph: toGraph(entries) }
})

/**
 * Writes what a plan, or a list of roots, leads to.
 *
 * **Details**
 *
 * What a plan found present is not asked for again. Interrupting a run interrupts every write in it.
 *
 * @category running
 * @since 1.0.0
 */
export const run = Effect.fn("WriteGraph.run")(function*(
  runnable: Runnable,
  options?: Options | undefined
): Effect.fn.Return<Report, CopyError> {
  return report(yield* Walk.walk(rootsOf(runnable), { ...options, mode: "write", known: presence(runnable) }))
})

/**
 * Writes as `run` does, and tells of it event by event.
 *
 * **Details**
 *
 * The writes go on at their own speed, however slowly the stream is read; they are interrupted when it is closed. What a
 * slow reader has not seen yet is added up.
 *
 * @category running
 * @since 1.0.0
 */
export const events = (
  runnable: Runnable,
  options?: Options | undefined
): Stream.Stream<Event, CopyError> =>
  Transfer.events((listen) =>
    run(runnable, {
      ...options,
      onEvent: (event) => {
        options?.onEvent?.(event)
        listen(event)
      }
    })
  )

const isPlan = (runnable: Runnable): runnable is Plan => "graph" in runnable

const rootsOf = (runnable: Runnable): ReadonlyArray<Root> => isPlan(runnable) ? runnable.roots : runnable

const presence = (runnable: Runnable): ReadonlyMap<string, boolean> =>
  new Map(
    isPlan(runnable)
      ? Array.from(Graph.nodes(runnable.graph), ([, node]) => [node.key, node.step === "skip"])
      : []
  )

const stepOf = ({ elder, isPresent, node, target }: Entry.Entry): Step => {
  if (isPresent) return "skip"
  if (node.kind === "tag") return "tag"
  if (node.kind === "referrer") return "refer"
  return elder !== undefined || Entry.mountable(target, node.mountFrom).length > 0 ? "mount" : "send"
}

const toGraph = (entries: ReadonlyMap<string, Entry.Entry>): Plan["graph"] =>
  Graph.directed((graph) => {
    const indices = new Map<Entry.Entry, Graph.NodeIndex>()
    for (const entry of entries.values()) {
      indices.set(entry, Graph.addNode(graph, { ...entry.item, step: stepOf(entry) }))
    }
    const link = (from: Entry.Entry, to: Entry.Entry, edge: Edge) =>
      Graph.addEdge(graph, indices.get(from)!, indices.get(to)!, edge)
    for (const entry of entries.values()) {
      for (const need of entry.needs) if (!need.follows.includes(entry)) link(need, entry, "needs")
      for (const follower of entry.follows) link(entry, follower, "follows")
      if (entry.elder !== undefined && !entry.isPresent) link(entry.elder, entry, "mount")
    }
  })

const report = ({ entries, roots }: Walk.Walked): Report => {
  const counts = { present: 0, mounted: 0, sent: 0 }
  let bytes = 0
  for (const { written } of entries.values()) {
    if (written === undefined) continue
    counts[written.outcome]++
    if (written.outcome === "sent") bytes += written.descriptor.size
  }
  // A run that succeeds has written all its roots.
  return { ...counts, bytes, roots: roots.map(({ written }) => written!.descriptor) }
}

/**
 * Options for `simulate`.
 *
 * @category options
 * @since 1.0.0
 */
export interface SimulateOptions {
  /**
   * How long a round trip takes.
   */
  readonly latency: Duration.Input
  /**
   * How much the link takes, in bytes a second, for all that goes on at once.
   */
  readonly bandwidth: number
  /**
   * @default 128
   */
  readonly concurrency?: number | undefined
  /**
   * @default 16
   */
  readonly transfers?: number | undefined
  /**
   * What is assumed of streams, whose size is known only once they were sent, in bytes.
   *
   * @default 0
   */
  readonly unknownSize?: number | undefined
}

/**
 * A node of a simulated run.
 *
 * @category models
 * @since 1.0.0
 */
export interface Simulated {
  readonly node: Planned
  /**
   * In milliseconds from the start.
   */
  readonly start: number
  readonly end: number
}

/**
 * A run that was imagined.
 *
 * @category models
 * @since 1.0.0
 */
export interface Simulation {
  readonly duration: Duration.Duration
  /**
   * To the targets: two for each blob that is sent, one for all else.
   */
  readonly requests: number
  readonly bytes: number
  /**
   * In the order in which they end.
   */
  readonly order: ReadonlyArray<Simulated>
}

/**
 * How a plan would run over a link that is imagined, without asking anybody.
 *
 * **Details**
 *
 * What is sent at once shares the link equally; a blob takes two round trips besides its bytes, all else one. What a plan
 * found present takes nothing. The same plan gives the same run.
 *
 * @category simulating
 * @since 1.0.0
 */
export const simulate = (plan: Plan, options: SimulateOptions): Simulation => Simulate.simulate(plan, options)

/**
 * What a plan comes to, in numbers.
 *
 * @category models
 * @since 1.0.0
 */
export interface Summary {
  readonly blobs: number
  readonly manifests: number
  /**
   * The bytes of what is sent, as far as they are known.
   */
  readonly bytes: number
  /**
   * How many of what is sent are of a size that is known only once they were.
   */
  readonly unknown: number
  readonly mount: number
  readonly skip: number
  readonly tag: number
  readonly refer: number
}

/**
 * What a plan comes to.
 *
 * @category summaries
 * @since 1.0.0
 */
export const summary = (plan: Plan): Summary => Draw.summary(plan)

/**
 * A summary in words: `would send 3 blobs and 1 manifest, 41 MB; mount 12; skip 90; tag 1`.
 *
 * @category summaries
 * @since 1.0.0
 */
export const formatSummary = (summary: Summary): string => Draw.sentence(summary)

/**
 * Draws a plan as a Mermaid flow chart, what is written first at the top. Nodes that the target has are rounded.
 *
 * @category printing
 * @since 1.0.0
 */
export const toMermaid = (plan: Plan): string => Draw.mermaid(plan)

/**
 * Draws a plan in Graphviz' DOT language.
 *
 * @category printing
 * @since 1.0.0
 */
export const toDot = (plan: Plan): string => Draw.dot(plan)

/**
 * A plan as plain JSON: its nodes in their order, and its edges as pairs of their keys.
 *
 * @category printing
 * @since 1.0.0
 */
export const toJson = (plan: Plan): {
  readonly nodes: ReadonlyArray<JsonNode>
  readonly edges: ReadonlyArray<{ readonly from: string; readonly to: string; readonly why: Edge }>
} => Draw.json(plan)

/**
 * A node as plain JSON.
 *
 * @category models
 * @since 1.0.0
 */
export interface JsonNode extends Omit<Planned, "size"> {
  /**
   * In bytes, where it is known.
   */
  readonly size: number | null
}
