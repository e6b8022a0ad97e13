/**
 * What the files of Docker and Podman call insecure: a registry that may speak plain http, or show any certificate.
 */
import * as Registry from "@effect-oci/name/Registry"
import * as Result from "effect/Result"
import type * as Origin from "../Origin.ts"

/**
 * A host is believed whatever its certificate. This machine is spoken to by plain http as before, which is what Podman has to be
 * told of a registry on it; no other is unless it was set to that.
 */
export const origin = (host: string): Origin.Origin => {
  const registry = Registry.parse(host)
  return Result.isSuccess(registry) && Registry.isLoopback(registry.success) ? {} : { tls: { skipVerify: true } }
}
