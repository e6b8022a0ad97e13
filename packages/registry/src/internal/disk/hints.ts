/**
 * Which repositories had a blob when it was last asked for: where to look first, bounded however many there are.
 */
import type * as Digest from "@effect-oci/name/Digest"

export interface Hints {
  readonly add: (digest: Digest.Digest, repository: string) => void
  readonly remove: (digest: Digest.Digest, repository: string) => void
  readonly get: (digest: Digest.Digest) => ReadonlyArray<string>
}

export const make = (digests = 10_000, repositories = 16): Hints => {
  const known = new Map<Digest.Digest, Set<string>>()
  const oldest = <A>(all: Iterable<A>): A => all[Symbol.iterator]().next().value!
  return {
    add: (digest, repository) => {
      const all = known.get(digest) ?? new Set()
      // To the end of both, which is where the latest are.
      known.delete(digest)
      known.set(digest, all)
      all.delete(repository)
      all.add(repository)
      if (all.size > repositories) all.delete(oldest(all))
      if (known.size > digests) known.delete(oldest(known.keys()))
    },
    remove: (digest, repository) => void known.get(digest)?.delete(repository),
    get: (digest) => [...known.get(digest) ?? []]
  }
}
