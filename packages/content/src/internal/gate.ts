/**
 * How many entries are begun at once. What waits here is plain data: of an index of forty thousand images few are fibers, and
 * few manifests in memory.
 */
import * as Option from "effect/Option"
import type { Entry } from "./entry.ts"

export interface Gate {
  /** Begins entries, now or when there is room. */
  readonly enter: (entries: ReadonlyArray<Entry>) => void
  /** For one that has ended: lets in the next. */
  readonly leave: (entry: Entry) => void
  /** Lets in at once what is waited for by somebody who is inside, maybe in its place. */
  readonly hurry: (entry: Entry) => void
}

/** Blobs of a known digest lead to nothing. */
export const isLeaf = ({ node }: Entry): boolean => node.kind === "blob" && Option.isSome(node.descriptor)

/**
 * Leaves wait for nobody. A manifest waits for those and for manifests that are deeper than itself, which have a gate of their
 * own, so that nobody waits inside for those outside. Roots are not many at a time, and all else goes as it comes.
 */
const gateOf = (entry: Entry): string | undefined => {
  if (isLeaf(entry)) return "leaves"
  const { depth, node } = entry
  return node.kind === "manifest" && depth > 0 ? `manifests ${depth}` : undefined
}

export const make = (
  most: number,
  begin: (entry: Entry) => void,
  alike: (entry: Entry) => ReadonlyArray<Entry>
): Gate => {
  const gates = new Map<string | undefined, { readonly waiting: Set<Entry>; readonly inside: Set<Entry> }>()

  const at = (entry: Entry) => {
    const name = gateOf(entry)
    const known = gates.get(name) ?? { waiting: new Set(), inside: new Set() }
    gates.set(name, known)
    return known
  }

  const admit = (entry: Entry): void => {
    const { inside, waiting } = at(entry)
    if (!waiting.delete(entry)) return
    inside.add(entry)
    // It waits for its elder, who may be as far behind in the line as can be.
    if (entry.elder !== undefined) admit(entry.elder)
    begin(entry)
    // They read the same together.
    for (const other of alike(entry)) if (other !== entry) admit(other)
  }

  // One that ends while it is begun is followed by the loop that began it, not from within: so deep is no stack.
  let isAdmitting = false
  let isAgain = false
  const next = (): void => {
    isAgain = true
    if (isAdmitting) return
    isAdmitting = true
    while (isAgain) {
      isAgain = false
      for (const { inside, waiting } of gates.values()) {
        for (const entry of waiting) {
          if (inside.size >= most) break
          admit(entry)
        }
      }
    }
    isAdmitting = false
  }

  return {
    enter: (entries) => {
      // All stand in the line before the first begins, who may wait for another of them.
      for (const entry of entries) at(entry).waiting.add(entry)
      for (const entry of entries) if (gateOf(entry) === undefined) admit(entry)
      next()
    },
    leave: (entry) => {
      at(entry).inside.delete(entry)
      next()
    },
    hurry: admit
  }
}
