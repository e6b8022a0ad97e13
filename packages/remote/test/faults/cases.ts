/**
 * The single faults that a copy has to survive: one layer from one registry to another, each case once.
 *
 * `down` and `up` are how often the layer's bytes may be pulled and pushed; 1 is once.
 */
import * as Fault from "@effect-oci/registry/Fault"
import type * as Wire from "./wire.ts"

export interface Case {
  readonly name: string
  readonly source?: ReadonlyArray<Fault.Fault>
  readonly target?: ReadonlyArray<Fault.Fault>
  /** How and for how long the source cannot be reached. */
  readonly outage?: Omit<Wire.Outage, "host">
  /** Fails in place of succeeding. */
  readonly fails?: true
  /** After how many milliseconds the target closes a connection that is not used. */
  readonly idle?: number
  /** Needs a target that others do not make: with tokens that it forgets, with relative locations. */
  readonly ours?: true
  /** In seconds; 20 unless said. */
  readonly within?: number
  /** In seconds: whoever asks for patience gets it. */
  readonly least?: number
  readonly down?: number
  readonly up?: number
}

/**
 * The table's layer, sent by PATCH, and one small enough to be sent in the request that closes its upload.
 */
export const sizes = { large: 8 * 1024 * 1024, small: 2 * 1024 * 1024 }

const blob = (fault: Fault.Fault) => fault.on("GET", "/blobs/sha256:")
const open = (fault: Fault.Fault) => fault.on("POST", "/blobs/uploads/")
const commit = (fault: Fault.Fault) => fault.on("PUT", "/blobs/uploads/")
const put = (fault: Fault.Fault) => fault.on("PUT", "/manifests/")
const length = (bytes: number) => Fault.lie({ length: bytes }).on("HEAD").always()
const error = (code: string) => JSON.stringify({ errors: [{ code }] })

