/**
 * Quoted strings of headers (RFC 9110, section 5.6.4).
 */

/** The string that begins with the quote at `start`, and where what follows it begins; nothing where it is never closed. */
export const read = (header: string, start: number): { readonly value: string; readonly end: number } | undefined => {
  for (let at = start + 1; at < header.length; at++) {
    if (header[at] === "\\") at++
    else if (header[at] === "\"") {
      return { value: header.slice(start + 1, at).replaceAll(/\\([^])/g, "$1"), end: at + 1 }
    }
  }
  return undefined
}
