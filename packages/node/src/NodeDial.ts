/**
 * How Node reaches a host: by which look-up, and with which TLS.
 *
 * @since 1.0.0
 */
import * as Address from "@effect-oci/transport/Address"
import type * as Origin from "@effect-oci/transport/Origin"
import * as Context from "effect/Context"
import * as Redacted from "effect/Redacted"
import { lookup as systemLookup } from "node:dns"
import type { LookupFunction } from "node:net"
import { type ConnectionOptions, getCACertificates } from "node:tls"

/**
 * Resolves the names of hosts, as `node:dns` does.
 *
 * @category references
 * @since 1.0.0
 */
export const Lookup = Context.Reference<LookupFunction>("@effect-oci/node/NodeDial/Lookup", {
  defaultValue: (): LookupFunction => systemLookup
})

/**
 * Gives only addresses that may be dialled where a reply led; what is dialled is what was checked.
 *
 * @category guards
 * @since 1.0.0
 */
export const guardedLookup = (lookup: LookupFunction): LookupFunction => (hostname, options, callback) =>
  lookup(hostname, options, (error, address, family) => {
    if (error !== null) return callback(error, address, family)
    const all = typeof address === "string" ? [{ address, family: family ?? 0 }] : address
    const allowed = all.filter((one) => Address.refusal(hostname, one.address) === undefined)
    const [first] = allowed
    if (first === undefined) return callback(Address.refusal(hostname, all[0]?.address ?? "")!, "", 0)
    return typeof address === "string" ? callback(null, first.address, first.family) : callback(null, allowed)
  })

/**
 * What a host's settings say of TLS.
 *
 * @category models
 * @since 1.0.0
 */
export type TlsOptions = Pick<ConnectionOptions, "ca" | "cert" | "key" | "rejectUnauthorized">

/**
 * The options of `node:tls` for a host.
 *
 * @category conversions
 * @since 1.0.0
 */
export const tlsOptions = ({ ca, cert, key, skipVerify }: Origin.Tls): TlsOptions => ({
  // What is given to Node replaces what it believes otherwise.
  ...(ca === undefined ? {} : { ca: [...getCACertificates("default"), ...ca] }),
  ...(cert === undefined ? {} : { cert }),
  ...(key === undefined ? {} : { key: Redacted.value(key) }),
  ...(skipVerify === true ? { rejectUnauthorized: false } : {})
})
