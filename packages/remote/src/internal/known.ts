/**
 * What a transport has learnt of a registry, so that nothing is found out twice. As shared as its pings and tokens are.
 */
import * as Registry from "@effect-oci/name/Registry"
import type * as Repository from "@effect-oci/name/Repository"
import { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"

export interface Known {
  /** Whether it lists referrers itself. */
  hasReferrers: boolean | undefined
  /** Whether it takes a blob in one POST. */
  takesPost: boolean | undefined
  /** Whether somebody is finding that out. */
  isPostTried: boolean
  /** How much it takes in one request, in bytes, where that is not much. */
  chunkSize: number | undefined
  /** Whether it sends parts of a blob. */
  sendsRanges: boolean | undefined
  /** Whether it has refused a write because of its condition, which most do not look at. */
  isConditional: boolean
  /** Lists under fallback tags that are being changed, by repository and tag. */
  readonly lists: Map<string, unknown>
}

const all = new WeakMap<Transport["Service"], Map<string, Known>>()

export const of = (repository: Repository.Repository): Effect.Effect<Known, never, Transport> =>
  Effect.map(Transport, (transport) => {
    const registries = all.get(transport) ?? new Map<string, Known>()
    all.set(transport, registries)
    const host = Registry.apiHost(repository.registry)
    const known = registries.get(host) ?? {
      hasReferrers: undefined,
      takesPost: undefined,
      isPostTried: false,
      chunkSize: undefined,
      sendsRanges: undefined,
      isConditional: false,
      lists: new Map()
    }
    registries.set(host, known)
    return known
  })
