/**
 * Which addresses may be dialled.
 *
 * **Details**
 *
 * A registry says where to go next: by a token realm, a redirect, an upload's location, a link. It must not lead into the
 * network that the client runs in. Names are no protection, for anybody's name can resolve to any address. So it is the
 * address that is checked, of every socket, where it is dialled: by whoever provides the `HttpClient`.
 *
 * @since 1.0.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import { hasProperty } from "effect/Predicate"

/**
 * Whether the request in flight goes where a reply led it, to a host that its user never named. A dialler must then refuse
 * what `refusal` refuses, for the address that a name resolves to as for one that is written out, and must not use a
 * connection that was made without this check.
 *
 * @category references
 * @since 1.0.0
 */
export const Guarded = Context.Reference<boolean>("@effect-oci/transport/Address/Guarded", {
  defaultValue: () => false
})

/**
 * A dialler's refusal to connect. The transport makes a `RegistryError` of it.
 *
 * @category errors
 * @since 1.0.0
 */
export class InternalAddressError extends Data.TaggedError("InternalAddressError")<{
  readonly host: string
  readonly address: string
}> {
  readonly code = "ERR_INTERNAL_ADDRESS"
  override get message(): string {
    return describe(this.host, this.address)
  }
}

/** @internal */
export const describe = (host: string, address: string): string =>
  host === address ? `${host} is an internal address` : `${host} is at the internal address ${address}`

/**
 * Why an address is not dialled for a host, if it is not.
 *
 * @category guards
 * @since 1.0.0
 */
export const refusal = (host: string, address: string = host): InternalAddressError | undefined =>
  isInternal(address) ? new InternalAddressError({ host, address }) : undefined

/**
 * The refusal that made a request fail, if one did: an `HttpClient` wraps it in failures of its own.
 *
 * @category guards
 * @since 1.0.0
 */
export const refusalIn = (error: unknown): InternalAddressError | undefined => {
  for (let at = error, depth = 0; hasProperty(at, "message") && depth < 8; depth++) {
    if (at instanceof InternalAddressError) return at
    at = hasProperty(at, "reason") ? at.reason : hasProperty(at, "cause") ? at.cause : undefined
  }
  return undefined
}

/**
 * Whether a host, as a `URL` has normalised it or a resolver has answered, is an address that only means something on this
 * machine or network: loopback, link-local (cloud metadata is there), private, shared, unspecified, multicast; in IPv6 also
 * those that stand for such an IPv4 address.
 *
 * **Gotchas**
 *
 * Says nothing of names that resolve to such an address.
 *
 * @category predicates
 * @since 1.0.0
 */
export const isInternal = (host: string): boolean => {
  const text = host.replace(/^\[|\]$|\.$/g, "").replace(/%.*$/, "").toLowerCase()
  if (text === "localhost" || text.endsWith(".localhost")) return true
  if (text.includes(":")) return isInternal6(text)
  const parts = text.split(".")
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part)) &&
    isInternal4(Number(parts[0]), Number(parts[1]), Number(parts[2]))
}

const isInternal4 = (a: number, b: number, c: number): boolean =>
  a === 0 || a === 10 || a === 127 || (a === 100 && b >= 64 && b <= 127) || (a === 169 && b === 254) ||
  (a === 172 && b >= 16 && b <= 31) || (a === 192 && b === 168) || (a === 192 && b === 0 && c === 0) || a >= 224

const isEmbedded = (high: number, low: number): boolean => isInternal4(high >> 8, high & 0xff, low >> 8)

const isInternal6 = (text: string): boolean => {
  const url = URL.parse(`http://[${text}]/`)
  // What cannot be read cannot be judged.
  if (url === null) return true
  const [head = "", tail] = url.hostname.slice(1, -1).split("::")
  const numbers = (part: string) => part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16))
  const before = numbers(head)
  const after = numbers(tail ?? "")
  const groups = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after]
  const [a, b, c, d, e, f, g, h] = groups as [number, number, number, number, number, number, number, number]
  if ((a & 0xfe00) === 0xfc00 || (a & 0xff80) === 0xfe80 || a >= 0xff00) return true
  // Mapped, translated, compatible (with the unspecified and loopback addresses), and NAT64.
  if (a === 0 && b === 0 && c === 0 && d === 0 && (e === 0 || e === 0xffff || f === 0xffff)) return isEmbedded(g, h)
  if (a === 0x64 && b === 0xff9b) return c === 1 || isEmbedded(g, h)
  // 6to4; Teredo hides its address, and nobody needs it.
  return a === 0x2002 ? isEmbedded(b, c) : a === 0x2001 && b === 0
}
