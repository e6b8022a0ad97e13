/**
 * The tags of a repository.
 *
 * OCI distribution specification 1.1, "Listing Tags".
 *
 * @since 1.0.0
 */
import type * as Repository from "@effect-oci/name/Repository"
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
   * How many tags are asked for at a time. `PageSize` unless told.
   */
  readonly pageSize?: number | undefined
  /**
   * Only tags after this one, in the registry's order.
   */
  readonly last?: string | undefined
}

/**
 * All tags, page by page as they are asked for.
 *
 * **Details**
 *
 * As the registry names them: what is not a valid tag is part of the list as well.
 *
 * @category listing
 * @since 1.0.0
 */
export const list = (
  repository: Repository.Repository,
  options?: Options | undefined
): Stream.Stream<string, RegistryError, Transport> =>
  Stream.unwrap(Effect.gen(function*() {
    const client = yield* Request.client(repository, "pull")
    const pages = { client, first: Request.path(repository, "tags/list"), read: NameList.tags }
    return yield* Pages.names(repository.registry, pages, options)
  }))
