/**
 * The single faults that a copy has to survive: one layer from one registry to another, each case once.
 *
 * `down` and `up` are how often the layer's bytes may be pulled and pushed; 1 is once.
 */
import * as Fault from "@effect-oci/registry/Fault"
import { createHash } from "node:crypto"
import * as Content from "../image.ts"
import type * as Wire from "./wire.ts"

export interface Case {
  readonly name: string
  /** The row of the table of faults that it is about. */
  readonly row?: string
  readonly source?: ReadonlyArray<Fault.Fault>
  readonly target?: ReadonlyArray<Fault.Fault>
  /** Of a mirror of the source, which has all that it has. */
  readonly mirror?: ReadonlyArray<Fault.Fault>
  /** How and for how long the source cannot be reached. */
  readonly outage?: Omit<Wire.Outage, "host">
  /** By how many seconds the clock of whoever copies is ahead. */
  readonly skew?: number
  /** Asks the target at the end for what it was sent. */
  readonly verify?: true
  /** Fails in place of succeeding. */
  readonly fails?: true
  /** After how many milliseconds the target closes a connection that is not used. */
  readonly idle?: number
  /** After how many milliseconds the target ends a request that still goes on. */
  readonly limit?: number
  /** Needs a target that others do not make: with tokens, which it forgets. */
  readonly ours?: true
  /** In seconds; 20 unless said. */
  readonly within?: number
  /** In seconds: whoever asks for patience gets it. */
  readonly least?: number
  /** How many requests the faults strike at most. */
  readonly most?: number
  readonly down?: number
  readonly up?: number
}

/**
 * The table's layer, sent by PATCH, and one small enough to be sent in the request that closes its upload.
 */
export const sizes = { large: 8 * 1024 * 1024, small: 2 * 1024 * 1024 }

const open = (fault: Fault.Fault) => fault.on("POST", "/blobs/uploads/")
const commit = (fault: Fault.Fault) => fault.on("PUT", "/blobs/uploads/")
const put = (fault: Fault.Fault) => fault.on("PUT", "/manifests/")
const length = (bytes: number) => Fault.lie({ length: bytes }).on("HEAD").always()
/** Names its sessions in this form; a POST goes to the folder that they are in, a PATCH to the session itself. */
const named = (form: (session: URL) => string) =>
  Fault.headers({
    location: (told, { headers, method }) =>
      told === undefined || method === "PUT" ? told : form(new URL(told, `https://${headers["host"]}`))
  }).on("*", "/blobs/uploads/").always()
