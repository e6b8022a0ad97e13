/** Host names with wildcards. */

/** `*` stands for any characters of one label, `?` for one; in time linear in pattern times text. */
const matchesLabel = (pattern: string, text: string): boolean => {
  let p = 0
  let t = 0
  let star = -1
  let from = 0
  while (t < text.length) {
    if (pattern[p] === "*") {
      star = p++
      from = t
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[t])) {
      p++
      t++
    } else if (star === -1) {
      return false
    } else {
      p = star + 1
      t = ++from
    }
  }
  while (pattern[p] === "*") p++
  return p === pattern.length
}

/** Whether a host is one that a pattern means: label by label, so that no wildcard crosses a dot. */
export const matches = (pattern: string, host: string): boolean => {
  const patterns = pattern.split(".")
  const labels = host.split(".")
  return patterns.length === labels.length && patterns.every((one, i) => matchesLabel(one, labels[i]!))
}

export const isPattern = (host: string): boolean => /[*?]/.test(host)

/** A host with wildcards, in lower case; `undefined` for what is none. */
export const parse = (text: string): string | undefined => {
  const lower = text.toLowerCase()
  return /^[a-z0-9*?](?:[a-z0-9*?.-]{0,251}[a-z0-9*?])?(?::[1-9]\d{0,4})?$/.test(lower) && !lower.includes("..")
    ? lower
    : undefined
}
