/**
 * `registries.conf`, the file in which Podman, Skopeo and CRI-O are told of registries and their mirrors
 * (containers-registries.conf(5), version 2).
 *
 * @since 1.0.0
 */
import * as Toml from "effect/encoding/Toml"
import * as Result from "effect/Result"
import type * as Mirror from "./Mirror.ts"
import type * as Origin from "./Origin.ts"

/**
 * What a file says of hosts and of mirrors.
 *
 * @category models
 * @since 1.0.0
 */
export interface RegistriesConf {
  readonly origins: ReadonlyArray<readonly [string, Origin.Origin]>
  readonly mirrors: ReadonlyArray<Mirror.Rule>
}

const tables = (value: unknown): ReadonlyArray<Record<string, unknown>> =>
  Array.isArray(value) ? value.filter((one) => typeof one === "object" && one !== null) : []

const hostOf = (location: string): string => location.split("/", 1)[0]!

const limit = 1024 * 1024

/**
 * Reads the mirrors, and the hosts that are `insecure`; what else the file says is left out, and so are prefixes with a
 * wildcard.
 *
 * **Gotchas**
 *
 * An `insecure` host is believed whatever its certificate; plain http is spoken to no host that was not set to it.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (text: string): Result.Result<RegistriesConf, string> => {
  if (text.length > limit) return Result.fail("is larger than 1 MiB")
  const parsed = Toml.parse(text)
  if (Result.isFailure(parsed)) return Result.fail(parsed.failure.message)
  const origins: Array<readonly [string, Origin.Origin]> = []
  const mirrors: Array<Mirror.Rule> = []
  const insecure = (location: string, table: Record<string, unknown>) => {
    if (table["insecure"] === true) origins.push([hostOf(location), { tls: { skipVerify: true } }])
  }
  for (const registry of tables(parsed.success["registry"])) {
    const { location, prefix } = registry
    const of = typeof prefix === "string" && prefix !== "" ? prefix : location
    if (typeof of !== "string" || of === "" || of.startsWith("*.")) continue
    insecure(typeof location === "string" && location !== "" ? location : of, registry)
    for (const mirror of tables(registry["mirror"])) {
      const at = mirror["location"]
      if (typeof at !== "string" || at === "") continue
      insecure(at, mirror)
      const from = mirror["pull-from-mirror"]
      const only = from === "digest-only" || registry["mirror-by-digest-only"] === true
        ? "digest"
        : from === "tag-only"
        ? "tag"
        : undefined
      mirrors.push({ of, at, ...(only === undefined ? {} : { only }) })
    }
  }
  return Result.succeed({ origins, mirrors })
}
