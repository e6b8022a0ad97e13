/**
 * The repositories of a registry.
 *
 * Not of the OCI specification: Docker's, and what many registries keep to themselves.
 *
 * @since 1.0.0
 */
import type * as Registry from "@effect-oci/name/Registry"
import * as NameList from "@effect-oci/spec/NameList"
import type { RegistryError } from "@effect-oci/transport/RegistryError"
import type { Transport } from "@effect-oci/transport/Transport"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Pages from "./internal/pages.ts"
import * as Request from "./internal/request.ts"

/**
 * Options for `list`.
 *
 * @category options
 * @since 1.0.0
 */
export interface Options {
  /**
   * How many repositories are asked for at a time. `PageSize` unless told.
   */
  readonly pageSize?: number | undefined
  /**
   * Only repositories after this one, in the registry's order.
   */
  readonly last?: string | undefined
}

/**
 * All repositories, page by page as they are asked for, named as the registry names them.
 *
 * @category listing
 * @since 1.0.0
 */
export const list = (
  registry: Registry.Registry,
  options?: Options | undefined
): Stream.Stream<string, RegistryError, Transport> =>
  Stream.unwrap(Effect.gen(function*() {
    const client = yield* Request.registryClient(registry)
    return yield* Pages.names(registry, { client, first: "/v2/_catalog", read: NameList.repositories }, options)
  }))