/** The cases for a layer of this size, where it is this time, in milliseconds. */
export const cases = (size: number, now = 0): ReadonlyArray<Case> => {
  const half = size / 2
  // What a chunk of the wire may cost again after each cut.
  const again = 80 * 1024 / size
  const isSmall = size === sizes.small
  const upload = (fault: Fault.Fault) => fault.on(isSmall ? "PUT" : "PATCH", "/blobs/uploads/")
  const halves = (fault: (at: number) => Fault.Fault, count: number) =>
    Array.from({ length: count }, (_, at) => fault(half / 2 ** at))

  return [
    { name: "baseline" },
    { name: "pull: reset at 50 %", source: [blob(Fault.truncate(half, { end: "reset" }))], down: 1 + again },
    {
      name: "pull: reset at 50 % of the rest, 3 times",
      source: halves((at) => blob(Fault.truncate(at, { end: "reset" })), 3),
      down: 1 + 3 * again
    },
    { name: "pull: short body", source: [blob(Fault.truncate(half))], down: 1 + again },
    { name: "pull: short body, 4 times", source: halves((at) => blob(Fault.truncate(at)), 4), down: 1 + 4 * again },
    { name: "pull: clean early end", source: [blob(Fault.truncate(half, { end: "clean" }))], down: 1 + again },
    { name: "pull: overlong body, +1 MiB", source: [blob(Fault.overlong(1024 * 1024))], down: 1 + again },
    { name: "pull: stall at 50 %", source: [blob(Fault.stall(half))], down: 1 + again, within: 35 },
    { name: "pull: no answer at all", source: [blob(Fault.stall())], within: 35 },
    { name: "pull: 1 byte a second from 50 % on", source: [blob(Fault.trickle(1, half))], down: 1 + again, within: 90 },
    { name: "pull: one flipped bit", source: [blob(Fault.corrupt(half))], down: 2, up: 2 },
    {
      name: "pull: one flipped bit, always",
      source: [blob(Fault.corrupt(half)).always()],
      fails: true,
      down: 2,
      up: 2
    },
    {
      name: "pull: short body, then the range is ignored",
      source: [blob(Fault.truncate(half)), blob(Fault.forget("range"))],
      down: 1.5 + again
    },
    {
      name: "pull: short body, then other bytes for the range",
      source: [blob(Fault.truncate(half)), blob(Fault.corrupt(5))],
      down: 2 + again,
      up: 2
    },
    {
      name: "pull: short body, then another range than asked for",
      source: [
        blob(Fault.truncate(half)),
        blob(Fault.headers({ "content-range": `bytes 0-${half - 1}/${size}` }))
      ],
      down: 2 + again,
      up: 2
    },
    ...[503, 500, 502, 504].map((status): Case => ({
      name: `pull: blob ${status}, twice`,
      source: [blob(Fault.status(status)).times(2)]
    })),
    { name: "pull: blob 429, Retry-After 2", source: [blob(Fault.rateLimit(2))], least: 2 },
    {
      name: "pull: blob 429, Retry-After a date",
      source: [blob(Fault.rateLimit(new Date(now + 2000).toUTCString()))],
      least: 1
    },
    { name: "pull: manifest 404", source: [Fault.status(404).on("*", "/manifests/")], fails: true, down: 0, up: 0 },
    { name: "pull: manifest 503, twice", source: [Fault.status(503).on("GET", "/manifests/").times(2)] },
    { name: "pull: refused for 2 s", outage: { code: "ECONNREFUSED", seconds: 2 } },
    { name: "pull: refused for 10 s", outage: { code: "ECONNREFUSED", seconds: 10 } },
    { name: "pull: no name service for 2 s", outage: { code: "EAI_AGAIN", seconds: 2 } },
    { name: "pull: unknown host", outage: { code: "ENOTFOUND", seconds: 2 }, fails: true, within: 0, down: 0, up: 0 },
    {
      name: "pull: host unknown for 2 s, when it had answered",
      outage: { code: "ENOTFOUND", seconds: 2, after: 3 }
    },
    { name: "push: reset at 50 % of the body", target: [upload(Fault.reset(half))], down: 1 + again, up: 1 + again },
    {
      name: "push: reset at 50 % of the rest, 3 times",
      target: halves((at) => upload(Fault.reset(at)), 3),
      down: 1 + 3 * again,
      up: 1 + 3 * again
    },
    {
      name: "push: stall at 50 % of the body",
      target: [upload(Fault.stallUpload(half))],
      down: 1 + again,
      up: 1 + again,
      within: 35
    },
    { name: "push: 503 after the body", target: [upload(Fault.status(503, { late: true }))], down: 2, up: 2 },
    {
      name: "push: 503 after the body, twice",
      target: [upload(Fault.status(503, { late: true })).times(2)],
      down: 3,
      up: 3
    },
    { name: "push: 500 after the body", target: [upload(Fault.status(500, { late: true }))], down: 2, up: 2 },
    { name: "push: 503 before the body", target: [upload(Fault.status(503))], down: 1 + again, up: 1 + again },
    { name: "push: POST 503, twice", target: [open(Fault.status(503)).times(2)] },
    { name: "push: POST reset", target: [open(Fault.reset())] },
    { name: "push: POST 429, Retry-After 2", target: [open(Fault.rateLimit(2))], least: 2 },
    {
      name: "push: upload 429, Retry-After 2",
      target: [upload(Fault.status(429, { late: true, headers: { "retry-after": "2" } }))],
      down: 2,
      up: 2
    },
    { name: "push: session lost", target: [upload(Fault.sessionLost)], down: 2, up: 2 },
    { name: "push: session lost, twice", target: [upload(Fault.sessionLost).times(2)], down: 3, up: 3 },
    { name: "push: 416", target: [upload(Fault.status(416))], down: 2, up: 2 },
    { name: "push: 202 without Location", target: [open(Fault.headers({ location: undefined }))] },
    ...(isSmall ? [] : [{
      name: "push: 202 to a PATCH without Location and Range",
      target: [upload(Fault.headers({ location: undefined, range: undefined }))]
    }]),
    { name: "push: relative Location", ours: true },
    { name: "push: blob committed, reply lost", target: [commit(Fault.lostReply)] },
    { name: "push: manifest 502, twice", target: [put(Fault.status(502)).times(2)] },
    { name: "push: manifest committed, reply lost", target: [put(Fault.lostReply)] },
    {
      name: "push: manifest not complete yet, twice",
      target: [put(Fault.status(404, { body: error("MANIFEST_BLOB_UNKNOWN") })).times(2)]
    },
    {
      name: "push: token expired at the upload",
      ours: true,
      target: [upload(Fault.forget("authorization"))],
      down: 2,
      up: 2
    },
    { name: "push: token expired at the POST", ours: true, target: [open(Fault.forget("authorization"))] },
    { name: "push: token expired at the manifest", ours: true, target: [put(Fault.forget("authorization"))] },
    { name: "push: idle connections closed after 1 ms", idle: 1 },
    {
      name: "push: 413 before the body",
      target: [upload(Fault.status(413))],
      fails: true,
      down: again,
      up: again
    },
    { name: "push: HEAD not known", target: [Fault.status(405).on("HEAD").always()] },
    { name: "pull: HEAD without a length", source: [length(0)] },
    { name: "pull: HEAD with less than the length", source: [length(7)] },
    { name: "pull: HEAD with more than the length", source: [length(123_456)] },
    { name: "pull: HEAD with a length that no manifest has", source: [length(2 ** 40)] },
    { name: "push: HEAD with another length", target: [length(7)] }
  ]
}

/** How many requests meet the faults of a case at least. */
export const strikes = ({ source = [], target = [] }: Case): number =>
  [...source, ...target].reduce((sum, { count }) => sum + (count === Infinity ? 1 : count), 0)
