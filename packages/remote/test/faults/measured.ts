/**
 * How others ended where the same single faults struck: the 43 of the table, in its order. Measured with crane 0.22.1, regctl
 * 0.11.7, oras 1.3.6 and skopeo 1.9.3 between registries of distribution 3; a copy that still hung after 30 seconds had not
 * ended.
 */
export const peers = ["crane", "regctl", "oras", "skopeo"] as const

/** What became of a copy. */
export type Outcome = "ok" | "fails" | "hangs"

/** By the name of the case: the outcomes in the order of `peers`. */
export const measured: ReadonlyMap<string, ReadonlyArray<Outcome>> = new Map([
  ["pull: reset at 50 %", ["ok", "ok", "fails", "fails"]],
  ["pull: reset at 50 % of the rest, 3 times", ["fails", "fails", "fails", "fails"]],
  ["pull: short body", ["ok", "ok", "fails", "fails"]],
  ["pull: short body, 4 times", ["fails", "ok", "fails", "fails"]],
  ["pull: clean early end", ["fails", "ok", "fails", "fails"]],
  ["pull: overlong body, +1 MiB", ["ok", "fails", "fails", "fails"]],
  ["pull: stall at 50 %", ["hangs", "hangs", "hangs", "hangs"]],
  ["pull: 1 byte a second from 50 % on", ["hangs", "hangs", "hangs", "hangs"]],
  ["pull: one flipped bit", ["fails", "fails", "fails", "fails"]],
  ["pull: one flipped bit, always", ["fails", "fails", "fails", "fails"]],
  ["pull: short body, then the range is ignored", ["ok", "ok", "fails", "fails"]],
  ["pull: short body, then other bytes for the range", ["ok", "fails", "fails", "fails"]],
  ["pull: blob 503, twice", ["ok", "fails", "ok", "fails"]],
  ["pull: blob 500, twice", ["ok", "ok", "ok", "fails"]],
  ["pull: blob 502, twice", ["ok", "ok", "ok", "fails"]],
  ["pull: blob 504, twice", ["ok", "ok", "ok", "fails"]],
  ["pull: blob 429, Retry-After 2", ["ok", "ok", "ok", "ok"]],
  ["pull: blob 429, Retry-After a date", ["ok", "ok", "ok", "ok"]],
  ["pull: manifest 404", ["fails", "fails", "fails", "fails"]],
  ["pull: manifest 503, twice", ["ok", "fails", "ok", "fails"]],
  ["pull: refused for 2 s", ["fails", "ok", "fails", "fails"]],
  ["push: reset at 50 % of the body", ["ok", "ok", "fails", "fails"]],
  ["push: reset at 50 % of the rest, 3 times", ["fails", "ok", "fails", "fails"]],
  ["push: stall at 50 % of the body", ["hangs", "hangs", "hangs", "hangs"]],
  ["push: 503 after the body", ["ok", "ok", "fails", "fails"]],
  ["push: 503 after the body, twice", ["ok", "fails", "fails", "fails"]],
  ["push: 500 after the body", ["ok", "ok", "fails", "fails"]],
  ["push: 503 before the body", ["ok", "ok", "fails", "fails"]],
  ["push: POST 503, twice", ["ok", "ok", "ok", "fails"]],
  ["push: POST reset", ["ok", "ok", "ok", "fails"]],
  ["push: POST 429, Retry-After 2", ["ok", "ok", "ok", "ok"]],
  ["push: upload 429, Retry-After 2", ["ok", "ok", "fails", "fails"]],
  ["push: session lost", ["fails", "ok", "fails", "fails"]],
  ["push: 416", ["ok", "ok", "fails", "fails"]],
  ["push: 202 without Location", ["fails", "ok", "fails", "fails"]],
  ["push: relative Location", ["ok", "ok", "ok", "ok"]],
  ["push: blob committed, reply lost", ["ok", "fails", "fails", "fails"]],
  ["push: manifest 502, twice", ["ok", "ok", "ok", "fails"]],
  ["push: manifest committed, reply lost", ["ok", "ok", "ok", "fails"]],
  ["push: token expired at the upload", ["fails", "fails", "fails", "fails"]],
  ["push: token expired at the POST", ["ok", "fails", "ok", "fails"]],
  ["push: token expired at the manifest", ["ok", "fails", "ok", "fails"]],
  ["push: idle connections closed after 1 ms", ["ok", "ok", "ok", "ok"]]
])
