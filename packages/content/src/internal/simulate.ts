/**
 * A plan as it would run over a link that is imagined: no clock is waited for and nobody is asked.
 */
import * as Duration from "effect/Duration"
import * as Graph from "effect/Graph"
import * as Option from "effect/Option"
import * as Budget from "../Budget.ts"
import type { Edge, Plan, Planned, Simulated, SimulateOptions, Simulation } from "../WriteGraph.ts"

interface Job {
  readonly node: Planned
  readonly after: Array<Job>
  /** How many others it waits for. */
  waits: number
  start: number
  /** Ends then, once its bytes are through. */
  latencyUntil: number
  /** Bytes that are not through yet. */
  left: number
}

/** Round trips that a node takes at a registry, besides its bytes. */
const roundTrips: Record<Planned["step"], number> = { skip: 0, mount: 1, send: 1, tag: 1, refer: 1 }

const tripsOf = ({ kind, step }: Planned): number =>
  // A session is asked for first.
  step === "send" && kind === "blob" ? 2 : roundTrips[step]

const jobsOf = (plan: Plan, unknownSize: number): ReadonlyArray<Job> => {
  const jobs = new Map<Graph.NodeIndex, Job>()
  for (const [index, node] of Graph.nodes(plan.graph)) {
    jobs.set(index, {
      node,
      after: [],
      waits: 0,
      start: 0,
      latencyUntil: 0,
      left: node.step === "send" ? Option.getOrElse(node.size, () => unknownSize) : 0
    })
  }
  const link = (from: Job, to: Job) => {
    from.after.push(to)
    to.waits++
  }
  const followers = new Map<Job, Array<Job>>()
  for (const [, { data, source, target }] of Graph.edges<Planned, Edge>(plan.graph)) {
    const from = jobs.get(source)!
    const to = jobs.get(target)!
    link(from, to)
    if (data === "follows") followers.set(from, [...followers.get(from) ?? [], to])
  }
  // What needs a manifest waits for what follows it, too.
  for (const [, { data, source, target }] of Graph.edges<Planned, Edge>(plan.graph)) {
    if (data !== "needs") continue
    for (const follower of followers.get(jobs.get(source)!) ?? []) link(follower, jobs.get(target)!)
  }
  return [...jobs.values()]
}

const isBulk = ({ node }: Job): boolean => node.kind === "blob" && node.step === "send" && Budget.isBulk(node.size)

export const simulate = (plan: Plan, options: SimulateOptions): Simulation => {
  const latency = Duration.toMillis(options.latency)
  const bytesPerMilli = options.bandwidth / 1000
  const { concurrency = Budget.defaults.concurrency, transfers = Budget.defaults.transfers } = options
  const jobs = jobsOf(plan, options.unknownSize ?? 0)
  const order: Array<Simulated> = []
  const ready = jobs.filter(({ waits }) => waits === 0)
  const running = new Set<Job>()
  let now = 0
  let requests = 0
  let bytes = 0

  const end = (job: Job) => {
    running.delete(job)
    if (job.node.step !== "skip") order.push({ node: job.node, start: job.start, end: now })
    for (const next of job.after) if (--next.waits === 0) ready.push(next)
  }
  const begin = (job: Job) => {
    job.start = now
    if (job.node.step === "skip") return end(job)
    const trips = tripsOf(job.node)
    requests += trips
    bytes += job.left
    job.latencyUntil = now + trips * latency
    running.add(job)
  }
  const fill = () => {
    for (let at = 0; at < ready.length;) {
      const job = ready[at]!
      const isFull = running.size >= concurrency ||
        (isBulk(job) && Array.from(running).filter(isBulk).length >= transfers)
      if (isFull && job.node.step !== "skip") {
        at++
        continue
      }
      begin(ready.splice(at, 1)[0]!)
    }
  }

  fill()
  while (running.size > 0) {
    // Those whose requests are on their way share the link equally.
    const moving = [...running].filter((job) => job.left > 0 && job.latencyUntil <= now)
    const rate = bytesPerMilli / moving.length
    const step = Math.min(
      ...Array.from(running, (job) => job.latencyUntil > now ? job.latencyUntil - now : job.left / rate)
    )
    for (const job of moving) job.left = job.left / rate <= step ? 0 : job.left - step * rate
    now += step
    for (const job of running) {
      if (job.latencyUntil <= now && job.left === 0) end(job)
    }
    fill()
  }
  return { duration: Duration.millis(now), requests, bytes, order }
}
