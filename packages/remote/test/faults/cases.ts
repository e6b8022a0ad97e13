/**
 * The single faults that a copy has to survive: one layer of 8 MiB from one registry to another, each case once.
 *
 * `down` and `up` are how often the layer's bytes may be pulled and pushed; 1 is once.
 */
import * as Fault from "@effect-oci/registry/Fault"

export interface Case {
  readonly name: string
  readonly source?: ReadonlyArray<Fault.Fault>
  readonly target?: ReadonlyArray<Fault.Fault>
  /** For how long the source cannot be reached, in seconds. */
  readonly outage?: number
  /** Fails in place of succeeding. */
  readonly fails?: true
  /** In seconds; 20 unless said. */
  readonly within?: number
  readonly down?: number
  readonly up?: number
}

export const size = 8 * 1024 * 1024
const half = size / 2
const blob = (fault: Fault.Fault) => fault.on("GET", "/blobs/sha256:")
const upload = (fault: Fault.Fault) => fault.on("PUT", "/blobs/uploads/")
const open = (fault: Fault.Fault) => fault.on("POST", "/blobs/uploads/")
const halves = (fault: (at: number) => Fault.Fault, count: number) =>
  Array.from({ length: count }, (_, at) => fault(half / 2 ** at))

/** What a chunk of the wire may cost again after each cut. */
const again = 0.01

export const cases: ReadonlyArray<Case> = [
  { name: "baseline" },
  { name: "pull: reset at 50 %", source: [blob(Fault.truncate(half))], down: 1 + again },
  { name: "pull: reset at 50 % of the rest, 3 times", source: halves((at) => blob(Fault.truncate(at)), 3), down: 1.03 },
  { name: "pull: short body, 4 times", source: halves((at) => blob(Fault.truncate(at)), 4), down: 1.04 },
  { name: "pull: clean early end", source: [blob(Fault.truncate(half, { clean: true }))], down: 1 + again },
  { name: "pull: overlong body, +1 MiB", source: [blob(Fault.overlong(1024 * 1024))], down: 1 + 1 / 8 },
  { name: "pull: stall at 50 %", source: [blob(Fault.stall(half))], down: 1 + again, within: 35 },
  { name: "pull: no answer at all", source: [blob(Fault.stall())], within: 35 },
  { name: "pull: 1 byte a second from 50 % on", source: [blob(Fault.trickle(1, half))], down: 1 + again, within: 90 },
  { name: "pull: one flipped bit", source: [blob(Fault.corrupt(half))], down: 2, up: 2 },
  { name: "pull: one flipped bit, always", source: [blob(Fault.corrupt(half)).always()], fails: true, down: 2, up: 2 },
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
  { name: "pull: blob 429, Retry-After 2", source: [blob(Fault.rateLimit(2))] },
  { name: "pull: blob 429, Retry-After a date", source: [blob(Fault.rateLimit("Thu, 01 Jan 1970 00:00:02 GMT"))] },
  { name: "pull: manifest 404", source: [Fault.status(404).on("*", "/manifests/")], fails: true, down: 0, up: 0 },
  { name: "pull: manifest 503, twice", source: [Fault.status(503).on("GET", "/manifests/").times(2)] },
  { name: "pull: refused for 2 s", outage: 2 },
  { name: "pull: refused for 10 s", outage: 10 },
  { name: "push: reset at 50 % of the body", target: [upload(Fault.reset(half))], down: 1 + again, up: 1 + again },
  {
    name: "push: reset at 50 % of the rest, 3 times",
    target: halves((at) => upload(Fault.reset(at)), 3),
    down: 1.03,
    up: 1.03
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
  { name: "push: POST 429, Retry-After 2", target: [open(Fault.rateLimit(2))] },
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
  { name: "push: blob committed, reply lost", target: [upload(Fault.lostReply)] },
  { name: "push: manifest 502, twice", target: [Fault.status(502).on("PUT", "/manifests/").times(2)] },
  { name: "push: manifest committed, reply lost", target: [Fault.lostReply.on("PUT", "/manifests/")] },
  {
    name: "push: manifest not complete yet, twice",
    target: [
      Fault.status(404, { body: JSON.stringify({ errors: [{ code: "MANIFEST_BLOB_UNKNOWN" }] }) })
        .on("PUT", "/manifests/").times(2)
    ]
  },
  { name: "push: token expired at the upload", target: [upload(Fault.forget("authorization"))], down: 2, up: 2 },
  { name: "push: token expired at the POST", target: [open(Fault.forget("authorization"))] },
  {
    name: "push: token expired at the manifest",
    target: [Fault.forget("authorization").on("PUT", "/manifests/")]
  },
  { name: "push: HEAD not known", target: [Fault.status(405).on("HEAD").always()] }
]