const path = ({ pathname, search }: URL) => pathname + search
const last = (url: URL) => path(url).replace(/^.*\/uploads\//, "")
const forms: ReadonlyArray<readonly [string, (session: URL) => string]> = [
  ["relative Location", path],
  ["Location with scheme and host", ({ href }) => href],
  ["Location with host and no scheme", (url) => `//${url.host}${path(url)}`],
  [
    "Location in capitals, with its port",
    (url) => `${url.protocol.toUpperCase()}//${url.hostname.toUpperCase()}:${url.port || 443}${path(url)}`
  ],
  ["Location beside the request", last],
  ["Location beside the request, with a dot", (url) => `./${last(url)}`],
  ["Location from above the request", (url) => `../../blobs/uploads/${last(url)}`],
  [
    "Location with a query of its own order and spelling",
    ({ pathname, search }) => `${pathname}?z&is-of=a%2Bb%3D%3d&${search.slice(1)}`
  ]
]
const error = (code: string) => JSON.stringify({ errors: [{ code }] })

/** The table's layer of a size. */
export const layerOf = (size: number): Uint8Array => Content.bytes(size, 7)

const digests = new Map<number, string>()

const digestOf = (size: number): string => {
  const digest = digests.get(size) ?? `sha256:${createHash("sha256").update(layerOf(size)).digest("hex")}`
  digests.set(size, digest)
  return digest
}

/** The cases for a layer of this size, where it is this time, in milliseconds. */
export const cases = (size: number, now = 0): ReadonlyArray<Case> => {
  const half = size / 2
  const at = (millis: number) => new Date(now + millis).toUTCString()
  // What a chunk of the wire may cost again after each cut.
  const again = 80 * 1024 / size
  // The layer, not the config, which is read ahead.
  const blob = (fault: Fault.Fault) => fault.on("GET", `/blobs/${digestOf(size)}`)
  const isSmall = size === sizes.small
  const upload = (fault: Fault.Fault) => fault.on(isSmall ? "PUT" : "PATCH", "/blobs/uploads/")
  const halves = (fault: (at: number) => Fault.Fault, count: number) =>
    Array.from({ length: count }, (_, n) => fault(half / 2 ** n))

  return [
    { name: "baseline" },
    {
      name: "pull: reset at 50 %",
      row: "B01",
      source: [blob(Fault.truncate(half, { end: "reset" }))],
      down: 1 + again
    },
    {
      name: "pull: reset at 50 % of the rest, 3 times",
      row: "B01",
      source: halves((at) => blob(Fault.truncate(at, { end: "reset" })), 3),
      down: 1 + 3 * again
    },
    { name: "pull: short body", row: "B02", source: [blob(Fault.truncate(half))], down: 1 + again },
    {
      name: "pull: short body, 4 times",
      row: "B02",
      source: halves((at) => blob(Fault.truncate(at)), 4),
      down: 1 + 4 * again
    },
    {
      name: "pull: clean early end",
      row: "B04",
      source: [blob(Fault.truncate(half, { end: "clean" }))],
      down: 1 + again
    },
    { name: "pull: overlong body, +1 MiB", source: [blob(Fault.overlong(1024 * 1024))], down: 1 + again },
    { name: "pull: stall at 50 %", row: "B03", source: [blob(Fault.stall(half))], down: 1 + again, within: 35 },
    { name: "pull: no answer at all", row: "B03", source: [blob(Fault.stall())], within: 35 },
    {
      name: "pull: 1 byte a second from 50 % on",
      row: "B05",
      source: [blob(Fault.trickle(1, half))],
      down: 1 + again,
      within: 90
    },
    { name: "pull: one flipped bit", row: "B34", source: [blob(Fault.corrupt(half))], down: 2, up: 2 },
    {
      name: "pull: one flipped bit, always",
      row: "B34",
      source: [blob(Fault.corrupt(half)).always()],
      fails: true,
      down: 2,
      up: 2
    },
    {
      name: "pull: short body, then the range is ignored",
      row: "A38",
      source: [blob(Fault.truncate(half)), blob(Fault.forget("range"))],
      down: 1.5 + again
    },
    {
      name: "pull: short body, then other bytes for the range",
      row: "A38",
      source: [blob(Fault.truncate(half)), blob(Fault.corrupt(5))],
      down: 2 + again,
      up: 2
    },
    {
      name: "pull: short body, then another range than asked for",
      row: "A38",
      source: [
        blob(Fault.truncate(half)),
        blob(Fault.headers({ "content-range": `bytes 0-${half - 1}/${size}` }))
      ],
      down: 2 + again,
      up: 2
    },
    ...[503, 500, 502, 504].map((status): Case => ({
      name: `pull: blob ${status}, twice`,
      row: "B06",
      source: [blob(Fault.status(status)).times(2)]
    })),
    { name: "pull: blob 429, Retry-After 2", row: "B07", source: [blob(Fault.rateLimit(2))], least: 2 },
    {
      name: "pull: blob 429, Retry-After a date",
      row: "B08",
      source: [blob(Fault.rateLimit(at(2000)))],
      least: 1
    },
    {
      name: "pull: manifest 404",
      source: [Fault.status(404).on("*", "/manifests/").always()],
      fails: true,
      down: 0,
      up: 0
    },
    { name: "pull: manifest 503, twice", row: "B06", source: [Fault.status(503).on("GET", "/manifests/").times(2)] },
    { name: "pull: refused for 2 s", row: "B23", outage: { code: "ECONNREFUSED", seconds: 2 } },
    { name: "pull: refused for 10 s", row: "B23", outage: { code: "ECONNREFUSED", seconds: 10 } },
    { name: "pull: no name service for 2 s", row: "B21", outage: { code: "EAI_AGAIN", seconds: 2 } },
    {
      name: "pull: unknown host",
      row: "B21",
      outage: { code: "ENOTFOUND", seconds: 2 },
      fails: true,
      within: 0,
      down: 0,
      up: 0
    },
    {
      name: "pull: host unknown for 2 s, when it had answered",
      row: "B21",
      outage: { code: "ENOTFOUND", seconds: 2, after: 3 }
    },
    {
      name: "push: reset at 50 % of the body",
      row: "B15",
      target: [upload(Fault.reset(half))],
      down: 1 + again,
      up: 1 + again
    },
    {
      name: "push: reset at 50 % of the rest, 3 times",
      row: "B15",
      target: halves((at) => upload(Fault.reset(at)), 3),
      down: 1 + 3 * again,
      up: 1 + 3 * again
    },
    {
      name: "push: stall at 50 % of the body",
      row: "B15",
      target: [upload(Fault.stallUpload(half))],
      down: 1 + again,
      up: 1 + again,
      within: 35
    },
    {
      name: "push: 1 byte a second is taken",
      row: "B05",
      target: [upload(Fault.bandwidth(1))],
      down: 2,
      up: 2,
      within: 95
    },
    {
      name: "push: 503 after the body",
      row: "B06",
      target: [upload(Fault.status(503, { late: true }))],
      down: 2,
      up: 2
    },
    {
      name: "push: 503 after the body, twice",
      row: "B06",
      target: [upload(Fault.status(503, { late: true })).times(2)],
      down: 3,
      up: 3
    },
    {
      name: "push: 500 after the body",
      row: "B06",
      target: [upload(Fault.status(500, { late: true }))],
      down: 2,
      up: 2
    },
    {
      name: "push: 503 before the body",
      row: "B20",
      target: [upload(Fault.status(503))],
      down: 1 + again,
      up: 1 + again
    },
    { name: "push: POST 503, twice", row: "B06", target: [open(Fault.status(503)).times(2)] },
    { name: "push: POST reset", row: "B15", target: [open(Fault.reset())] },
    { name: "push: POST 429, Retry-After 2", row: "B07", target: [open(Fault.rateLimit(2))], least: 2 },
    {
      name: "push: upload 429, Retry-After 2",
      row: "B07",
      target: [upload(Fault.status(429, { late: true, headers: { "retry-after": "2" } }))],
      down: 2,
      up: 2
    },
    { name: "push: session lost", row: "B14", target: [upload(Fault.sessionLost)], down: 2, up: 2 },
    { name: "push: session lost, twice", row: "B14", target: [upload(Fault.sessionLost).times(2)], down: 3, up: 3 },
    { name: "push: 416", row: "B13", target: [upload(Fault.status(416))], down: 2, up: 2 },
    { name: "push: 202 without Location", row: "B16", target: [open(Fault.headers({ location: undefined }))] },
    ...(isSmall ? [] : [{
      name: "push: 202 to a PATCH without Location and Range",
      row: "B17",
      target: [upload(Fault.headers({ location: undefined, range: undefined }))]
    }]),
    ...forms.map(([form, of]) => ({ name: `push: ${form}`, row: "B18", target: [named(of)] })),
    { name: "push: blob committed, reply lost", row: "B19", target: [commit(Fault.lostReply)] },
    { name: "push: manifest 502, twice", row: "B06", target: [put(Fault.status(502)).times(2)] },
    { name: "push: manifest committed, reply lost", row: "B19", target: [put(Fault.lostReply)] },
    {
      name: "push: manifest not complete yet, twice",
      row: "B12",
      target: [put(Fault.status(404, { body: error("MANIFEST_BLOB_UNKNOWN") })).times(2)]
    },
    {
      name: "push: token expired at the upload",
      row: "B09",
      ours: true,
      target: [upload(Fault.tokenExpired)],
      down: 2,
      up: 2
    },
    { name: "push: token expired at the POST", row: "B09", ours: true, target: [open(Fault.tokenExpired)] },
    {
      name: "push: token expired at the manifest",
      row: "B09",
      ours: true,
      target: [put(Fault.tokenExpired)]
    },
    { name: "push: idle connections closed after 1 ms", row: "B25", idle: 1 },
    {
      name: "push: 413 before the body",
      row: "B20",
      target: [upload(Fault.status(413))],
      down: 1 + again,
      up: 1 + again
    },
    {
      name: "push: 413 before the body, always",
      row: "B20",
      target: ["PATCH", "PUT"].map((method) => Fault.status(413).on(method, "/blobs/uploads/").always()),
      fails: true,
      // The shorter ones that are tried.
      down: 0.4 + again,
      up: 0.4 + again
    },
    { name: "push: HEAD not known", row: "B36", target: [Fault.status(405).on("HEAD").always()] },
    { name: "pull: HEAD without a length", row: "B36", source: [length(0)] },
    { name: "pull: HEAD with less than the length", row: "B36", source: [length(7)] },
    { name: "pull: HEAD with more than the length", row: "B36", source: [length(123_456)] },
    { name: "pull: HEAD with a length beyond limits", row: "B36", source: [length(2 ** 40)] },
    { name: "push: HEAD with another length", row: "B36", target: [length(7)] },
    {
      name: "pull: certificate of an unknown issuer",
      row: "B22",
      outage: { code: "DEPTH_ZERO_SELF_SIGNED_CERT", seconds: 60 },
      fails: true,
      within: 0,
      down: 0,
      up: 0
    },
    { name: "pull: TLS handshakes reset for 2 s", row: "B22", outage: { code: "ECONNRESET", seconds: 2 } },
    {
      name: "push: manifest not seen yet, twice",
      row: "B11",
      verify: true,
      target: [Fault.status(404).on("HEAD", "/manifests/sha256:").skip(1).times(2)]
    },
    { name: "mirror: 503 always", row: "B33", mirror: [Fault.status(503).always()] },
    { name: "mirror: blob 503", row: "B33", mirror: [blob(Fault.status(503))] },
    { name: "mirror: short body", row: "B33", mirror: [blob(Fault.truncate(half))], down: 1 + again },
    { name: "mirror: stall at 50 %", row: "B33", mirror: [blob(Fault.stall(half))], down: 1 + again, within: 35 },
    { name: "mirror: one flipped bit", row: "B33", mirror: [blob(Fault.corrupt(half))], down: 2, up: 2 },
    ...[3600, -3600].flatMap((skew): ReadonlyArray<Case> => {
      const clock = `clock 1 h ${skew > 0 ? "ahead" : "behind"}`
      return [
        { name: `push: tokens, ${clock}`, row: "B35", skew, ours: true },
        {
          name: `pull: 429 with a date, ${clock}`,
          row: "B35",
          // The other one is as wrong.
          source: [
            blob(Fault.status(429, {
              headers: { "retry-after": at(2000 - skew * 1000), date: at(-skew * 1000) }
            }))
          ],
          least: 1
        }
      ]
    }),
    {
      name: "push: requests ended after 1 s",
      row: "B37",
      limit: 1000,
      // What sockets hold of a request that is ended never reaches the registry.
      down: 1.4,
      up: 1.4,
      target: [upload(Fault.bandwidth(size * 0.6)).always()]
    },
    {
      name: "pull: blob 503, always",
      row: "B38",
      source: [blob(Fault.status(503)).always()],
      fails: true,
      // The layer's nine, and once the config, which is read ahead until it is found to be there.
      most: 10,
      within: 30,
      down: 0,
      up: 0
    },
    {
      name: "push: POST 503, always",
      row: "B38",
      target: [open(Fault.status(503)).always()],
      fails: true,
      most: 9,
      within: 30,
      up: 0
    },
    {
      name: "push: manifest 503, always",
      row: "B38",
      target: [put(Fault.status(503)).always()],
      fails: true,
      most: 9,
      within: 30
    }
  ]
}

/** Faults that it takes more than the copy of one layer to show. */
export const longer = {
  restarts: {
    row: "B24",
    name: "push: the target is stopped and started three times in a copy of 20 images"
  },
  thousand: { row: "B25", name: "pull: idle connections closed after 1 ms, in 1,000 requests" }
}

/** Whether a registry may forget what it had of an upload. */
const isLossy = ({ action }: Fault.Fault): boolean =>
  ["Reset", "StallUpload", "Bandwidth"].includes(action._tag) ||
  action._tag === "Headers" && Object.values(action.headers).includes(undefined)

/**
 * How often the layer's bytes may be pulled and pushed, in process or before a registry of others. Distribution 2 forgets a
 * session whose request broke off, or whose newest URL the client was not told. Distribution 3 keeps what arrived, but on a
 * busy machine may not know of it yet when it is asked.
 */
export const bounds = (
  { down = 1, target = [], up = 1 }: Case,
  before?: "registry" | "docker-registry"
): { readonly down: number; readonly up: number } => {
  const lossy = target.filter(isLossy).length
  const more = before === undefined ? 0.001 : 0.1 + (before === "docker-registry" ? lossy : 0.5 * Math.min(lossy, 1))
  return { down: down + more, up: up + more }
}

/** What was seen of a case while it ran. */
export interface Seen extends Wire.Wire {
  /** How many requests met a fault. */
  readonly struck: number
  /** How many connections or requests were ended for their time. */
  readonly ended?: number | undefined
  /** What the target was asked for, of upload sessions at least: path and query. */
  readonly asked: ReadonlyArray<string>
}

/** What was asked of upload sessions and was not what a reply had led to, letter by letter. */
export const strays = ({ asked, sessions }: Seen): ReadonlyArray<string> =>
  asked.filter((url) =>
    /\/blobs\/uploads\/[^?]/.test(url) &&
    !sessions.some((session) => url === session || url.startsWith(session + (session.includes("?") ? "&" : "?")))
  )

/** Whether the case met what it is about: one that met nothing shows nothing. */
export const hasMet = (
  { idle, limit, mirror = [], most = Infinity, outage, skew, source = [], target = [] }: Case,
  seen: Seen
): boolean => {
  const strikes = [...mirror, ...source, ...target]
    .reduce((sum, { count }) => sum + (count === Infinity ? 1 : count), 0)
  return seen.struck >= strikes && seen.struck <= most &&
    (outage === undefined || seen.failed > 0) &&
    (idle === undefined && limit === undefined || seen.ended === undefined || seen.ended > 0) &&
    (skew === undefined || strikes > 0 || seen.tokens > 0)
}
