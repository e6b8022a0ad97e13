/**
 * Platforms: what an image runs on, and which of several offers fits a wish best.
 *
 * OCI image specification 1.1, "Image Index: platform".
 *
 * @since 1.0.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { quote } from "./internal/quote.ts"
import * as Shape from "./internal/shape.ts"
import type { JsonObject } from "./Json.ts"
import { SpecError } from "./SpecError.ts"

/**
 * A platform.
 *
 * @category models
 * @since 1.0.0
 */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string | undefined
  readonly "os.version"?: string | undefined
  readonly "os.features"?: ReadonlyArray<string> | undefined
}

/**
 * A platform, as it stands in a descriptor.
 *
 * @category schemas
 * @since 1.0.0
 */
export const Platform: Schema.Codec<Platform> = Schema.Struct({
  os: Schema.String,
  architecture: Schema.String,
  variant: Schema.optional(Schema.String),
  "os.version": Schema.optional(Schema.String),
  "os.features": Schema.optional(Schema.Array(Schema.String))
}).annotate({ identifier: "Platform" })

const known = Shape.keys("os", "architecture", "variant", "os.version", "os.features")

/** @internal */
export const read = (shape: Shape.Shape, object: JsonObject, path: string): Platform => {
  shape.exactKeys(object, path, known)
  const text = (key: string) => shape.optional(object[key], `${path}.${key}`, shape.string)
  const platform: { -readonly [K in keyof Platform]: Platform[K] } = {
    os: text("os") ?? "",
    architecture: text("architecture") ?? ""
  }
  const variant = text("variant")
  if (variant !== undefined) platform.variant = variant
  const version = text("os.version")
  if (version !== undefined) platform["os.version"] = version
  const features = shape.optional(object["os.features"], `${path}.os.features`, shape.strings)
  if (features !== undefined) platform["os.features"] = features
  return platform
}

/**
 * Parses `os/architecture[/variant][:os.version]`, and normalises it.
 *
 * @category decoding
 * @since 1.0.0
 */
export const parse = (text: string): Result.Result<Platform, SpecError> => {
  const match = /^([a-z0-9_.-]{1,64})\/([a-z0-9_.-]{1,64})(?:\/([a-z0-9_.-]{1,64}))?(?::([\w.-]{1,64}))?$/i.exec(text)
  if (match === null) {
    return Result.fail(
      new SpecError({
        document: "platform",
        path: "",
        reason: "Shape",
        detail: `${quote(text)} is not os/architecture or os/architecture/variant`
      })
    )
  }
  const [, os, architecture, variant, version] = match
  return Result.succeed(normalize({
    os: os!,
    architecture: architecture!,
    ...(variant === undefined ? {} : { variant }),
    ...(version === undefined ? {} : { "os.version": version })
  }))
}

/**
 * Writes a platform as `parse` reads it.
 *
 * @category encoding
 * @since 1.0.0
 */
export const format = (platform: Platform): string =>
  [platform.os, platform.architecture, ...(platform.variant ? [platform.variant] : [])].join("/") +
  (platform["os.version"] ? `:${platform["os.version"]}` : "")

// How uname, Debian, Node and others call what Go, and so OCI, calls differently; with the variant that is meant.
const aliases = new Map<string, readonly [string, string | undefined]>([
  ["x86_64", ["amd64", undefined]],
  ["x86-64", ["amd64", undefined]],
  ["x64", ["amd64", undefined]],
  ["x86", ["386", undefined]],
  ["ia32", ["386", undefined]],
  ["i386", ["386", undefined]],
  ["i486", ["386", undefined]],
  ["i586", ["386", undefined]],
  ["i686", ["386", undefined]],
  ["aarch64", ["arm64", undefined]],
  ["armhf", ["arm", "v7"]],
  ["armv7l", ["arm", "v7"]],
  ["armv6l", ["arm", "v6"]],
  ["armel", ["arm", "v6"]],
  ["powerpc64le", ["ppc64le", undefined]],
  ["ppc64el", ["ppc64le", undefined]],
  ["mipsel", ["mipsle", undefined]],
  ["mips64el", ["mips64le", undefined]],
  ["loongarch64", ["loong64", undefined]]
])
const systems = new Map([["macos", "darwin"], ["win32", "windows"]])

