/** Whose registry a host is. */
import type * as Registry from "@effect-oci/name/Registry"
import * as CredentialKey from "../CredentialKey.ts"

/** The host of a resource, where it is asked at the port that clouds have. */
export const hostOf = (resource: CredentialKey.Resource): string | undefined => {
  const { hostname, port }: Registry.Registry = CredentialKey.registryOf(resource)
  return port === undefined || port === 443 ? hostname : undefined
}
