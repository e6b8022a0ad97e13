/**
 * A plan in numbers, words and pictures.
 */
import * as Graph from "effect/Graph"
import * as Option from "effect/Option"
import * as Transfer from "../Transfer.ts"
import type { JsonNode, Plan, Planned, Summary } from "../WriteGraph.ts"

const nodesOf = (plan: Plan): ReadonlyArray<Planned> => Array.from(Graph.nodes(plan.graph), ([, node]) => node)

export const summary = (plan: Plan): Summary => {
  const nodes = nodesOf(plan)
  const of = (step: Planned["step"]) => nodes.filter((node) => node.step === step)
  const sent = of("send")
  return {
    blobs: sent.filter(({ kind }) => kind === "blob").length,
    manifests: sent.filter(({ kind }) => kind === "manifest").length,
    bytes: sent.reduce((sum, { size }) => sum + Option.getOrElse(size, () => 0), 0),
    unknown: sent.filter(({ size }) => Option.isNone(size)).length,
    mount: of("mount").length,
    skip: of("skip").length,
    tag: of("tag").length,
    refer: of("refer").length
  }
}

const several = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`

export const sentence = (summary: Summary): string => {
  const sent = [
    ...(summary.blobs > 0 ? [several(summary.blobs, "blob")] : []),
    ...(summary.manifests > 0 ? [several(summary.manifests, "manifest")] : [])
  ].join(" and ")
  const parts = [
    ...(sent === ""
      ? []
      : [`send ${sent}, ${summary.unknown > 0 ? "at least " : ""}${Transfer.formatBytes(summary.bytes)}`]),
    ...(["mount", "skip", "tag", "refer"] as const).flatMap((step) =>
      summary[step] > 0 ? [`${step} ${summary[step]}`] : []
    )
  ]
  return `would ${parts.length === 0 ? "do nothing" : parts.join("; ")}`
}

/** With the target only where there are several. */
const labels = (plan: Plan) => {
  const hasMany = new Set(nodesOf(plan).map(({ location }) => location)).size > 1
  return (node: Planned): string =>
    [
      node.id.startsWith("sha") ? node.id.slice(0, node.id.indexOf(":") + 13) : node.id,
      node.label === node.id || node.kind === "referrer" ? node.kind : `${node.kind} ${node.label}`,
      ...(hasMany ? [node.location] : []),
      ...Option.toArray(Option.map(node.size, (size) => `${size} bytes`)),
      ...(node.step === "skip" ? ["present"] : node.step === "mount" ? ["mount"] : [])
    ].join(", ")
}

const edgeLabel = (edge: string) => edge === "needs" ? "" : edge

export const mermaid = (plan: Plan): string =>
  Graph.toMermaid(plan.graph, {
    nodeLabel: labels(plan),
    edgeLabel,
    nodeShape: (node) => node.step === "skip" ? "rounded" : node.kind === "tag" ? "hexagon" : "rectangle"
  })

export const dot = (plan: Plan): string => Graph.toGraphViz(plan.graph, { nodeLabel: labels(plan), edgeLabel })

export const json = (plan: Plan) => ({
  nodes: nodesOf(plan).map((node): JsonNode => ({ ...node, size: Option.getOrNull(node.size) })),
  edges: Array.from(Graph.edges(plan.graph), ([, { data, source, target }]) => ({
    from: Option.getOrThrow(Graph.getNode(plan.graph, source)).key,
    to: Option.getOrThrow(Graph.getNode(plan.graph, target)).key,
    why: data
  }))
})
