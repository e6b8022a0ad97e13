/**
 * What a registry warns of, such as a repository that will be gone.
 *
 * OCI distribution specification 1.1, "Warnings".
 *
 * @since 1.0.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Quoted from "./internal/quoted.ts"

/**
 * A warning, and the `host[:port]` that gave it. Its text has no control characters.
 *
 * @category models
 * @since 1.0.0
 */
export interface Warning {
  readonly host: string
  readonly text: string
}

/**
 * Told of every warning, of each once for one transport.
 *
 * @category references
 * @since 1.0.0
 */
export const OnWarning = Context.Reference<(warning: Warning) => Effect.Effect<void>>(
  "@effect-oci/transport/Warning/OnWarning",
  { defaultValue: () => () => Effect.void }
)

/** What the specification allows all warnings of one reply to have together. */
const limit = 4096

// A terminal must not obey it, nor a reader be misled.
const control = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g

const prefix = "299 - \""

/**
 * The texts of a `Warning` header, or of several joined by commas. Of other codes and agents than the specification's
 * nothing is read.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (header: string): ReadonlyArray<string> => {
  const text = header.slice(0, limit)
  const found = new Set<string>()
  let at = 0
  while (at < text.length) {
    const character = text[at]
    if (character === " " || character === "\t" || character === ",") {
      at++
      continue
    }
    const quoted = text.startsWith(prefix, at) ? Quoted.read(text, at + prefix.length - 1) : undefined
    if (quoted !== undefined) {
      const clean = quoted.value.replaceAll(control, " ").trim()
      if (clean !== "") found.add(clean)
      at = quoted.end
    }
    // A date may follow, and whatever else.
    const comma = text.indexOf(",", at)
    at = comma === -1 ? text.length : comma
  }
  return [...found]
}

const capacity = 1000

/**
 * Makes what tells `OnWarning` of the warnings of replies, of none twice, and of no more than 1,000.
 *
 * @category constructors
 * @since 1.0.0
 */
export const make = () => {
  const told = new Set<string>()
  return (host: string, header: string): Effect.Effect<void> =>
    Effect.forEach(parse(header), (text) => {
      const key = `${host} ${text}`
      if (told.has(key) || told.size >= capacity) return Effect.void
      told.add(key)
      return Effect.flatMap(OnWarning, (tell) => tell({ host, text }))
    }, { discard: true })
}
