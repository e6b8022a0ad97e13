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
import * as Effect from "effect/Effect"
import * as Graph from "effect/Graph"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { CopyError } from "./CopyError.ts"
import * as Walk from "./internal/walk.ts"
import type { Outcome, Target } from "./Store.ts"
import type { Kind, WriteNode } from "./WriteNode.ts"

/**
 * A node of a plan, as plain data.
 *
 * @category models
 * @since 1.0.0
 */
export interface Planned {
  readonly id: string
  readonly kind: Kind
  readonly label: string
  /**
   * In bytes, where it is known.
   */
  readonly size: Option.Option<number>
  /**
   * Whether the target has it, so that nothing will be sent. What a present manifest leads to is not looked at.
   */
  readonly isPresent: boolean
}

/**
 * What is to be written, and in which order.
 *
 * @category models
 * @since 1.0.0
 */
export interface Plan {
  readonly target: Target
  readonly roots: ReadonlyArray<WriteNode>
  /**
   * Edges go from what must be there first to what needs it.
   */
  readonly graph: Graph.DirectedGraph<Planned, null>
}

/**
 * A plan, or its roots alone: then the graph is discovered while it is written.
 *
 * @category models
 * @since 1.0.0
 */
export interface Runnable {
  readonly target: Target
  readonly roots: ReadonlyArray<WriteNode>
  readonly graph?: Plan["graph"] | undefined
}

/**
 * Something that happened while a graph was written. Sizes are in bytes.
 *
 * - `Found`: a node was discovered
 * - `Started`: the target lacks it; it is being written
 * - `Bytes`: so many more of its bytes have left for the target; fewer than none where some are to be sent again
 * - `Done`: it is at the target
 *
 * @category models
 * @since 1.0.0
 */
export type Event =
  | {
    readonly _tag: "Found"
    readonly id: string
    readonly kind: Kind
    readonly label: string
    readonly size: Option.Option<number>
  }
  | { readonly _tag: "Started"; readonly id: string }
  | { readonly _tag: "Bytes"; readonly id: string; readonly bytes: number }
  | { readonly _tag: "Done"; readonly id: string; readonly outcome: Outcome; readonly size: number }

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
}

/**
 * Options for `plan` and `run`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * How many requests and transfers go on at once, for the graph as a whole. A node that waits for others takes none.
   *
   * @default 16
   */
  readonly concurrency?: number | undefined
  /**
   * What happens to independent writes when one fails. What depends on it is never written.
   *
   * @default "stop"
   */
  readonly onFailure?: "stop" | "finish" | undefined
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
  target: Target,
  roots: ReadonlyArray<WriteNode>,
  options?: Options | undefined
): Effect.fn.Return<Plan, CopyError> {
  const entries = yield* Walk.walk(target, roots, { ...options, mode: "plan" })
  return { target, roots, graph: toGraph(entries) }
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
  plan: Runnable,
  options?: Options | undefined
): Effect.fn.Return<Report, CopyError> {
  const entries = yield* Walk.walk(plan.target, plan.roots, { ...options, mode: "write", known: presence(plan.graph) })
  return report(entries)
})

/**
 * Writes as `run` does, and tells of it event by event.
 *
 * **Details**
 *
 * The writes go on at their own speed, however slowly the stream is read; they are interrupted when it is closed.
 *
 * @category running
 * @since 1.0.0
 */
export const events = (
  plan: Runnable,
  options?: Options | undefined
): Stream.Stream<Event, CopyError> =>
  Stream.callback<Event, CopyError>((queue) =>
    Walk.walk(plan.target, plan.roots, {
      ...options,
      mode: "write",
      known: presence(plan.graph),
      onEvent: (event) => {
        options?.onEvent?.(event)
        Queue.offerUnsafe(queue, event)
      }
    }).pipe(
      Effect.matchCauseEffect({
        onFailure: (cause) => Queue.failCause(queue, cause),
        onSuccess: () => Queue.end(queue)
      })
    ), { bufferSize: Number.POSITIVE_INFINITY })

const presence = (graph: Plan["graph"] | undefined): ReadonlyMap<string, boolean> => {
  const known = new Map<string, boolean>()
  if (graph !== undefined) {
    for (const [, node] of Graph.nodes(graph)) known.set(node.id, node.isPresent)
  }
  return known
}

const toGraph = (entries: ReadonlyMap<string, Walk.Entry>): Plan["graph"] =>
  Graph.directed((graph) => {
    const indices = new Map<string, Graph.NodeIndex>()
    for (const [id, entry] of entries) {
      indices.set(
        id,
        Graph.addNode(graph, {
          id,
          kind: entry.node.kind,
          label: entry.node.label,
          size: Walk.sizeOf(entry.node),
          isPresent: entry.isPresent
        })
      )
    }
    for (const [id, entry] of entries) {
      for (const need of entry.needs) Graph.addEdge(graph, indices.get(need.node.id)!, indices.get(id)!, null)
    }
  })

const report = (entries: ReadonlyMap<string, Walk.Entry>): Report => {
  const counts = { present: 0, mounted: 0, sent: 0 }
  let bytes = 0
  for (const { written } of entries.values()) {
    if (written === undefined) continue
    counts[written.outcome]++
    if (written.outcome === "sent") bytes += written.descriptor.size
  }
  return { ...counts, bytes }
}

/**
 * Draws a plan as a Mermaid flow chart, what is written first at the top. Nodes that the target has are rounded.
 *
 * @category printing
 * @since 1.0.0
 */
export const toMermaid = (plan: Plan): string =>
  Graph.toMermaid(plan.graph, {
    nodeLabel: (node) => label(node, ", "),
    edgeLabel: () => "",
    nodeShape: (node) => node.isPresent ? "rounded" : node.kind === "tag" ? "hexagon" : "rectangle"
  })

/**
 * Draws a plan in Graphviz' DOT language.
 *
 * @category printing
 * @since 1.0.0
 */
export const toDot = (plan: Plan): string =>
  Graph.toGraphViz(plan.graph, { nodeLabel: (node) => label(node, ", "), edgeLabel: () => "" })

const label = (node: Planned, newline: string): string =>
  [
    node.id.startsWith("sha") ? node.id.slice(0, node.id.indexOf(":") + 13) : node.id,
    node.label === node.id ? node.kind : `${node.kind} ${node.label}`,
    ...Option.toArray(Option.map(node.size, (size) => `${size} bytes${node.isPresent ? ", present" : ""}`))
  ].join(newline)
