/**
 * What may be told of a request: one rule for the log, for spans and for what a test sees.
 */
import * as Headers from "effect/http/Headers"
import * as UrlParams from "effect/http/UrlParams"

// Those of the specification, in which nobody puts a secret; the next secret has a name that nobody has thought of.
const known = [
  "artifactType",
  "digest",
  "digest-algorithm",
  "from",
  "last",
  "mount",
  "n",
  "ns",
  "scope",
  "service",
  "tag"
]

/** The query parameters that may hold secrets. */
export const parameters: ReadonlyArray<RegExp> = [new RegExp(`^(?!(?:${known.join("|")})$)`)]

/** The headers that may hold secrets: by what they are called, or with URLs that are not this registry's to judge. */
export const headers: ReadonlyArray<RegExp> = [
  /auth|cookie|credential|jwt|key|passw|secret|session|signature|token/i,
  /^(?:location|referer)$/i
]

/** A query with its question mark, if there is one; of what the specification does not know, the names only. */
export const query = (text: string): string =>
  // A fragment is no part of a request, and nothing is hidden in one.
  UrlParams.redactUrl(text.replaceAll("#", "%23"), parameters)

/** The headers of a request; of credentials only what kind they are. */
export const headersOf = (all: Headers.Headers): Record<string, string> =>
  Object.fromEntries(
    Object.entries(all).map(([name, value]) => [
      name,
      name === "authorization"
        ? `${value.split(" ", 1)[0]} <redacted>`
        : Headers.isRedactedName(name, headers)
        ? "<redacted>"
        : value
    ])
  )
