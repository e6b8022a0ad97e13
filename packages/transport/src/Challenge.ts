/**
 * `WWW-Authenticate`: how a registry wants to be told who is asking (RFC 9110, section 11.6.1).
 *
 * @since 1.0.0
 */
import * as Schema from "effect/Schema"
import * as Quoted from "./internal/quoted.ts"

/**
 * One challenge: a scheme and its parameters. Scheme and parameter names are in lower case.
 *
 * @category models
 * @since 1.0.0
 */
export const Challenge = Schema.Struct({
  scheme: Schema.String,
  parameters: Schema.ReadonlyMap(Schema.String, Schema.String)
})

/**
 * One challenge: a scheme and its parameters.
 *
 * @category models
 * @since 1.0.0
 */
export type Challenge = typeof Challenge.Type

/** What a whole block of headers may have. */
const limit = 64 * 1024

const space = /[ \t]*/y
const token = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y
// Registries were seen that leave a URL unquoted, so more than a token is taken for a value.
const bare = /[^\s,"]+/y

/**
 * Parses the value of a `WWW-Authenticate` header, or of several joined by commas.
 *
 * **Details**
 *
 * Reads any number of challenges, in the order of the header, including schemes that this client does not know. What
 * cannot be understood is skipped up to the next comma, so a broken challenge does not hide a good one. Takes time
 * linear in the length, of which 64 KiB are read; never fails.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (input: string): ReadonlyArray<Challenge> => {
  const header = input.slice(0, limit)
  const challenges: Array<{ scheme: string; parameters: Map<string, string> }> = []
  let at = 0

  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(header)
    if (match !== null) at = pattern.lastIndex
    return match
  }
  const takeValue = (): string | undefined => {
    if (header[at] !== "\"") return take(bare)?.[0]
    const quoted = Quoted.read(header, at)
    if (quoted !== undefined) at = quoted.end
    return quoted?.value
  }
  const skipToComma = () => {
    const comma = header.indexOf(",", at)
    at = comma === -1 ? header.length : comma
  }

  while (at < header.length) {
    take(space)
    if (header[at] === ",") {
      at++
      continue
    }
    const word = take(token)?.[0]
    if (word === undefined) {
      at++
      skipToComma()
      continue
    }
    take(space)
    if (header[at] === "=" && challenges.length > 0) {
      at++
      take(space)
      const value = takeValue()
      const parameters = challenges.at(-1)!.parameters
      const name = word.toLowerCase()
      // The first of two wins: what comes later may have been appended by somebody else.
      if (value !== undefined && !parameters.has(name)) parameters.set(name, value)
      if (value === undefined) skipToComma()
      continue
    }
    if (header[at] === "=") {
      skipToComma()
      continue
    }
    // The token68 of `Negotiate dG9rZW4=` is read as a scheme or parameter nobody asks for, which does no harm.
    challenges.push({ scheme: word.toLowerCase(), parameters: new Map() })
  }
  return challenges
}

/**
 * The challenge that this client answers: the first Bearer challenge with a realm, else the first Basic one.
 *
 * @category choosing
 * @since 1.0.0
 */
export const choose = (challenges: ReadonlyArray<Challenge>): Challenge | undefined =>
  challenges.find(({ parameters, scheme }) => scheme === "bearer" && parameters.has("realm")) ??
    challenges.find(({ scheme }) => scheme === "basic")

/**
 * Whether a token was known, but did not allow what was asked (RFC 6750, section 3.1).
 *
 * @category predicates
 * @since 1.0.0
 */
export const isInsufficientScope = (challenges: ReadonlyArray<Challenge>): boolean =>
  challenges.some(({ parameters, scheme }) => scheme === "bearer" && parameters.get("error") === "insufficient_scope")
