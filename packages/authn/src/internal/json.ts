/** JSON that is changed in one place, and kept as it is in all others. */

export interface JsonObject {
  readonly [key: string]: unknown
}

// What JavaScript calls `JSON.rawJSON`, which TypeScript's library of ES2024 does not know yet: numbers keep their digits.
const exact = JSON as unknown as {
  readonly rawJSON: (text: string) => unknown
  readonly parse: (
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown
  ) => unknown
}

export const isObject = (u: unknown): u is JsonObject => typeof u === "object" && u !== null && !Array.isArray(u)

/** The value of a text; `undefined` where it is no JSON, or too deep. */
export const parse = (text: string): unknown => {
  try {
    return exact.parse(
      text,
      (_, value, { source }) => typeof value === "number" && source !== undefined ? exact.rawJSON(source) : value
    )
  } catch {
    return undefined
  }
}

/** A changed value, laid out as the text that it was read from. */
export const formatLike = (before: string, value: unknown): string => {
  const indent = /\n([ \t]+)\S/.exec(before)?.[1] ?? (before.trim().length > 2 ? "" : "\t")
  return JSON.stringify(value, undefined, indent) + (/\n\s*$/.test(before) ? "\n" : "")
}

/** The value of a text that is read only. */
export const parsePlain = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
