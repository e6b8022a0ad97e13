/**
 * `registries.conf`, the file in which Podman, Skopeo and CRI-O are told of registries and their mirrors
 * (containers-registries.conf(5), version 2).
 *
 * @since 1.0.0
 */
import * as Registry from "@effect-oci/name/Registry"
import * as Repository from "@effect-oci/name/Repository"
import * as Toml from "effect/encoding/Toml"
import * as Result from "effect/Result"
import * as Insecure from "./internal/insecure.ts"
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
  /**
   * What is said of each prefix, in the order of the file. What is blocked names the entry that says so.
   */
  readonly entries: ReadonlyArray<{ readonly of: string; readonly rules: ReadonlyArray<Mirror.Rule> }>
  /**
   * Entries that make no sense, and why.
   */
  readonly wrong: ReadonlyArray<string>
}

const tables = (value: unknown): ReadonlyArray<Record<string, unknown>> =>
  Array.isArray(value) ? value.filter((one) => typeof one === "object" && one !== null) : []

const textOf = (value: unknown): string | undefined => typeof value === "string" && value !== "" ? value : undefined

const hostOf = (location: string): string => location.split("/", 1)[0]!

/** `host[:port][/path]`. A tag or a digest behind it would be a prefix of one image only, of which nothing is known here. */
const isPlace = (text: string): boolean => {
  const [host, ...path] = text.split("/")
  return Result.isSuccess(Registry.parse(host!)) &&
    (path.length === 0 || Result.isSuccess(Repository.parse(`${host}/${path.join("/")}`)))
}

/** `*.host`, and nothing behind it. */
const isWild = (text: string): boolean =>
  text.startsWith("*.") && Result.isSuccess(Registry.parse(text.slice(2))) && !/[:/]/.test(text)

const limit = 1024 * 1024

const onlyOf = (registry: Record<string, unknown>, mirror: Record<string, unknown>): Mirror.Rule["only"] => {
  const from = mirror["pull-from-mirror"]
  return from === "digest-only" || registry["mirror-by-digest-only"] === true
    ? "digest"
    : from === "tag-only"
    ? "tag"
    : undefined
}

/** The file that distributions install is little else than comments, which each command would read letter by letter. */
const withoutComments = (text: string): string =>
  text.includes(`"""`) || text.includes("'''") ? text : text.replace(/^[ \t]*#[^\n]*/gm, "")

/**
 * Reads the mirrors, the locations that stand in the place of others, what is blocked, and the hosts that are `insecure`; what
 * else the file says is left out.
 *
 * **Gotchas**
 *
 * An `insecure` host is believed whatever its certificate; plain http is spoken to no host that was not set to it,
 * but to this machine.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (text: string): Result.Result<RegistriesConf, string> => {
  if (text.length > limit) return Result.fail("is larger than 1 MiB")
  const parsed = Toml.parse(withoutComments(text))
  if (Result.isFailure(parsed)) return Result.fail(parsed.failure.message)
  const origins: Array<readonly [string, Origin.Origin]> = []
  const entries: Array<RegistriesConf["entries"][number]> = []
  const wrong: Array<string> = []
  const insecure = (location: string, table: Record<string, unknown>) => {
    const host = hostOf(location)
    if (table["insecure"] === true) origins.push([host, Insecure.origin(host)])
  }
  for (const registry of tables(parsed.success["registry"])) {
    const location = textOf(registry["location"])
    const of = textOf(registry["prefix"]) ?? location
    if (of === undefined || !(isPlace(of) || isWild(of))) {
      wrong.push(
        of === undefined
          ? "a [[registry]] with neither prefix nor location"
          : `${entryOf(of)}: the prefix is neither host[:port][/path] nor *.host`
      )
      continue
    }
    if (location !== undefined && !isPlace(location)) {
      wrong.push(`${entryOf(of)}: the location ${JSON.stringify(location)} is not host[:port][/path]`)
      continue
    }
    insecure(location ?? of, registry)
    const rules: Array<Mirror.Rule> = []
    for (const mirror of tables(registry["mirror"])) {
      const at = textOf(mirror["location"])
      if (at === undefined || !isPlace(at)) {
        wrong.push(`${entryOf(of)}: a mirror's location ${JSON.stringify(at ?? "")} is not host[:port][/path]`)
        continue
      }
      insecure(at, mirror)
      const only = onlyOf(registry, mirror)
      rules.push({ of, at, ...(only === undefined ? {} : { only }) })
    }
    if (location !== undefined && location !== of) rules.push({ of, at: location, isInstead: true })
    // A prefix with nothing of its own still takes its names out of a shorter one.
    entries.push({ of, rules: registry["blocked"] === true ? [{ of, blocked: entryOf(of) }] : [{ of }, ...rules] })
  }
  return Result.succeed({ origins, entries, wrong })
}

/** As it stands in the file, for whoever looks for it there. */
const entryOf = (of: string): string => `[[registry]] ${JSON.stringify(of)}`
