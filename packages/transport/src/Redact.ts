/**
 * URLs as they may be printed.
 *
 * @since 1.0.0
 */

// What a reader needs to understand a request, and what no registry puts a secret in. Everything else is hidden: the
// next signed URL has a parameter that nobody has thought of.
const shown = new Set([
  "scope",
  "service",
  "mount",
  "from",
  "digest",
  "digest-algorithm",
  "n",
  "last",
  "ns",
  "tag",
  "artifactType"
])

/**
 * Hides the values of query parameters that may be secret, user information and the fragment.
 *
 * @category redaction
 * @since 1.0.0
 */
export const url = (input: string | URL): string => {
  const text = String(input)
  const parsed = URL.parse(text)
  if (parsed === null) return text.replace(/[?#][^]*$/, "?…").replace(/\/\/[^/@]*@/, "//")
  const query = [...parsed.searchParams].map(([key, value]) => `${key}=${shown.has(key) ? value : "…"}`)
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}${query.length === 0 ? "" : `?${query.join("&")}`}`
}

/**
 * The query parameters that may hold secrets, for `UrlParams.CurrentRedactedNames`: all but those that are known not to.
 *
 * @category redaction
 * @since 1.0.0
 */
export const parameters: ReadonlyArray<RegExp> = [new RegExp(`^(?!(?:${[...shown].join("|")})$)`)]

/**
 * The headers that may hold secrets, for `Headers.CurrentRedactedNames` of whoever provides the `HttpClient`.
 *
 * @category redaction
 * @since 1.0.0
 */
export const headers: ReadonlyArray<string> = [
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "www-authenticate",
  "location"
]