// The variant that a platform without one has.
const defaultVariant = new Map([["arm64", "v8"], ["arm", "v7"], ["amd64", "v1"]])

/**
 * One spelling for each platform: `aarch64` is `arm64`, `arm64/v8` is `arm64`, `arm` is `arm/v7`.
 *
 * @category normalising
 * @since 1.0.0
 */
export const normalize = (platform: Platform): Platform => {
  const os = platform.os.toLowerCase()
  const written = platform.architecture.toLowerCase()
  const [architecture, implied] = aliases.get(written) ?? [written, undefined]
  const said = platform.variant?.toLowerCase() || implied
  const variant = said !== undefined && /^\d/.test(said) ? `v${said}` : said
  const { variant: _, ...rest } = platform
  const kept = architecture === "arm"
    ? variant ?? "v7"
    : variant === defaultVariant.get(architecture)
    ? undefined
    : variant
  return { ...rest, os: systems.get(os) ?? os, architecture, ...(kept === undefined ? {} : { variant: kept }) }
}

/** How well an offer fits a wish, both normalised; higher is better, `undefined` is not at all. */
const rank = (wish: Platform, offer: Platform): number | undefined => {
  if (offer.os !== wish.os || offer.architecture !== wish.architecture) return undefined
  // What attestations have for a platform: nothing runs on it.
  if (offer.os === "unknown" || offer.architecture === "unknown") return undefined
  const version = wish["os.version"]
  if (version !== undefined && !isVersionOf(version, offer["os.version"])) return undefined
  const features = new Set(offer["os.features"])
  if (wish["os.features"]?.some((feature) => !features.has(feature)) === true) return undefined
  const exact = version === offer["os.version"] ? 0.5 : 0
  const wanted = levelOf(wish)
  const offered = levelOf(offer)
  if (wanted === undefined || offered === undefined) return wish.variant === offer.variant ? exact : undefined
  // Newer processors run what was built for older ones, of the same family, and never the other way.
  return offered > wanted ? undefined : offered - wanted + exact
}

const isVersionOf = (wish: string, offer: string | undefined): boolean =>
  offer === wish || offer?.startsWith(`${wish}.`) === true

const levelOf = (platform: Platform): number | undefined => {
  const variant = platform.variant ?? defaultVariant.get(platform.architecture)
  const match = variant === undefined ? null : /^v(\d{1,2})(?:\.(\d{1,2}))?$/.exec(variant)
  return match === null ? undefined : Number(match[1]) * 100 + Number(match[2] ?? 0)
}

/**
 * Whether an offer runs where the wish says. An attestation (`unknown/unknown`) runs nowhere.
 *
 * @category matching
 * @since 1.0.0
 */
export const matches = (wish: Platform, offer: Platform): boolean =>
  rank(normalize(wish), normalize(offer)) !== undefined

/**
 * The index of the offer that fits best, or `undefined`: the same variant first, then the nearest older one; of equals
 * the first. Offers without a platform, and attestations (`unknown/unknown`), never fit.
 *
 * @category matching
 * @since 1.0.0
 */
export const best = (wish: Platform, offers: ReadonlyArray<Platform | undefined>): number | undefined => {
  const wanted = normalize(wish)
  let found: number | undefined
  let highest = Number.NEGATIVE_INFINITY
  offers.forEach((offer, index) => {
    const fit = offer === undefined ? undefined : rank(wanted, normalize(offer))
    if (fit !== undefined && fit > highest) {
      highest = fit
      found = index
    }
  })
  return found
}
