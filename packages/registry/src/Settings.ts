/**
 * What a registry allows and how much of it.
 *
 * @since 1.0.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"

/**
 * The choices that the distribution specification leaves to a registry.
 *
 * @category models
 * @since 1.0.0
 */
export interface Settings {
  /**
   * Refuses all that would change something.
   *
   * @default false
   */
  readonly readOnly: boolean
  /**
   * Whether tags, manifests and blobs may be deleted. An upload may be cancelled all the same.
   *
   * @default true
   */
  readonly deletes: boolean
  /**
   * Whether the list of referrers has an endpoint. Without it clients keep the list under a tag.
   *
   * @default true
   */
  readonly referrers: boolean
  /**
   * Takes an index though the repository lacks what it names, as of platforms that nobody needs there.
   *
   * @default false
   */
  readonly sparse: boolean
  /**
   * Takes any manifest though the repository lacks what it names, config and layers among it.
   *
   * @default false
   */
  readonly incomplete: boolean
  /**
   * The largest manifest, in bytes. The specification asks for at least 4 MiB.
   *
   * @default 4194304
   */
  readonly manifestLimit: number
  /**
   * How many entries a page has at most.
   *
   * @default 1000
   */
  readonly pageSize: number
  /**
   * The smallest chunk but for the last, in bytes; told to the client as `OCI-Chunk-Min-Length`.
   *
   * @default 0
   */
  readonly chunkMinLength: number
  /**
   * How long a client may send nothing of a body that it has begun. Long enough for one whose source stalls for half a minute
   * and is tried again for half a minute more.
   *
   * @default "1 minute"
   */
  readonly patience: Duration.Input
  /**
   * How many bytes a second a client sends at least, once `patience` has passed in which it was waited for.
   *
   * @default 1024
   */
  readonly minimumRate: number
  /**
   * Told to every client in `Warning` headers.
   *
   * @default []
   */
  readonly warnings: ReadonlyArray<string>
  /**
   * The names in `Host` headers that are answered, so that no page in a browser reaches a registry of this machine by a name
   * of its own. One without a port is answered at any. All are if not given.
   */
  readonly hosts: ReadonlyArray<string> | undefined
}

/**
 * The settings that hold where none are given.
 *
 * @category constants
 * @since 1.0.0
 */
export const defaults: Settings = {
  readOnly: false,
  deletes: true,
  referrers: true,
  sparse: false,
  incomplete: false,
  manifestLimit: 4 * 1024 * 1024,
  pageSize: 1000,
  chunkMinLength: 0,
  patience: Duration.minutes(1),
  minimumRate: 1024,
  warnings: [],
  hosts: undefined
}

/**
 * The settings of the registry that answers.
 *
 * @category references
 * @since 1.0.0
 */
export const Settings = Context.Reference<Settings>("@effect-oci/registry/Settings", { defaultValue: () => defaults })
