/**
 * `Range` of a request (RFC 9110, section 14.2), for one range of bytes.
 */

/** `undefined`: answer with the whole. `"unsatisfiable"`: 416. The end is exclusive. */
export const parse = (
  header: string | undefined,
  size: number
): { readonly start: number; readonly end: number } | "unsatisfiable" | undefined => {
  const match = /^bytes=(\d{0,16})-(\d{0,16})$/i.exec(header?.trim() ?? "")
  // Several ranges, other units and what is malformed may all be answered with the whole.
  if (match === null) return undefined
  const [, first, last] = match
  if (first === "" && last === "") return undefined
  if (first === "") {
    const length = Math.min(Number(last), size)
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size }
  }
  const start = Number(first)
  if (last !== "" && Number(last) < start) return undefined
  if (start >= size) return "unsatisfiable"
  return { start, end: last === "" ? size : Math.min(Number(last) + 1, size) }
}
